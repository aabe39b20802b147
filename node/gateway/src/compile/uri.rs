//! Compiles an integration URI: stage variables become text, `{name}` becomes an index, the authority a constant.

use std::borrow::Cow;

use http::uri::{Authority, PathAndQuery};
use tidegate_proto::{
    compiled::{MappingV1, PartV1, PlaceV1},
    document::Map,
};

use super::{CompileError, Site};

const FIELD: &str = "integration.uri";
const RULE: &str = "Invalid HTTP endpoint specified for URI";

/// Scheme, constant authority and the rest of a URI.
pub(super) struct Endpoint {
    pub(super) tls: bool,
    pub(super) authority: String,
    pub(super) uri: Vec<PartV1>,
}

/// Compiles `text`. A URI that only its stage variables make invalid still compiles, and fails when it is called,
/// because AWS checks a stage's variables no earlier.
pub(super) fn compile(
    site: &Site<'_>,
    text: &str,
    names: &[String],
    mappings: &[MappingV1],
) -> Result<Endpoint, CompileError> {
    let full = substitute(text, site.variables);
    match endpoint(site, &full, names, mappings) {
        Err(_) if matches!(full, Cow::Owned(_)) => Ok(Endpoint {
            tls: false,
            authority: String::new(),
            uri: vec![PartV1::Literal(full.into_owned())],
        }),
        result => result,
    }
}

/// Replaces `${stageVariables.name}`; an absent variable is empty.
pub(crate) fn substitute<'t>(text: &'t str, variables: &Map<String>) -> Cow<'t, str> {
    const OPEN: &str = "${stageVariables.";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str(variables.get(name).map_or("", String::as_str));
        rest = after;
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn endpoint(
    site: &Site<'_>,
    full: &str,
    names: &[String],
    mappings: &[MappingV1],
) -> Result<Endpoint, CompileError> {
    let invalid = || site.error(FIELD, Some(full), RULE);
    let (scheme, rest) = full.split_once("://").ok_or_else(invalid)?;
    let tls = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => false,
        _ if scheme.eq_ignore_ascii_case("https") => true,
        _ => return Err(invalid()),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = target.split('#').next().unwrap_or_default();
    if authority.contains('{') {
        let text = if target.starts_with('/') {
            format!("{scheme}://{authority}{target}")
        } else {
            format!("{scheme}://{authority}/{target}")
        };
        return Ok(Endpoint { tls, authority: String::new(), uri: parts(site, &text, names, mappings)? });
    }
    let parsed: Authority = authority.parse().map_err(|_| invalid())?;
    if parsed.host().is_empty() || authority.contains('@') || authority.ends_with(':') {
        return Err(invalid());
    }
    let target =
        if target.starts_with('/') { Cow::Borrowed(target) } else { Cow::Owned(format!("/{target}")) };
    let uri = parts(site, &target, names, mappings)?;
    let sample: String =
        uri.iter().map(|part| if let PartV1::Literal(text) = part { text.as_str() } else { "x" }).collect();
    sample.parse::<PathAndQuery>().map_err(|_| invalid())?;
    Ok(Endpoint { tls, authority: authority.to_ascii_lowercase(), uri })
}

fn parts(
    site: &Site<'_>,
    text: &str,
    names: &[String],
    mappings: &[MappingV1],
) -> Result<Vec<PartV1>, CompileError> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| site.error(FIELD, Some(text), RULE))?;
        let name = name.strip_suffix('+').unwrap_or(name);
        push_literal(&mut out, before);
        let mapped =
            mappings.iter().position(|mapping| mapping.place == PlaceV1::Path && mapping.name == name);
        let own = names.iter().position(|known| known == name);
        out.push(match (mapped, own) {
            (Some(index), _) => PartV1::Mapped(index as u32),
            (None, Some(index)) => PartV1::PathParameter(index as u32),
            (None, None) => {
                return Err(site.error(
                    FIELD,
                    Some(text),
                    format!("{{{name}}} is neither mapped nor a path parameter of the resource"),
                ));
            }
        });
        rest = after;
    }
    push_literal(&mut out, rest);
    Ok(out)
}

fn push_literal(out: &mut Vec<PartV1>, text: &str) {
    if !text.is_empty() {
        out.push(PartV1::Literal(text.to_owned()));
    }
}
