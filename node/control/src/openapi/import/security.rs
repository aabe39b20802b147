//! `security` of an operation to "needs an API key"; refuses what would open a method that the document protects.

use serde_json::Value;

use super::super::Format;
use super::interface::Site;
use super::reading::{Fields, Reading, quote};

/// Extension of an operation that names its authentication.
pub(super) const AUTH: &str = "x-amazon-apigateway-auth";
const AUTH_TYPE: &str = "x-amazon-apigateway-authtype";
const AUTHORIZER: &str = "x-amazon-apigateway-authorizer";
const API_KEY_HEADER: &str = "x-api-key";

/// What looking at a scheme costs, in the bytes that could be copied meanwhile.
const LOOK_UP_BYTES: usize = 256;

/// What a security scheme means to API Gateway.
enum Scheme {
    ApiKey,
    /// API Gateway would refuse calls; this version cannot.
    Enforced(String),
    /// API Gateway takes it for documentation.
    Documentation(String),
}

/// Whether the operation needs an API key.
///
/// An authorizer or signature that this version cannot check is an error: importing the method without it would open
/// it to everyone. Schemes that API Gateway does not enforce either are warned about, once each.
pub(super) fn read<'d>(reading: &mut Reading<'d>, site: &Site<'_>, operation: &'d Fields) -> bool {
    let place = site.place("");
    if let Some(auth) = reading.object(operation, AUTH, &place) {
        let kind = reading.text(auth, "type", &format!("{place}.{AUTH}")).unwrap_or_default();
        if !kind.eq_ignore_ascii_case("NONE") {
            site.refuse_method(
                reading,
                &format!("authorization type {} is not supported by this version", quote(&kind)),
            );
        }
    }
    let root = reading.root;
    let requirements = if operation.contains_key("security") {
        reading.array(operation, "security", &place)
    } else {
        reading.array(root, "security", "document")
    };
    // The document's list is read again for every operation, with a look-up for each scheme.
    let names = requirements.iter().filter_map(Value::as_object).map(Fields::len).sum::<usize>();
    if !reading.charge(names * LOOK_UP_BYTES) {
        return true;
    }
    let mut api_key_required = false;
    for name in requirements.iter().filter_map(Value::as_object).flat_map(Fields::keys) {
        match scheme(reading, name) {
            Some(Scheme::ApiKey) => api_key_required = true,
            Some(Scheme::Enforced(kind)) => site.refuse_method(
                reading,
                &format!("security scheme {} ({kind}) is not supported by this version", quote(name)),
            ),
            Some(Scheme::Documentation(reason)) => {
                reading.unenforced.entry(name.clone()).or_insert((reason, 0)).1 += 1;
            }
            None => site.refuse_method(reading, &format!("security scheme {} is not defined", quote(name))),
        }
    }
    api_key_required
}

/// Warns once of each scheme that was named but has no effect.
pub(super) fn finish(reading: &mut Reading<'_>) {
    for (name, (reason, operations)) in std::mem::take(&mut reading.unenforced) {
        reading.notes.warn(format!(
            "Security scheme {} of {operations} operation(s) is not enforced: {reason}",
            quote(&name)
        ));
    }
    let Some((schemes, place)) = schemes(reading) else { return };
    for (name, _) in schemes.iter().filter(|(_, scheme)| scheme.get(AUTHORIZER).is_some()) {
        reading
            .notes
            .warn(format!("{place}.{} is not created: this version has no authorizers", quote(name)));
    }
}

fn schemes<'d>(reading: &mut Reading<'d>) -> Option<(&'d Fields, &'static str)> {
    let root = reading.root;
    match reading.format {
        Format::Swagger => {
            Some((reading.object(root, "securityDefinitions", "document")?, "securityDefinitions"))
        }
        Format::Oas30 => {
            let components = reading.object(root, "components", "document")?;
            Some((reading.object(components, "securitySchemes", "components")?, "components.securitySchemes"))
        }
    }
}

fn scheme<'d>(reading: &mut Reading<'d>, name: &str) -> Option<Scheme> {
    let (schemes, place) = schemes(reading)?;
    let place = format!("{place}.{}", quote(name));
    let found = reading.resolve(schemes.get(name)?, &place)?;
    let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
    if let Some(authorizer) = found.get(AUTHORIZER) {
        let kind = authorizer.get("type").and_then(Value::as_str).unwrap_or("unknown");
        return Some(Scheme::Enforced(format!("authorizer of type {}", quote(kind))));
    }
    if found.contains_key(AUTH_TYPE) {
        return Some(Scheme::Enforced(format!("{AUTH_TYPE} {}", quote(text(AUTH_TYPE)))));
    }
    let header = text("name");
    if text("type") == "apiKey" && text("in") == "header" && header.eq_ignore_ascii_case(API_KEY_HEADER) {
        return Some(Scheme::ApiKey);
    }
    Some(Scheme::Documentation(match text("type") {
        "apiKey" => format!("only an API key in the header {API_KEY_HEADER} is checked"),
        kind => format!("{} has no {AUTHORIZER}", quote(kind)),
    }))
}
