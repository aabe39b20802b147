//! Runs mapping templates: hands them the request and carries their overrides to the end of the transform.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tidegate_proto::limits::{TEMPLATE_BODY_BYTES_PER_STEP, TEMPLATE_STEPS_MAX};
use tidegate_template::{
    Budget, Input, Overrides, RenderError, Template,
    jsonpath::{self, Hit, Selection},
};

use crate::{Rejection, Request, Routed, request::VARIABLES};

/// A mapping template, ready to render.
pub(crate) struct ParsedTemplate {
    template: Template,
    /// Words of the source with capitals, in lower case and as written, sorted: the server hands out header names in lower
    /// case, but a template finds a header only under the name it uses.
    spellings: Box<[(String, String)]>,
}

/// Parses a mapping template.
pub(crate) fn parse_template(text: &str) -> Result<ParsedTemplate, String> {
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    let with_capitals = words.filter(|word| word.bytes().any(|byte| byte.is_ascii_uppercase()));
    let mut spellings: Vec<_> =
        with_capitals.map(|word| (word.to_ascii_lowercase(), word.to_owned())).collect();
    spellings.sort_unstable();
    spellings.dedup_by(|a, b| a.0 == b.0);
    Ok(ParsedTemplate { template, spellings: spellings.into_boxed_slice() })
}

impl ParsedTemplate {
    fn spelled<'a>(&'a self, name: &'a str) -> &'a str {
        let place = self.spellings.binary_search_by(|(lower, _)| lower.as_str().cmp(name));
        place.ok().and_then(|place| self.spellings.get(place)).map_or(name, |(_, spelled)| spelled)
    }
}

/// What the templates of a request override, from the request template to the response.
#[derive(Clone, Debug, Default)]
pub struct Carry(Option<Box<Overrides>>);

impl Carry {
    /// Headers of the call, by name.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, Vec<Cow<'_, str>>)> {
        each(self.0.as_ref().map(|all| &all.request.header))
    }

    /// Query parameters of the call, by name.
    pub(super) fn query(&self) -> impl Iterator<Item = (&str, Vec<Cow<'_, str>>)> {
        each(self.0.as_ref().map(|all| &all.request.querystring))
    }

    pub(super) fn overrides_query(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|all| all.request.querystring.contains_key(name))
    }

    /// A path parameter of the call.
    pub(super) fn path(&self, name: &str) -> Option<String> {
        self.0.as_ref()?.request.path.get(name).map(|value| texts(value).join(","))
    }

    /// Headers of the response, by name.
    pub(super) fn response_headers(&self) -> impl Iterator<Item = (&str, Vec<Cow<'_, str>>)> {
        each(self.0.as_ref().map(|all| &all.response.header))
    }

    /// Status of the response.
    pub(super) fn status(&self) -> Option<u16> {
        self.0.as_ref()?.response.status_code()
    }
}

/// A rendered template.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) carry: Carry,
}

/// Renders template `index` of the stage over `body`; `carry` is what was overridden before.
///
/// # Errors
/// [`BadBody`](RenderFault::BadBody) with AWS's text when the body was needed and is no JSON.
pub(super) fn render(
    routed: &Routed<'_>,
    request: &Request<'_>,
    index: u32,
    body: &[u8],
    carry: &Carry,
) -> Result<Rendered, RenderFault> {
    let parsed = routed.stage().template(index).ok_or(RenderFault::Other)?;
    let path: Vec<_> = routed.path_parameters(request.rest()).collect();
    let query: Vec<_> = request.query_pairs().collect();
    let query: Vec<_> = query.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (parsed.spelled(name.as_str()), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    let variables = routed.stage().stage().variables.iter();
    let variables: Vec<_> = variables.map(|entry| (entry.0.as_str(), entry.1.as_str())).collect();
    let context = context(routed, request);
    let body = String::from_utf8_lossy(body);
    let input = Input {
        body: &body,
        path: &path,
        querystring: &query,
        header: &headers,
        context: Some(&context),
        stage_variables: &variables,
        overrides: carry.0.as_deref(),
    };
    let steps_max = TEMPLATE_STEPS_MAX + body.len() as u64 / TEMPLATE_BODY_BYTES_PER_STEP;
    let budget = Budget { steps_max, ..Budget::default() };
    match parsed.template.render(&input, &budget) {
        Ok(rendered) => {
            Ok(Rendered { text: rendered.text, carry: Carry(Some(Box::new(rendered.overrides))) })
        }
        Err(RenderError::Body(text)) => Err(RenderFault::BadBody(text)),
        Err(_) => Err(RenderFault::Other),
    }
}

/// Why a template gave nothing.
#[derive(Debug)]
pub(super) enum RenderFault {
    /// The body is no JSON; the text is AWS's.
    BadBody(String),
    /// The template cannot be rendered.
    Other,
}

impl RenderFault {
    /// What the client of a request template gets; a response template's fault is never the client's.
    pub(super) fn of_request(self) -> Rejection {
        match self {
            Self::BadBody(text) => Rejection::BadRequestBody(text.into()),
            Self::Other => Rejection::ApiConfigurationError,
        }
    }
}

/// Why a JSON path selects nothing.
#[derive(Debug)]
pub(super) struct NotJson;

/// The value of a JSON path as text; nothing when the path selects nothing.
pub(super) fn json_path(body: &[u8], path: &str) -> Result<Option<String>, NotJson> {
    let value: Value = serde_json::from_slice(body).map_err(|_| NotJson)?;
    let Ok(path) = jsonpath::parse(path) else { return Ok(None) };
    Ok(match path.select(&value).unwrap_or(Selection::Missing) {
        Selection::Missing => None,
        Selection::One(hit) => match whole(&hit) {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        },
        Selection::Many(hits) => Some(Value::Array(hits.iter().map(whole).collect()).to_string()),
    })
}

/// Whether a text is a JSON path.
pub(crate) fn is_json_path(path: &str) -> bool {
    jsonpath::parse(path).is_ok()
}

fn whole(hit: &Hit<&Value>) -> Value {
    match hit {
        Hit::Node(node) => (*node).clone(),
        Hit::Object(pairs) => {
            Value::Object(pairs.iter().map(|(name, node)| (name.clone(), (*node).clone())).collect())
        }
    }
}

/// The `$context` tree.
fn context(routed: &Routed<'_>, request: &Request<'_>) -> Value {
    let mut tree = Map::new();
    for name in VARIABLES {
        let Some(value) = request.variable(routed, name) else { continue };
        let value = Value::String(value.into_owned());
        match name.split_once('.') {
            None => _ = tree.insert(name.to_owned(), value),
            Some((group, name)) => {
                let group = tree.entry(group).or_insert_with(|| Value::Object(Map::new()));
                if let Some(group) = group.as_object_mut() {
                    group.insert(name.to_owned(), value);
                }
            }
        }
    }
    Value::Object(tree)
}

fn each(map: Option<&Map<String, Value>>) -> impl Iterator<Item = (&str, Vec<Cow<'_, str>>)> {
    map.into_iter().flatten().map(|(name, value)| (name.as_str(), texts(value)))
}

fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![Cow::Borrowed(text)],
        Value::Null => Vec::new(),
        other => vec![Cow::Owned(other.to_string())],
    }
}
