//! Resolves the source of a parameter mapping to the values it stands for.

use std::borrow::Cow;

use http::HeaderMap;
use tidegate_proto::compiled::ArchivedSourceV1;

use crate::{Rejection, Request, Routed};

/// What a mapping reads from.
pub(crate) struct Sources<'a, 'r> {
    pub(crate) routed: &'a Routed<'r>,
    pub(crate) request: &'a Request<'r>,
    /// The request's headers, or the upstream's for a response mapping.
    pub(crate) headers: &'r HeaderMap,
    /// The request's body, or the upstream's; absent when it was not needed.
    pub(crate) body: Option<&'r [u8]>,
    /// What a body that is no JSON means.
    pub(crate) bad_json: Rejection,
}

/// The values of a source; none when the source is absent.
pub(crate) fn values<'r>(
    source: &'r ArchivedSourceV1,
    from: &Sources<'_, 'r>,
) -> Result<Vec<Cow<'r, str>>, Rejection> {
    let request = from.request;
    let one = |value: Option<Cow<'r, str>>| value.into_iter().collect();
    Ok(match source {
        ArchivedSourceV1::Path(index) => {
            one(from.routed.path_parameter(request.rest(), index.to_native()).map(Cow::Borrowed))
        }
        ArchivedSourceV1::Query(name) => one(request
            .query_pairs()
            .filter(|(known, _)| *known == name.as_str())
            .last()
            .map(|(_, value)| value)),
        ArchivedSourceV1::MultiQuery(name) => request
            .query_pairs()
            .filter(|(known, _)| *known == name.as_str())
            .map(|(_, value)| value)
            .collect(),
        ArchivedSourceV1::Header(name) => one(header_values(from.headers, name).next_back()),
        ArchivedSourceV1::MultiHeader(name) => {
            let all: Vec<_> = header_values(from.headers, name).collect();
            if all.is_empty() { all } else { vec![Cow::Owned(all.join(","))] }
        }
        ArchivedSourceV1::Body => {
            let body = from.body.filter(|body| !body.is_empty());
            one(body.map(String::from_utf8_lossy))
        }
        ArchivedSourceV1::BodyPath(path) => one(body_path(path, from)?.map(Cow::Owned)),
        ArchivedSourceV1::Constant(text) => vec![Cow::Borrowed(text.as_str())],
        ArchivedSourceV1::Variable(name) => one(request.variable(from.routed, name)),
    })
}

/// Whether a source reads the body.
pub(crate) fn reads_body(source: &ArchivedSourceV1) -> bool {
    matches!(source, ArchivedSourceV1::Body | ArchivedSourceV1::BodyPath(_))
}

fn header_values<'r>(headers: &'r HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = Cow<'r, str>> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// A body that does not look like JSON has no paths; one that does and is not is an error.
fn body_path(path: &str, from: &Sources<'_, '_>) -> Result<Option<String>, Rejection> {
    let body = from.body.unwrap_or_default().trim_ascii_start();
    if !matches!(body.first(), Some(b'{' | b'[' | b'"' | b'\'')) {
        return Ok(None);
    }
    super::template::json_path(body, path).map_err(|_| from.bad_json.clone())
}
