//! The whole decision about a request, from its address to its plan, without reading it and without sending anything.

use std::hint::black_box;

use tidegate_gateway::{Address, authorize};
use tidegate_throttle::Bucket;

use super::sample::{self, API, STAGE};
use crate::case::Case;

const BOUND_NS: f64 = 300.0;
const ROUTES: usize = 200;
/// Account, API, stage, method and key: each may have a limit of its own.
const LIMITS: usize = 5;

pub(super) fn cases() -> Vec<Case> {
    vec![decide()]
}

/// Finds the route, checks the key, takes from five buckets.
fn decide() -> Case {
    let snapshot = sample::snapshot(ROUTES);
    let mut paths = sample::paths(ROUTES, "");
    let buckets: Vec<Bucket> = (0..LIMITS).map(|_| Bucket::new(1_000_000_000, u64::MAX)).collect();
    let mut now_ns = 0;
    Case::new(format!("route of {ROUTES}, key, {LIMITS} limits"), move || {
        now_ns += 1_000;
        let address =
            Address { api: API.as_bytes(), stage: STAGE, rest: black_box(paths.turn()), by_host: true };
        let decided = snapshot
            .route(Some(address), "GET")
            .and_then(|routed| authorize(routed, || black_box(Some("0123456789abcdef01234"))))
            .map(|authorized| {
                let is_admitted = buckets.iter().all(|bucket| bucket.take(black_box(now_ns)));
                (is_admitted, authorized.routed().plan())
            });
        let _ = black_box(decided);
    })
    .below_ns(BOUND_NS)
}
