//! Transactions as data: what is applied, what it answers, what the state holds after.

use tidegate_proto::transaction::{CompareV1, PutV1};

use super::*;
use crate::Change;

fn transaction(
    compares: &[(&str, u64)],
    puts: &[(&str, &str)],
    deletes: &[&str],
    prefixes: &[&str],
) -> TransactionV1 {
    TransactionV1 {
        compares: compares.iter().map(|(k, r)| CompareV1 { key: (*k).into(), revision: *r }).collect(),
        puts: puts.iter().map(|(k, v)| PutV1 { key: (*k).into(), bytes: v.as_bytes().to_vec() }).collect(),
        deletes: deletes.iter().map(|k| (*k).into()).collect(),
        delete_prefixes: prefixes.iter().map(|k| (*k).into()).collect(),
    }
}

fn contents(state: &State) -> Vec<(String, u64, String)> {
    let text = |record: &Record| String::from_utf8(record.bytes.to_vec()).unwrap();
    state.prefix("").map(|(key, record)| (key.into(), record.revision, text(record))).collect()
}

#[test]
fn all_or_nothing() {
    let mut state = State::default();
    assert_eq!(
        state.apply(transaction(&[("a", 0)], &[("a", "1"), ("b", "1")], &[], &[])),
        OutcomeV1::Committed { revision: 1 }
    );
    let before = (contents(&state), state.hash());
    assert_eq!(
        state.apply(transaction(&[("b", 1), ("a", 0)], &[("c", "1")], &["b"], &[])),
        OutcomeV1::Conflict { key: "a".into(), found: 1 }
    );
    assert_eq!((contents(&state), state.hash()), before);
    assert_eq!(
        state.apply(transaction(&[("a", 1)], &[("a", "2")], &["b", "absent"], &[])),
        OutcomeV1::Committed { revision: 2 }
    );
    assert_eq!(contents(&state), [("a".into(), 2, "2".into())]);
}

#[test]
fn prefixes_go_before_puts() {
    let mut state = State::default();
    state.apply(transaction(&[], &[("p/a", "1"), ("p/b", "1"), ("q", "1")], &[], &[]));
    state.apply(transaction(&[], &[("p/b", "2")], &[], &["p/"]));
    assert_eq!(contents(&state), [("p/b".into(), 2, "2".into()), ("q".into(), 1, "1".into())]);
}

#[test]
fn bounds_are_named() {
    let mut state = State::default();
    for bad in [
        transaction(&[], &[("", "1")], &[], &[]),
        transaction(&[], &[(&"k".repeat(KEY_BYTES_MAX + 1), "1")], &[], &[]),
        transaction(&[], &[], &[], &[""]),
        transaction(&[], &[], &vec!["k"; TRANSACTION_OPERATIONS_MAX + 1], &[]),
    ] {
        assert!(matches!(state.apply(bad), OutcomeV1::Refused { .. }));
    }
    assert!(matches!(state.apply_bytes(b"not a frame"), OutcomeV1::Refused { .. }));
    assert_eq!(state.revision(), 0);
}

#[test]
fn two_replicas_agree_and_the_difference_rebuilds() {
    let mut random = 7_u64;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let (mut one, mut two, mut checkpoint) = (State::default(), State::default(), State::default());
    for round in 0..2_000 {
        let key = format!("k/{}", next() % 50);
        let step = match next() % 4 {
            0 => transaction(&[(&key, one.revision_of(&key))], &[(&key, "x")], &[], &[]),
            1 => transaction(&[(&key, next() % 3)], &[(&key, "y")], &[], &[]),
            2 => transaction(&[], &[], &[&key], &[]),
            _ => transaction(&[], &[(&key, &format!("{round}"))], &[], &[]),
        };
        let bytes = step.encode().unwrap();
        assert_eq!(one.apply_bytes(&bytes), two.apply_bytes(&bytes));
        assert_eq!(one.hash(), two.hash());
        if round == 1_000 {
            checkpoint = one.clone();
        }
    }
    let mut rebuilt = checkpoint.clone();
    for change in one.changes_since(&checkpoint) {
        match change {
            Change::Put { key, record } => rebuilt.put(key, record),
            Change::Delete { key } => rebuilt.delete(&key),
        }
    }
    rebuilt.revision = one.revision;
    assert_eq!(rebuilt.hash(), one.hash());
    assert_eq!(
        one.bytes(),
        contents(&one).iter().map(|(key, _, text)| key.len() + text.len()).sum::<usize>()
    );
    assert_eq!(contents(&rebuilt), contents(&one));
}
