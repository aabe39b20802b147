//! What tells cached answers apart: the parameters that an integration names. Owns their grammar and AWS's text for wrong ones; must
//! never read one from a request.

use serde_json::json;
use tidegate_proto::document::{Integration, Method};

use crate::rest::unsupported;

const LOCATIONS: [&str; 5] = ["path", "querystring", "header", "multivaluequerystring", "multivalueheader"];

/// Requires that every parameter is one of requests, and that the method declares or the integration maps it.
///
/// # Errors
/// What is wrong with the first wrong one, as AWS says it.
pub(crate) fn check(integration: &Integration, method: &Method) -> Result<(), String> {
    integration.cache_key_parameters.iter().try_for_each(|parameter| {
        let invalid = || format!("Invalid cache key parameter specified: {parameter}");
        if let Some((location, name)) = split(parameter, "method.request.") {
            let location = location.strip_prefix("multivalue").unwrap_or(location);
            let declared = format!("method.request.{location}.{name}");
            return method.request_parameters.contains_key(&declared).then_some(()).ok_or_else(invalid);
        }
        let mapped = split(parameter, "integration.request.")
            .and_then(|_| integration.request_parameters.get(parameter))
            .ok_or_else(invalid)?;
        match mapped.starts_with("method.request.body") || mapped.starts_with("context.") {
            true => Err(unsupported::refusal(
                "A cache key from the body or the context",
                "cacheKeyParameters",
                &json!(parameter),
            )
            .message),
            false => Ok(()),
        }
    })
}

/// `{prefix}{location}.{name}` → location and name.
fn split<'a>(parameter: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (location, name) = parameter.strip_prefix(prefix)?.split_once('.')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    (is_name && LOCATIONS.contains(&location)).then_some((location, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_declared_or_mapped() {
        let declared = ["method.request.path.id", "method.request.querystring.q", "method.request.header.H"];
        let mapped = [
            ("integration.request.querystring.a", "method.request.querystring.q"),
            ("integration.request.header.fixed", "'x'"),
            ("integration.request.header.body", "method.request.body.a"),
            ("integration.request.header.caller", "context.identity.sourceIp"),
        ];
        let later = "A cache key from the body or the context is not supported";
        let wrong = "Invalid cache key parameter specified: ";
        for (parameter, fault) in [
            ("method.request.path.id", None),
            ("method.request.querystring.q", None),
            ("method.request.multivaluequerystring.q", None),
            ("method.request.multivalueheader.H", None),
            ("integration.request.querystring.a", None),
            ("integration.request.header.fixed", None),
            ("integration.request.header.body", Some(later)),
            ("integration.request.header.caller", Some(later)),
            ("integration.request.header.b", Some(wrong)),
            ("method.request.header.h", Some(wrong)),
            ("method.request.querystring.x", Some(wrong)),
            ("method.request.multivaluepath.id", Some(wrong)),
            ("method.request.body", Some(wrong)),
            ("method.request.querystring.", Some(wrong)),
            ("method.input.params.q", Some(wrong)),
            ("q", Some(wrong)),
            ("", Some(wrong)),
        ] {
            let integration = Integration {
                cache_key_parameters: vec![parameter.to_owned()],
                request_parameters: mapped
                    .iter()
                    .map(|(to, from)| ((*to).to_owned(), (*from).to_owned()))
                    .collect(),
                ..Integration::default()
            };
            let request_parameters = declared.iter().map(|name| ((*name).to_owned(), false)).collect();
            let method = Method { request_parameters, ..Method::default() };
            match (check(&integration, &method), fault) {
                (Ok(()), None) => {}
                (Err(found), Some(fault)) => assert!(found.starts_with(fault), "{parameter}: {found}"),
                (found, fault) => panic!("{parameter}: {found:?} {fault:?}"),
            }
        }
    }
}
