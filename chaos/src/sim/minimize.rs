//! Makes a case that breaks an invariant small: leaves out faults by halves for as long as the same invariant breaks, then makes them
//! shorter, and the run.

use super::{case::Case, defect::Defect, fault::Fault, invariants::Invariant, run};

/// Runs that are spent on it.
const RUNS: usize = 200;
/// The run may end so long after the last fault that is left has begun, in milliseconds.
const REST_MS: u64 = 1_000;

/// The smallest case found, and the runs it took.
pub(crate) fn minimize(case: &Case, invariant: Invariant, defect: Option<Defect>) -> (Case, usize) {
    smallest(case, |case| run::run(case, defect).breaks(invariant))
}

fn smallest(case: &Case, breaks: impl Fn(&Case) -> bool) -> (Case, usize) {
    let mut search = Search { best: Case { faults: Some(case.schedule()), ..case.clone() }, runs: 0, breaks };
    search.leave_out();
    search.shorten();
    search.end_early();
    // What was left out first may be needed for nothing once the rest is shorter.
    search.leave_out();
    (search.best, search.runs)
}

struct Search<B> {
    best: Case,
    runs: usize,
    breaks: B,
}

impl<B: Fn(&Case) -> bool> Search<B> {
    fn faults(&self) -> Vec<Fault> {
        self.best.schedule()
    }

    /// Keeps a smaller case if it breaks the same.
    fn try_case(&mut self, case: Case) -> bool {
        self.runs += 1;
        let is_better = self.runs <= RUNS && (self.breaks)(&case);
        if is_better {
            self.best = case;
        }
        is_better
    }

    fn try_faults(&mut self, faults: Vec<Fault>) -> bool {
        self.try_case(Case { faults: Some(faults), ..self.best.clone() })
    }

    fn leave_out(&mut self) {
        let mut size = self.faults().len();
        while size > 0 {
            let mut from = 0;
            while from < self.faults().len() {
                let mut faults = self.faults();
                faults.drain(from..(from + size).min(faults.len()));
                if !self.try_faults(faults) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn shorten(&mut self) {
        for at in 0..self.faults().len() {
            loop {
                let mut faults = self.faults();
                faults[at].for_ms /= 2;
                if faults[at].for_ms == 0 || !self.try_faults(faults) {
                    break;
                }
            }
        }
    }

    fn end_early(&mut self) {
        let last_ms = self.faults().last().map_or(0, |fault| fault.at_ms + REST_MS);
        for seconds in [last_ms.div_ceil(1_000), self.best.seconds / 4, self.best.seconds / 2] {
            let is_less = seconds.max(1) < self.best.seconds;
            if is_less && self.try_case(Case { seconds: seconds.max(1), ..self.best.clone() }) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fault::What;

    #[test]
    fn what_matters_stays() {
        let cut = |at_ms, node| Fault { at_ms, for_ms: 800, what: What::PowerCut { nodes: vec![node] } };
        let faults: Vec<Fault> = (0..40).map(|number| cut(number * 400, number)).collect();
        let case = Case { faults: Some(faults), ..Case::of(1, 20) };
        let breaks = |case: &Case| {
            let faults = case.schedule();
            let has = |at_ms, long_ms| faults.iter().any(|f| f.at_ms == at_ms && f.for_ms >= long_ms);
            has(2_000, 100) && has(4_400, 400)
        };
        let (small, runs) = smallest(&case, breaks);
        let left: Vec<(u64, u64)> = small.schedule().iter().map(|f| (f.at_ms, f.for_ms)).collect();
        assert_eq!((left, small.seconds), (vec![(2_000, 100), (4_400, 400)], 6));
        assert!(runs <= RUNS, "{runs}");
    }
}
