//! Whether a run kept what its limits promise: the envelope of every limit from outside, the sums inside, and that it recovers.
//! Owns the bounds.

use super::case::Case;
use crate::flood::{
    course::{Course, Terms},
    moment::MS,
    race::{self, Outcome},
    tidegate::{Settings, Tidegate},
};

/// What arithmetic may get wrong, in tokens.
const ROUNDING: f64 = 1e-3;

/// Runs a case; what is broken.
pub(super) fn broken(case: &Case, settings: Settings) -> (Vec<String>, Option<Outcome>) {
    match case.course() {
        Err(reason) => (vec![reason.to_string()], None),
        Ok(course) => {
            let outcome = race::run(Tidegate::new(&course, settings), &course);
            (complaints(case, &course, &outcome), Some(outcome))
        }
    }
}

fn complaints(case: &Case, course: &Course, outcome: &Outcome) -> Vec<String> {
    let mut complaints = outcome.complaints.clone();
    for (limit, ending) in outcome.judge.endings().into_iter().enumerate() {
        let terms = course.terms(limit);
        let bound = match terms {
            Terms::Strict | Terms::Quota => ROUNDING,
            Terms::Default => loosest(course, ending.rate, ending.burst),
        };
        if ending.excess > bound {
            complaints.push(format!(
                "limit {limit} ({terms:?}, rate {:.1}, burst {}) is exceeded by {:.3} requests, {bound:.3} are allowed",
                ending.rate, ending.burst, ending.excess
            ));
        }
    }
    let since = ((course.length_s * 1e3) as u64 - case.mode.quiet_end_ms() + case.mode.recovered_ms()) * MS;
    if course.shared == 0
        && let Some(fill) = outcome.judge.fill_since(since).filter(|fill| *fill < case.mode.recovered_fill())
    {
        complaints.push(format!("fills only {:.0} % long after the last fault", 100.0 * fill));
    }
    complaints
}

/// What a limit that is not strict can be exceeded by at worst: every node sees a full bucket once, and all of them run on an even
/// share while others hold leases.
fn loosest(course: &Course, rate: f64, burst: f64) -> f64 {
    let nodes = course.places.nodes() as f64;
    (nodes + 1.0) * burst + 2.0 * nodes + rate * course.length_s
}
