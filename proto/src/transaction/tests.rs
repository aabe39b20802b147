//! Frozen bytes: the log and other nodes hold them.

use super::*;

fn sample() -> TransactionV1 {
    TransactionV1 {
        compares: vec![CompareV1 { key: "restapi/a".into(), revision: 7 }],
        puts: vec![PutV1 { key: "restapi/a/stage/prod-eu-1".into(), bytes: b"{}".to_vec() }],
        deletes: vec!["x".into()],
        delete_prefixes: vec![],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn transactions_travel() {
    let bytes = sample().encode().unwrap();
    assert_eq!(TransactionV1::decode(&bytes).unwrap(), sample());
    assert!(matches!(OutcomeV1::decode(&bytes), Err(FrameError::Kind { .. })));
}

#[test]
fn golden_transaction() {
    frozen(
        "transaction-v1",
        &hex(&sample().encode().unwrap()),
        include_str!("../../tests/golden/transaction-v1.hex"),
    );
}

#[test]
fn golden_outcome() {
    let outcome = OutcomeV1::Conflict { key: "restapi/a".into(), found: 9 };
    frozen("outcome-v1", &hex(&outcome.encode().unwrap()), include_str!("../../tests/golden/outcome-v1.hex"));
}

fn frozen(name: &str, actual: &str, golden: &str) {
    assert_eq!(
        actual,
        golden.trim(),
        "{name} changed on the wire: add a version instead of changing this one"
    );
}
