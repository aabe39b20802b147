//! Applying a transaction of one compare and one put, as every small control-plane change is.

use std::{hint::black_box, time::Duration};

use tidegate_proto::{
    key,
    transaction::{OutcomeV1, PutV1, TransactionV1},
};
use tidegate_state::State;

use crate::{case::Case, cpu_clock::CpuInstant};

/// A REST API's document has about this size.
const DOCUMENT_BYTES: usize = 512;
/// Transactions prepared at a time.
const PREPARED: u64 = 4_096;

pub(super) fn cases() -> Vec<Case> {
    let sizes = [10, 10_000];
    let apply = sizes.into_iter().map(|records| put(records, Mode::Current));
    let refuse = sizes.into_iter().map(|records| put(records, Mode::Outdated));
    apply.chain(refuse).chain([difference(10_000)]).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// The compare holds, so the put happens.
    Current,
    /// Another writer was first, so nothing does.
    Outdated,
}

fn put(records: usize, mode: Mode) -> Case {
    let mut state = filled(records);
    let what = match mode {
        Mode::Current => "compare and put",
        Mode::Outdated => "compare and conflict",
    };
    let mut next = 0;
    let mut prepare = move |state: &State| {
        next = (next + 1) % records;
        let key = key::rest_api(&next.to_string());
        let revision = state.revision_of(&key) + u64::from(mode == Mode::Outdated);
        let mut transaction = TransactionV1::default();
        transaction.compare(key.clone(), revision);
        transaction.puts.push(PutV1 { key, bytes: vec![next as u8; DOCUMENT_BYTES] });
        transaction
    };
    // A key comes again only after `records` others, so transactions prepared together do not outdate each other.
    let chunk = PREPARED.min(records as u64);
    Case::timed(format!("{what}, {records} records"), move |times| {
        let (mut left, mut took) = (times, Duration::ZERO);
        while left > 0 {
            let count = left.min(chunk);
            let prepared: Vec<TransactionV1> = (0..count).map(|_| prepare(&state)).collect();
            let start = CpuInstant::now();
            for transaction in prepared {
                let outcome = black_box(state.apply(black_box(transaction)));
                debug_assert_eq!(matches!(outcome, OutcomeV1::Committed { .. }), mode == Mode::Current);
            }
            took += start.elapsed();
            left -= count;
        }
        took
    })
}

/// What changed between two states that differ in one record.
fn difference(records: usize) -> Case {
    let older = filled(records);
    let mut newer = older.clone();
    let put = PutV1 { key: key::rest_api("5"), bytes: vec![0; DOCUMENT_BYTES] };
    newer.apply(TransactionV1 { puts: vec![put], ..TransactionV1::default() });
    Case::new(format!("find one change, {records} records"), move || {
        drop(black_box(newer.changes_since(black_box(&older))));
    })
}

fn filled(records: usize) -> State {
    let mut state = State::default();
    for index in 0..records {
        let put = PutV1 { key: key::rest_api(&index.to_string()), bytes: vec![1; DOCUMENT_BYTES] };
        state.apply(TransactionV1 { puts: vec![put], ..TransactionV1::default() });
    }
    state
}
