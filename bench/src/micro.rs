//! Single operations of the pure crates, measured one by one: what a request or a change costs before any IO.

mod apply;
mod cache;
mod decision;
mod frame;
mod limits;
mod route;
pub(crate) mod sample;
mod snapshot;
mod upstream;

use crate::{
    case::{Case, Group},
    sampler::{Effort, Measured},
    table::Row,
};

/// Every group, in the order of a request and then of a change.
pub const GROUPS: [Group; 8] = [
    Group { name: "route", build: route::cases },
    Group { name: "decision", build: decision::cases },
    Group { name: "limits", build: limits::cases },
    Group { name: "cache", build: cache::cases },
    Group { name: "upstream", build: upstream::cases },
    Group { name: "apply", build: apply::cases },
    Group { name: "frame", build: frame::cases },
    Group { name: "snapshot", build: snapshot::cases },
];

/// A missed bound is measured again so often: whatever else the machine does only ever adds time.
const MEASUREMENTS_MAX: usize = 25;

/// Measures the cases whose `group/name` contains `filter`.
pub fn measure(effort: Effort, filter: &str, mut progress: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows = Vec::new();
    for group in GROUPS {
        for mut case in (group.build)() {
            if !format!("{}/{}", group.name, case.name).contains(filter) {
                continue;
            }
            let before = rows.iter().filter(|row: &&Row| row.group == group.name);
            let parts = before.filter(|row| case.sum_of.contains(&row.name.as_str())).map(|row| row.p10_ns);
            let parts: Vec<f64> = parts.collect();
            let is_whole = !parts.is_empty() && parts.len() == case.sum_of.len();
            let sum_ns = is_whole.then(|| parts.iter().sum::<f64>());
            let limit_ns = case.bound_ns.map(|bound| bound.max(sum_ns.unwrap_or_default()));
            let measured = quietest(effort, &mut case, limit_ns);
            let row = Row {
                group: group.name,
                p10_ns: measured.p10_ns,
                median_ns: measured.median_ns,
                p90_ns: measured.p90_ns,
                bound_ns: case.bound_ns,
                sum_ns,
                kept: limit_ns.map(|limit| measured.p10_ns < limit),
                name: case.name,
            };
            progress(&row);
            rows.push(row);
        }
    }
    rows
}

fn quietest(effort: Effort, case: &mut Case, limit_ns: Option<f64>) -> Measured {
    let mut best = effort.measure(case);
    for _ in 1..MEASUREMENTS_MAX {
        if limit_ns.is_none_or(|limit| best.p10_ns < limit) {
            break;
        }
        let again = effort.measure(case);
        if again.p10_ns < best.p10_ns {
            best = again;
        }
    }
    best
}
