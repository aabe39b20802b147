//! What a mapping template changes beside the body. Owns the shape of the overrides; must never apply them.

use crate::RenderError;
use crate::heap::{Heap, MapId, Value};
use crate::print::{Bounded, Slash, json};
use serde_json::{Map, Value as Json};

/// Everything a template overrode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `$context.requestOverride`.
    pub request: RequestOverrides,
    /// `$context.responseOverride`.
    pub response: ResponseOverrides,
}

/// Overrides of the integration request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestOverrides {
    /// Header name to text, number or list of texts.
    pub header: Map<String, Json>,
    /// Path parameters.
    pub path: Map<String, Json>,
    /// Query parameters.
    pub querystring: Map<String, Json>,
}

/// Overrides of the method response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseOverrides {
    /// Header name to text, number or list of texts.
    pub header: Map<String, Json>,
    /// As the template left it.
    pub status: Option<Json>,
}

impl ResponseOverrides {
    /// The status to answer; one that is no integer from 100 to 599 is ignored, as API Gateway does.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        let code = match self.status.as_ref()? {
            Json::Number(number) => number.as_u64()?,
            Json::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        u16::try_from(code).ok().filter(|code| (100..=599).contains(code))
    }
}

/// The override part of a `$context` tree, ready to be written to.
pub(crate) fn seed(earlier: Option<&Overrides>) -> [(&'static str, Json); 2] {
    let Overrides { request, response } = earlier.cloned().unwrap_or_default();
    let mut answer = Map::from_iter([("header".to_owned(), Json::Object(response.header))]);
    if let Some(status) = response.status {
        answer.insert("status".to_owned(), status);
    }
    let request = Map::from_iter([
        ("path".to_owned(), Json::Object(request.path)),
        ("querystring".to_owned(), Json::Object(request.querystring)),
        ("header".to_owned(), Json::Object(request.header)),
    ]);
    [("requestOverride", Json::Object(request)), ("responseOverride", Json::Object(answer))]
}

/// Reads the overrides back from a `$context` tree.
pub(crate) fn collect(heap: &Heap, context: MapId, bytes_max: usize) -> Result<Overrides, RenderError> {
    let tree = |name: &str| to_json(heap, heap.map(context)?.get_text(name), bytes_max);
    let take =
        |tree: &Json, name: &str| tree.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
    let (request, response) = (tree("requestOverride")?, tree("responseOverride")?);
    Ok(Overrides {
        request: RequestOverrides {
            header: take(&request, "header"),
            path: take(&request, "path"),
            querystring: take(&request, "querystring"),
        },
        response: ResponseOverrides {
            header: take(&response, "header"),
            status: response.get("status").cloned(),
        },
    })
}

fn to_json(heap: &Heap, value: Option<&Value>, bytes_max: usize) -> Result<Json, RenderError> {
    let mut out = Bounded::new(bytes_max);
    json(heap, value.unwrap_or(&Value::Null), Slash::Plain, &mut out, 0)?;
    serde_json::from_str(&out.finish()).map_err(|_| RenderError::Internal)
}
