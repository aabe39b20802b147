//! Two replicas of the configuration: one applies the whole log, one is restored from a checkpoint on the way.

use arbitrary::Unstructured;
use tidegate_proto::transaction::{PutV1, TransactionV1};
use tidegate_state::State;

use crate::{Checked, several};

/// Keys of all kinds, some of them below others, and some that nobody knows.
const KEYS: [&str; 12] = [
    "restapi/a",
    "restapi/a/resource/r",
    "restapi/a/stage/s",
    "restapi/b",
    "restapi/",
    "apikey/k",
    "usageplan/p/key/k",
    "cluster/drain/1",
    "account",
    "x",
    "",
    "restapi/a/b/c/d/e",
];

pub(crate) fn transaction(chance: &mut Unstructured<'_>) -> arbitrary::Result<TransactionV1> {
    let key = |chance: &mut Unstructured<'_>| chance.choose(&KEYS).map(|key| (*key).to_owned());
    let mut transaction = TransactionV1::default();
    for name in several(chance, 0, 2, key)? {
        let revision = chance.int_in_range(0..=12)?;
        transaction.compare(name, revision);
    }
    transaction.puts = several(chance, 0, 3, |chance| {
        let name = key(chance)?;
        let length = chance.int_in_range(0..=24)?.min(chance.len());
        Ok(PutV1 { key: name, bytes: chance.bytes(length)?.to_vec() })
    })?;
    for name in several(chance, 0, 2, key)? {
        transaction.delete(name);
    }
    if chance.ratio(1, 8)? {
        let prefix = key(chance)?;
        transaction.delete_prefix(prefix);
    }
    Ok(transaction)
}

pub(crate) fn check(chance: &mut Unstructured<'_>) -> Checked {
    let (mut whole, mut restored) = (State::default(), State::default());
    let count = chance.int_in_range(1..=40)?;
    let restored_at = chance.int_in_range(0..=count)?;
    for number in 0..count {
        if number == restored_at {
            restored = match restored.encode().map(|bytes| State::decode(&bytes)) {
                Ok(Ok(state)) => state,
                other => return Ok(Err(format!("a checkpoint cannot be restored: {:?}", other.err()))),
            };
        }
        // Now and then something that is no transaction: logs are read by versions that do not know all of them.
        let bytes = match chance.ratio(1, 12)? {
            true => chance.bytes(chance.len().min(40))?.to_vec(),
            false => transaction(chance)?.encode().unwrap_or_default(),
        };
        let (one, other) = (whole.apply_bytes(&bytes), restored.apply_bytes(&bytes));
        if one != other {
            return Ok(Err(format!("entry {number} came out as {one:?} and as {other:?}: {bytes:02x?}")));
        }
        let facts = |state: &State| (state.revision(), state.hash(), state.len(), state.bytes());
        if facts(&whole) != facts(&restored) {
            let (one, other) = (facts(&whole), facts(&restored));
            return Ok(Err(format!("after entry {number} there are {one:?} and {other:?}")));
        }
    }
    Ok(Ok(()))
}
