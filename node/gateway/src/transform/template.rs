//! Runs mapping templates: hands them the request and carries their overrides to the end of the transform.

use crate::{Rejection, Request, Routed};

/// A mapping template, ready to render.
pub(crate) struct ParsedTemplate(String);

/// Parses a mapping template.
pub(crate) fn parse_template(text: &str) -> Result<ParsedTemplate, String> {
    Ok(ParsedTemplate(text.to_owned()))
}

/// What the templates of a request override, from the request template to the response.
#[derive(Clone, Debug, Default)]
pub struct Carry {
    pub(super) headers: Vec<(String, String)>,
    pub(super) path: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) response_headers: Vec<(String, String)>,
    pub(super) status: Option<u16>,
}

impl Carry {
    pub(super) fn overrides_query(&self, name: &str) -> bool {
        self.query.iter().any(|(known, _)| known == name)
    }

    pub(super) fn path(&self, name: &str) -> Option<&str> {
        self.path.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A rendered template.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) carry: Carry,
}

/// Renders template `index` of the stage over `body`.
pub(super) fn render(
    routed: &Routed<'_>,
    _request: &Request<'_>,
    index: u32,
    _body: &[u8],
    carry: &Carry,
) -> Result<Rendered, Rejection> {
    let template = routed.stage().template(index).ok_or(Rejection::ApiConfigurationError)?;
    Ok(Rendered { text: template.0.clone(), carry: carry.clone() })
}

/// The value of a JSON path as text; nothing when the path selects nothing.
pub(super) fn json_path(body: &[u8], path: &str) -> Result<Option<String>, ()> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| ())?;
    let found = path.split('.').skip(1).try_fold(&value, |value, name| value.get(name));
    Ok(found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}
