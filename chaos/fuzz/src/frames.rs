//! Frames between nodes and records of the log: what was sealed opens again, damage is noticed, and no bytes are worse than refused.

use arbitrary::Unstructured;
use tidegate_gateway::Snapshot;
use tidegate_proto::{
    cache, frame, ledger,
    peer::{MessageV1, NodeReportV1},
    transaction::{OutcomeV1, TransactionV1},
};
use tidegate_state::State;

use crate::{Checked, apply::transaction};

pub(crate) fn check(chance: &mut Unstructured<'_>) -> Checked {
    let sealed = match chance.int_in_range(0..=3)? {
        0 => transaction(chance)?.encode(),
        1 => {
            let report = NodeReportV1 {
                version: chance.arbitrary()?,
                serving_revision: chance.arbitrary()?,
                ..NodeReportV1::default()
            };
            MessageV1::Description(report).encode()
        }
        2 => OutcomeV1::Refused { reason: chance.arbitrary()? }.encode(),
        _ => {
            let rest = chance.bytes(chance.len().min(200))?;
            read_all(rest);
            return Ok(Ok(()));
        }
    };
    let Ok(sealed) = sealed else { return Ok(Err("a small message does not encode".to_owned())) };
    if !opens(&sealed) {
        return Ok(Err(format!("what was sealed does not open: {sealed:02x?}")));
    }
    let mut damaged = sealed.clone();
    let at = chance.int_in_range(0..=damaged.len().saturating_sub(1))?;
    let flip = chance.int_in_range(1..=255_u8)?;
    damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= flip);
    let cut = chance.int_in_range(0..=damaged.len())?;
    read_all(damaged.get(..cut).unwrap_or_default());
    read_all(&damaged);
    // The reserved bytes of a header are not looked at by this version.
    let is_noticed = !opens(&damaged) || frame::kind(&damaged).is_none() || reseals(&damaged, &sealed);
    Ok(if is_noticed { Ok(()) } else { Err(format!("byte {at} of {sealed:02x?} may be any, ^{flip:#x}")) })
}

/// Whether the body still is what it was.
fn reseals(damaged: &[u8], sealed: &[u8]) -> bool {
    let body = |bytes: &[u8]| {
        let kind = frame::kind(bytes)?;
        frame::open(kind, u8::MAX, bytes).ok().map(|body| body.to_vec())
    };
    body(damaged) == body(sealed)
}

fn opens(bytes: &[u8]) -> bool {
    TransactionV1::decode(bytes).is_ok()
        || MessageV1::decode(bytes).is_ok()
        || OutcomeV1::decode(bytes).is_ok()
}

/// Every reader of bytes that come from elsewhere.
fn read_all(bytes: &[u8]) {
    let _known = frame::kind(bytes);
    let _read = (
        opens(bytes),
        ledger::MessageV1::decode(bytes).is_ok(),
        cache::MessageV1::decode(bytes).is_ok(),
        State::decode(bytes).is_ok(),
        Snapshot::decode(bytes).is_ok(),
    );
}
