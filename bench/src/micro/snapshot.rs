//! From definitions to what requests see: compile, write, read, swap.

use std::{hint::black_box, sync::Arc};

use arc_swap::ArcSwap;
use tidegate_gateway::{Snapshot, StageTable};

use super::sample;
use crate::case::Case;

const ROUTES: usize = 20_000;

pub(super) fn cases() -> Vec<Case> {
    let definition = sample::definition(ROUTES);
    let stage = sample::stage();
    let snapshot = sample::snapshot(ROUTES);
    let bytes = snapshot.encode().expect("the sample encodes");
    let current = Arc::new(ArcSwap::from_pointee(snapshot));
    let (to_encode, to_store, to_load) = (current.load_full(), current.clone(), current);
    let pair = [to_encode.clone(), Arc::new(Snapshot::empty("eu-west-1", "000000000000"))];
    let mut turn = 0;
    vec![
        Case::new(format!("compile, {ROUTES} routes"), move || {
            drop(black_box(StageTable::compile(black_box(&definition), black_box(&stage))));
        }),
        Case::new(format!("encode, {ROUTES} routes"), move || drop(black_box(to_encode.encode()))),
        Case::new(format!("decode and validate, {ROUTES} routes"), move || {
            drop(black_box(Snapshot::decode(black_box(&bytes))));
        }),
        Case::new("swap", move || {
            turn ^= 1;
            to_store.store(pair[turn].clone());
        }),
        Case::new("guard", move || drop(black_box(to_load.load()))),
    ]
}
