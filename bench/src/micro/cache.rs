//! A stored answer found: the key of a request written, hashed, looked for and compared, in the shard's own view of what is stored or in
//! the store behind it.

use std::hint::black_box;

use bytes::Bytes;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{limits::draws, sample};
use crate::case::Case;

/// More than a test of a request's key has to take.
const BOUND_NS: f64 = 100.0;
/// Room for all answers of a case.
const STORE_BYTES: u64 = 1 << 30;
/// As many requests as are drawn beforehand; then they begin again.
const DRAWS: usize = 1 << 18;

pub(super) fn cases() -> Vec<Case> {
    vec![
        in_turn("in the view of the shard, 1,000 answers", 1_000).below_ns(BOUND_NS),
        in_turn("in the view of the shard, 60,000 answers", 60_000),
        by_zipf("in the view or the store, 100,000 answers by Zipf's law", 100_000),
        in_turn("in the store, 100,000 answers in turn", 100_000),
    ]
}

/// Every answer as often as any other. A view holds 65,536: of more answers, each has left it when its turn comes again.
fn in_turn(name: &str, answers: usize) -> Case {
    let mut order: Vec<u32> = (0..answers as u32).collect();
    order.shuffle(&mut StdRng::seed_from_u64(1));
    find(name, answers, &order)
}

fn by_zipf(name: &str, answers: usize) -> Case {
    find(name, answers, &draws(answers))
}

fn find(name: &str, answers: usize, order: &[u32]) -> Case {
    let trial = sample::cache(STORE_BYTES);
    let path = |index: u32| sample::cached_path(u64::from(index));
    for index in 0..answers as u32 {
        trial.keep(&path(index), Bytes::from_static(b"{}"));
    }
    // They lie in memory in the order of their use, as heads that have just been read are in the cache.
    let paths: Vec<String> =
        order.iter().cycle().take(order.len().min(DRAWS)).map(|index| path(*index)).collect();
    let missing = paths.iter().filter(|path| !trial.find(path)).count();
    assert_eq!(missing, 0, "{name}: the store holds every answer");
    let mut at = 0;
    Case::new(name, move || {
        at = if at + 1 < paths.len() { at + 1 } else { 0 };
        if let Some(path) = paths.get(at) {
            black_box(trial.find(black_box(path)));
        }
    })
}
