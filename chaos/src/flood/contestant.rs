//! Who takes part in a race, by name. Owns the list; the limiters are in their own files.

use clap::ValueEnum;

use super::{
    baseline::{Alone, Central, Drifting, Owner, Trickle, Window},
    course::Course,
    moment::{MS, SECOND},
    race::{self, Outcome},
    tidegate::{Settings, Tidegate},
};

/// A limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// Each node has the whole limit
    Full,
    /// Each node has an even part of the limit
    Split,
    /// A store decides about each request
    Central,
    /// One node owns each limit, asked every 500 µs
    Owner,
    /// Windows of a second, with a store every second
    WindowSlow,
    /// Windows of a second, with a store every 100 ms
    WindowFast,
    /// Buckets that follow a store every second
    DriftingSlow,
    /// Buckets that follow a store every 100 ms
    DriftingFast,
    /// Grants that trickle for 10 s
    Trickle,
    /// Tidegate, whose nodes have their leases from far away
    Flat,
    /// Tidegate, limits that are never exceeded
    Strict,
    /// Tidegate, as it comes
    Tidegate,
}

impl Contestant {
    /// What is compared on rate limits.
    pub(crate) const RATES: [Self; 10] = [
        Self::Full,
        Self::Split,
        Self::Central,
        Self::Owner,
        Self::WindowSlow,
        Self::WindowFast,
        Self::DriftingFast,
        Self::Trickle,
        Self::Strict,
        Self::Tidegate,
    ];

    /// What is compared on quotas.
    pub(crate) const QUOTAS: [Self; 6] =
        [Self::Split, Self::Central, Self::Owner, Self::DriftingSlow, Self::DriftingFast, Self::Tidegate];

    /// What is compared on limits that span regions.
    pub(crate) const GLOBAL: [Self; 8] = [
        Self::Split,
        Self::Central,
        Self::Owner,
        Self::WindowSlow,
        Self::DriftingFast,
        Self::Flat,
        Self::Strict,
        Self::Tidegate,
    ];

    /// As it is called in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Full => "local, whole limit each",
            Self::Split => "local, even split",
            Self::Central => "central per request (Envoy RLS)",
            Self::Owner => "owner batching 500 us (Gubernator)",
            Self::WindowSlow => "window sync 1 s (Kong)",
            Self::WindowFast => "window sync 100 ms (Kong)",
            Self::DriftingSlow => "async bucket sync 1 s",
            Self::DriftingFast => "async bucket sync 100 ms",
            Self::Trickle => "trickle grants 10 s (CockroachDB)",
            Self::Flat => "Tidegate, flat, strict",
            Self::Strict => "Tidegate, strict",
            Self::Tidegate => "Tidegate",
        }
    }

    /// Runs it.
    pub(crate) fn run(self, course: &Course) -> Outcome {
        match self {
            Self::Full => race::run(Alone::new(false), course),
            Self::Split => race::run(Alone::new(true), course),
            Self::Central => race::run(Central::default(), course),
            Self::Owner => race::run(Owner::default(), course),
            Self::WindowSlow => race::run(Window::new(SECOND), course),
            Self::WindowFast => race::run(Window::new(100 * MS), course),
            Self::DriftingSlow => race::run(Drifting::new(SECOND), course),
            Self::DriftingFast => race::run(Drifting::new(100 * MS), course),
            Self::Trickle => race::run(Trickle::default(), course),
            Self::Flat => Self::tidegate(&Course { strict: true, ..course.clone() }, true),
            Self::Strict => Self::tidegate(&Course { strict: true, ..course.clone() }, false),
            Self::Tidegate => Self::tidegate(course, false),
        }
    }

    fn tidegate(course: &Course, is_flat: bool) -> Outcome {
        race::run(Tidegate::new(course, Settings { is_flat, ..Settings::default() }), course)
    }
}
