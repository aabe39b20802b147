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
const MEASUREMENTS_MAX: usize = 60;

/// Measures the cases whose `group/name` contains `filter`.
pub fn measure(effort: Effort, filter: &str, mut progress: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let mut cases = (group.build)();
        for at in 0..cases.len() {
            let (before, rest) = cases.split_at_mut(at);
            let [case, ..] = rest else { continue };
            if format!("{}/{}", group.name, case.name).contains(filter) {
                let row = judge(effort, group.name, case, before);
                progress(&row);
                rows.push(row);
            }
        }
    }
    rows
}

/// Measures a case until its bound is kept or it was measured often enough. The quietest measurement counts. What the case is
/// compared with is measured beside it each time, for a machine's memory is slower for minutes; of that the median counts.
fn judge(effort: Effort, group: &'static str, case: &mut Case, before: &mut [Case]) -> Row {
    let mut best = effort.measure(case);
    let (mut sums, mut measurements) = (Vec::new(), 1);
    loop {
        sums.extend(sum_ns(effort, case.sum_of, before));
        sums.sort_by(f64::total_cmp);
        let sum_ns = sums.get(sums.len() / 2).copied();
        let limit_ns = case.bound_ns.map(|bound| bound.max(sum_ns.unwrap_or_default()));
        let kept = limit_ns.map(|limit| best.p10_ns < limit);
        if kept != Some(false) || measurements == MEASUREMENTS_MAX {
            let Measured { p10_ns, median_ns, p90_ns } = best;
            let (name, bound_ns) = (case.name.clone(), case.bound_ns);
            return Row { group, name, p10_ns, median_ns, p90_ns, bound_ns, sum_ns, kept };
        }
        let again = effort.measure(case);
        if again.p10_ns < best.p10_ns {
            best = again;
        }
        measurements += 1;
    }
}

/// What the cases of these names take together; `None` where there are none.
fn sum_ns(effort: Effort, names: &[&str], cases: &mut [Case]) -> Option<f64> {
    let parts = cases.iter_mut().filter(|case| names.contains(&case.name.as_str()));
    parts.map(|case| effort.measure(case).p10_ns).reduce(|sum, part| sum + part)
}
