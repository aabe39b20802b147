//! One thing to measure, with the bound it must stay under.

use std::time::Duration;

use crate::cpu_clock::CpuInstant;

/// Runs the measured operation so often and returns the processor time that took, preparation excluded.
pub type Run = Box<dyn FnMut(u64) -> Duration>;

/// One thing to measure.
pub struct Case {
    /// What it is, unique in its group.
    pub name: String,
    /// The lower decile must be below this, in nanoseconds.
    pub bound_ns: Option<f64>,
    /// Or below what these cases before it in the group take together, measured beside it: for what has to visit memory that is
    /// in no near cache, which takes several times as long where the machine's memory is busy.
    pub sum_of: &'static [&'static str],
    /// The operation.
    pub run: Run,
}

/// Cases that share a subject.
pub struct Group {
    /// Subject.
    pub name: &'static str,
    /// Prepares the cases; costs time, so it is called when the group's turn comes.
    pub build: fn() -> Vec<Case>,
}

impl Case {
    /// A case that runs `operation` over and over; `operation` hands its result to `black_box` itself.
    pub fn new(name: impl Into<String>, mut operation: impl FnMut() + 'static) -> Self {
        let run = move |times: u64| {
            let start = CpuInstant::now();
            (0..times).for_each(|_| operation());
            start.elapsed()
        };
        Self::timed(name, run)
    }

    /// A case that prepares and times by itself.
    pub fn timed(name: impl Into<String>, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self { name: name.into(), bound_ns: None, sum_of: &[], run: Box::new(run) }
    }

    /// With a bound on the lower decile, in nanoseconds.
    pub fn below_ns(self, bound_ns: f64) -> Self {
        Self { bound_ns: Some(bound_ns), ..self }
    }

    /// With another bound, of which one has to be kept: what the cases `names` of the group take together.
    pub fn or_below_sum(self, names: &'static [&'static str]) -> Self {
        Self { sum_of: names, ..self }
    }
}
