//! From the head of an upstream's answer straight to the header lines of the client's.

use super::{
    NotDirect,
    runs::{LowerName, Runs},
};
use crate::transform::{Fate, to_client};

/// Prefix of a header that crosses under another name, as AWS spells it.
const REMAPPED: &[u8] = b"x-amzn-Remapped-";

/// Copies what crosses from the lines `fields` of the head `raw`, and puts others under their remapped name. `nominated` tells
/// which names, as they came, the upstream's Connection header keeps to its own connection.
///
/// # Errors
/// [`NotDirect`] when the fields are not slices of `raw`.
pub fn write_reply_fields(
    raw: &[u8],
    fields: &[httparse::Header<'_>],
    nominated: impl Fn(&str) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), NotDirect> {
    let mut runs = Runs::begin(raw, fields, out);
    for (index, field) in fields.iter().enumerate() {
        let lower = LowerName::of(field.name);
        match to_client(lower.as_bytes()) {
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
