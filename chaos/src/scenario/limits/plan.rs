//! Which limits are put to the test, how much is asked of each in every zone, and how long the phases last. Pure numbers.

use std::time::Duration;

use super::bucket::Rate;

/// Zones of the region under test: the smallest number that survives the loss of one.
pub(super) const AZS: usize = 3;
/// How the zones share what is asked of a limit, in percent: unevenly, and so that two zones alone still ask for more than the
/// limit allows.
type Shares = [u32; AZS];

/// What holds the requests of a limit back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    /// A token bucket.
    Rate(Rate),
    /// So many requests per month.
    Quota(u32),
}

/// Where the limit is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Method settings of a stage.
    Stage,
    /// A usage plan with one API key.
    Plan,
}

/// How its figures are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Asked for more than it allows, all the time.
    Short,
    /// A client that stays well below its own limit, in the zone of this number.
    Modest(usize),
    /// A quota that is used up while nothing fails.
    EarlyQuota,
    /// A quota that is used up in the end.
    LateQuota,
}

/// A limit under test; stage, upstream path and report carry its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) law: Law,
    pub(super) strict: bool,
    pub(super) place: Place,
    pub(super) part: Part,
    /// Requests per second of all zones.
    pub(super) asked_per_s: u32,
    pub(super) shares: Shares,
}

/// Lengths of the phases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From the first request on: every node still has a whole bucket, or its first share of it.
    pub(super) cold: Duration,
    /// While nothing fails, and while a zone is cut off.
    pub(super) calm: Duration,
    /// From a loss on.
    pub(super) loss: Duration,
    /// From a loss until the node is started again, the leader of the ledger as fast as an init system would.
    pub(super) down_leader: Duration,
    /// The same for a zone.
    pub(super) down_az: Duration,
    /// After a cut; as long as the promise of what is admitted afterwards.
    pub(super) mended: Duration,
}

const LARGE: Rate = Rate { per_s: 300, burst: 150 };
const SMALL: Rate = Rate { per_s: 20, burst: 10 };
const OWN: Rate = Rate { per_s: 60, burst: 40 };
/// Requests per second of a quota, over all zones.
const QUOTA_PER_S: u32 = 60;
/// The same when the rest of it is used up in the end, in each zone.
pub(super) const RUSH_PER_S: u32 = 200;
/// Used up about ten seconds after the first request.
const EARLY_QUOTA: u32 = 600;

impl Times {
    /// With calm phases of so many seconds.
    pub(super) fn new(calm_s: u64) -> Self {
        let s = Duration::from_secs;
        Self { cold: s(3), calm: s(calm_s), loss: s(20), down_leader: s(2), down_az: s(6), mended: s(20) }
    }

    /// All phases of a run of so many rounds.
    pub(super) fn total(&self, rounds: u32) -> Duration {
        self.cold + self.calm + (self.loss * 2 + self.calm + self.mended) * rounds
    }
}

impl Limit {
    /// Requests per second in a zone.
    pub(super) fn asked_in(&self, az: usize) -> u32 {
        self.asked_per_s * self.shares.get(az).copied().unwrap_or(0) / 100
    }

    /// Its bucket, where it is one.
    pub(super) fn rate(&self) -> Option<Rate> {
        match self.law {
            Law::Rate(rate) => Some(rate),
            Law::Quota(_) => None,
        }
    }
}

/// Every limit of a run that takes so long.
pub(super) fn limits(total: Duration) -> Vec<Limit> {
    let short = |name, rate: Rate, strict, place, factor: f64, shares| {
        let asked_per_s = (f64::from(rate.per_s) * factor) as u32;
        Limit { name, law: Law::Rate(rate), strict, place, part: Part::Short, asked_per_s, shares }
    };
    let modest = |name, az, shares| Limit {
        name,
        law: Law::Rate(OWN),
        strict: false,
        place: Place::Plan,
        part: Part::Modest(az),
        asked_per_s: OWN.per_s * 2 / 3,
        shares,
    };
    let quota = |name, limit, part| Limit {
        name,
        law: Law::Quota(limit),
        strict: false,
        place: Place::Plan,
        part,
        asked_per_s: QUOTA_PER_S,
        shares: [40, 35, 25],
    };
    // A third more than will be asked for, so that it lasts until it is used up in a rush.
    let late = u32::try_from(total.as_secs()).unwrap_or(u32::MAX).saturating_mul(QUOTA_PER_S * 4 / 3);
    vec![
        short("large", LARGE, false, Place::Stage, 3.5, [50, 30, 20]),
        short("small", SMALL, false, Place::Plan, 4.0, [20, 50, 30]),
        short("strict-large", LARGE, true, Place::Plan, 3.5, [30, 20, 50]),
        short("strict-small", SMALL, true, Place::Stage, 5.0, [40, 40, 20]),
        modest("modest-a", 0, [100, 0, 0]),
        modest("modest-b", 1, [0, 100, 0]),
        modest("modest-c", 2, [0, 0, 100]),
        quota("quota-early", EARLY_QUOTA, Part::EarlyQuota),
        quota("quota-late", late, Part::LateQuota),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_limit_stays_short_without_any_one_zone() {
        for limit in limits(Duration::from_secs(80)) {
            let all: u32 = (0..AZS).map(|az| limit.asked_in(az)).sum();
            assert_eq!(all, limit.asked_per_s, "{}", limit.name);
            if let (Part::Short, Some(rate)) = (limit.part, limit.rate()) {
                assert!((3..=5).contains(&(all / rate.per_s)), "{}", limit.name);
                for az in 0..AZS {
                    let rest = all - limit.asked_in(az);
                    assert!(rest * 10 >= rate.per_s * 15, "{} without zone {az}: {rest}", limit.name);
                }
            }
        }
    }

    #[test]
    fn the_late_quota_outlasts_the_run_and_the_early_one_does_not() {
        let times = Times::new(12);
        let asked = |seconds: u64| seconds * u64::from(QUOTA_PER_S);
        for rounds in [1, 5] {
            let total = times.total(rounds);
            let quota = |part| {
                let limit = limits(total).into_iter().find(|limit| limit.part == part).unwrap();
                let Law::Quota(quota) = limit.law else { panic!("{}", limit.name) };
                u64::from(quota)
            };
            assert!(quota(Part::LateQuota) > asked(total.as_secs()));
            assert!(quota(Part::EarlyQuota) < asked((times.cold + times.calm).as_secs()));
        }
    }
}
