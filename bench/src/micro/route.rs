//! From the head of a request to its method.

use std::hint::black_box;

use tidegate_gateway::{Address, address};

use super::sample::{self, API, STAGE};
use crate::case::Case;

/// The bound that must hold at [`BOUND_AT_ROUTES`] routes.
const BOUND_NS: f64 = 150.0;
const BOUND_AT_ROUTES: usize = 10_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [10, 1_000, 10_000].into_iter().map(hit).collect();
    cases.push(miss(10_000));
    cases.push(read_address());
    cases
}

/// Every route in turn, two in three with parameters.
fn hit(routes: usize) -> Case {
    let snapshot = sample::snapshot(routes);
    let mut paths = sample::paths(routes, "");
    for _ in 0..paths.len() {
        let path = paths.turn();
        assert!(snapshot.route(Some(at(path)), "GET").is_ok(), "{path} has a route");
    }
    let case = Case::new(format!("match, {routes} routes"), move || {
        let _ = black_box(snapshot.route(Some(at(black_box(paths.turn()))), "GET"));
    });
    if routes == BOUND_AT_ROUTES { case.below_ns(BOUND_NS) } else { case }
}

fn miss(routes: usize) -> Case {
    let snapshot = sample::snapshot(routes);
    let mut paths = sample::paths(routes, "/none/such");
    Case::new(format!("miss, {routes} routes"), move || {
        let _ = black_box(snapshot.route(Some(at(black_box(paths.turn()))), "GET"));
    })
}

fn read_address() -> Case {
    let host = format!("{API}.execute-api.eu-west-1.amazonaws.com");
    Case::new("read the address", move || {
        let _ = black_box(address(
            black_box(host.as_bytes()),
            black_box("/prod/service-001/resource-00100/7919"),
        ));
    })
}

fn at(path: &str) -> Address<'_> {
    Address { api: API.as_bytes(), stage: STAGE, rest: path, by_host: true }
}
