//! The limits of a course as the product knows them: declared in an index, once per change of the configuration. Owns names and
//! references; must never hold state of a limit.

use std::sync::Arc;

use tidegate_throttle::{
    Holders, Index, Isolated, Kind, LimitId, LimitRef, Name, Period, Policy, Scope, Spec,
};

use crate::flood::{
    course::{Course, Terms},
    level::Limit,
};

/// The day on which every run begins, in days since 1970-01-01.
pub(super) const FIRST_DAY: u32 = 20_000;

/// One version of the configuration.
#[derive(Debug)]
pub(super) struct Catalog {
    /// Counts versions.
    pub(super) version: u64,
    pub(super) index: Arc<Index>,
    /// By limit of the course; absent where there is no room.
    refs: Vec<Option<LimitRef>>,
    ids: Vec<LimitId>,
    shared: usize,
    keys: usize,
}

impl Catalog {
    /// The first version.
    pub(super) fn first(course: &Course, limits: &[Limit], is_wide: bool) -> Self {
        Self::after((&Index::default(), 0), course, limits, is_wide, 0)
    }

    /// The version after this one.
    pub(super) fn next(&self, course: &Course, limits: &[Limit], is_wide: bool, now_ns: u64) -> Self {
        Self::after((&self.index, self.version), course, limits, is_wide, now_ns)
    }

    fn after(before: (&Index, u64), course: &Course, limits: &[Limit], is_wide: bool, now_ns: u64) -> Self {
        let scope = if is_wide { Scope::Global } else { Scope::Region };
        let holders = holders(course, scope);
        let mut builder = before.0.succeed(holders, now_ns);
        let (mut refs, mut ids) = (Vec::new(), Vec::new());
        for (at, limit) in limits.iter().enumerate() {
            let terms = course.terms(at);
            let (spec, plan) = described(*limit, terms, scope, holders);
            let name = Name::of(&format!("limit {at}"));
            let side = Some((plan.as_str(), spec));
            let is_quota = matches!(spec.kind, Kind::Quota(_));
            let (rate, quota) = if is_quota { (None, side) } else { (side, None) };
            refs.push(builder.declare(name, rate, quota));
            ids.push(name.limit_over(spec.kind, spec.scope));
        }
        Self {
            version: before.1 + 1,
            index: Arc::new(builder.finish()),
            refs,
            ids,
            shared: course.shared,
            keys: course.keys,
        }
    }

    /// What a client's request is held against.
    pub(super) fn refs(&self, key: usize) -> ([Option<LimitRef>; 2], usize) {
        let own = self.refs[key];
        match self.shared {
            0 => ([own, None], 1),
            shared => ([own, self.refs[self.keys + key % shared]], 2),
        }
    }

    /// All limits, in the order of the course.
    pub(super) fn ids(&self) -> &[LimitId] {
        &self.ids
    }
}

/// Whether the product keeps two limits in different ways: a limit that changes from one to the other starts afresh.
pub(crate) fn changes_kind(course: &Course, limit: usize, before: Limit, after: Limit) -> bool {
    let nodes = Holders::from(course.places.nodes());
    let kind = |numbers| described(numbers, course.terms(limit), Scope::Region, nodes).0.kind;
    kind(before) != kind(after)
}

fn holders(course: &Course, scope: Scope) -> Holders {
    let (all, regions) = (course.places.nodes(), course.places.regions);
    match scope {
        Scope::Region => Holders::from(all),
        Scope::Global => Holders { region: all / regions, all, regions },
    }
}

fn described(limit: Limit, terms: Terms, scope: Scope, holders: Holders) -> (Spec, String) {
    let plan = format!("{terms:?} {} {}", limit.rate, limit.burst);
    let spec = match terms {
        Terms::Quota => Spec::quota(limit.burst as u32, 0, Period::Day, FIRST_DAY, scope),
        Terms::Default | Terms::Strict => {
            let strict = terms == Terms::Strict;
            let policy = Policy { strict, isolated: Isolated::Even, scope };
            Spec::rate(limit.rate, limit.burst, policy, holders)
        }
    };
    (spec, plan)
}
