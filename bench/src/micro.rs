//! Single operations of the pure crates, measured one by one: what a request or a change costs before any IO.

mod apply;
mod decision;
mod frame;
mod limits;
mod route;
mod sample;
mod snapshot;

use crate::{
    case::{Case, Group},
    sampler::{Effort, Measured},
    table::Row,
};

/// Every group, in the order of a request and then of a change.
pub const GROUPS: [Group; 6] = [
    Group { name: "route", build: route::cases },
    Group { name: "decision", build: decision::cases },
    Group { name: "limits", build: limits::cases },
    Group { name: "apply", build: apply::cases },
    Group { name: "frame", build: frame::cases },
    Group { name: "snapshot", build: snapshot::cases },
];

/// A missed bound is measured again so often: whatever else the machine does only ever adds time.
const MEASUREMENTS_MAX: usize = 6;

/// Measures the cases whose `group/name` contains `filter`.
pub fn measure(effort: Effort, filter: &str, mut progress: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows = Vec::new();
    for group in GROUPS {
        for mut case in (group.build)() {
            if !format!("{}/{}", group.name, case.name).contains(filter) {
                continue;
            }
            let measured = quietest(effort, &mut case);
            let row = Row {
                group: group.name,
                p10_ns: measured.p10_ns,
                median_ns: measured.median_ns,
                p90_ns: measured.p90_ns,
                bound_ns: case.bound_ns,
                kept: case.bound_ns.map(|bound| measured.p10_ns < bound),
                name: case.name,
            };
            progress(&row);
            rows.push(row);
        }
    }
    rows
}

fn quietest(effort: Effort, case: &mut Case) -> Measured {
    let mut best = effort.measure(case);
    for _ in 1..MEASUREMENTS_MAX {
        if case.bound_ns.is_none_or(|bound| best.p10_ns < bound) {
            break;
        }
        let again = effort.measure(case);
        if again.p10_ns < best.p10_ns {
            best = again;
        }
    }
    best
}
