//! From the head of an upstream's answer straight to the header lines of the client's.

use http::{HeaderMap, HeaderName, HeaderValue};

use tidegate_proto::field::{Field, Known};

use super::{NotDirect, runs::Runs};
use crate::transform::{Fate, to_client};

/// Prefix of a header that crosses under another name, as AWS spells it.
const REMAPPED: &[u8] = b"x-amzn-Remapped-";

/// The header under which a remapped one crosses.
fn remapped(known: Known) -> HeaderName {
    const CONNECTION: HeaderName = HeaderName::from_static("x-amzn-remapped-connection");
    const CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amzn-remapped-content-length");
    const DATE: HeaderName = HeaderName::from_static("x-amzn-remapped-date");
    const SERVER: HeaderName = HeaderName::from_static("x-amzn-remapped-server");
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-remapped-x-amzn-requestid");
    match known {
        Known::Connection => CONNECTION,
        Known::ContentLength => CONTENT_LENGTH,
        Known::Date => DATE,
        Known::Server => SERVER,
        _ => REQUEST_ID,
    }
}

/// What crosses of the lines `fields`, as a map with room for the gateway's own; see [`write_reply_fields`].
///
/// # Errors
/// [`NotDirect`] for a line that a map cannot hold.
pub fn reply_headers(
    fields: &[Field<'_>],
    nominated: impl Fn(&[u8]) -> bool,
) -> Result<HeaderMap, NotDirect> {
    let mut headers = HeaderMap::with_capacity(fields.len() + 6);
    for field in fields {
        let name = match to_client(field.known) {
            _ if nominated(field.name) => continue,
            Fate::Drop => continue,
            Fate::Pass => HeaderName::from_bytes(field.name).map_err(|_| NotDirect)?,
            Fate::Remap => remapped(field.known),
        };
        headers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| NotDirect)?);
    }
    Ok(headers)
}

/// Copies what crosses from the lines `fields` of the head `raw`, and puts others under their remapped name. `nominated` tells
/// which names, as they came, the upstream's Connection header keeps to its own connection.
///
/// # Errors
/// [`NotDirect`] when the fields are not slices of `raw`.
pub fn write_reply_fields(
    raw: &[u8],
    fields: &[Field<'_>],
    nominated: impl Fn(&[u8]) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), NotDirect> {
    let mut runs = Runs::begin(raw, fields, out);
    for (index, field) in fields.iter().enumerate() {
        match to_client(field.known) {
            _ if nominated(field.name) => runs.skip(index)?,
            Fate::Pass => {}
            Fate::Drop => runs.skip(index)?,
            Fate::Remap => {
                runs.pause(index)?;
                runs.out.extend_from_slice(REMAPPED);
            }
        }
    }
    runs.finish()
}
