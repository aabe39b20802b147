//! Framing: what a node pays to write a change into the log and to read it back.

use std::hint::black_box;

use tidegate_proto::{
    key,
    transaction::{PutV1, TransactionV1},
};

use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [("1 KiB", 1_024), ("256 KiB", 256 * 1_024)]
        .into_iter()
        .flat_map(|(size, bytes)| pair(size, bytes))
        .collect()
}

fn pair(size: &str, bytes: usize) -> [Case; 2] {
    let mut transaction = TransactionV1::default();
    transaction.compare(key::rest_api("a"), 7);
    transaction.puts.push(PutV1 { key: key::rest_api("a"), bytes: vec![7; bytes] });
    let sealed = transaction.encode().expect("below the limits");
    assert_eq!(TransactionV1::decode(&sealed).as_ref(), Ok(&transaction));
    let seal = Case::new(format!("seal a transaction, {size}"), move || {
        drop(black_box(black_box(&transaction).encode()));
    });
    let open = Case::new(format!("open and validate, {size}"), move || {
        drop(black_box(TransactionV1::decode(black_box(&sealed))));
    });
    [seal, open]
}
