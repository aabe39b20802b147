//! What a token bucket allows: the checker of rate limits. Counts in millionths of a token, so nothing is rounded. Must never
//! know how the product divides a bucket.

/// One token, in units in which `requests per second x microseconds` is exact.
const TOKEN: i64 = 1_000_000;
/// The sum of a window that has not begun.
const NEVER: i64 = i64::MIN / 2;

/// A rate limit as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Rate {
    /// Requests per second.
    pub(super) per_s: u32,
    /// Requests at once.
    pub(super) burst: u32,
}

/// A request that was admitted somewhere between two moments of the run, both in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Admitted {
    /// When it left the client: it was not admitted before.
    pub(super) sent_us: u64,
    /// When it arrived at the upstream: it was admitted by then.
    pub(super) arrived_us: u64,
}

/// For every moment at which a request was sent: how much of burst and rate the requests took that lived from then on. A tree
/// over those moments, each node of which knows the largest sum below it.
struct Windows {
    leaves: usize,
    /// What the requests below a node took.
    taken: Vec<i64>,
    /// The largest of `rate x moment + what was taken from that moment on`.
    most: Vec<i64>,
}

/// The arrivals, in order, of requests that the limit did not allow, whatever the delays were: with them, and without those
/// before them, some window of time holds more whole lives of requests, from sending to arrival, than burst and rate allow.
///
/// Such a request counts once; those after it are judged as if it had not been.
pub(super) fn beyond(rate: Rate, mut admitted: Vec<Admitted>) -> Vec<u64> {
    admitted.sort_unstable();
    let (per_s, burst) = (i64::from(rate.per_s), i64::from(rate.burst));
    let time = |at_us: u64| i64::try_from(at_us).unwrap_or(i64::MAX).saturating_mul(per_s);
    let mut windows = Windows::new(admitted.len());
    let mut begun = admitted.iter().enumerate().peekable();
    let mut by_arrival: Vec<(u64, usize)> =
        admitted.iter().enumerate().map(|(place, r)| (r.arrived_us.max(r.sent_us), place)).collect();
    by_arrival.sort_unstable();
    let allows = |windows: &Windows, arrived_us| windows.largest() <= burst * TOKEN + time(arrived_us);
    by_arrival.retain(|(arrived_us, place)| {
        while let Some((start, request)) = begun.next_if(|(_, request)| request.sent_us <= *arrived_us) {
            windows.begin(start, time(request.sent_us));
        }
        windows.set(*place, TOKEN);
        let is_allowed = allows(&windows, *arrived_us);
        if !is_allowed {
            windows.set(*place, 0);
        }
        !is_allowed
    });
    by_arrival.into_iter().map(|(arrived_us, _)| arrived_us).collect()
}

/// How many of the requests sent at these moments one bucket would have admitted, by the moment.
pub(super) fn ideal(rate: Rate, sent_us: &[u64]) -> Vec<u64> {
    let at_once = |at_us: &u64| Admitted { sent_us: *at_us, arrived_us: *at_us };
    let refused = beyond(rate, sent_us.iter().map(at_once).collect());
    let mut refused = refused.into_iter().peekable();
    let mut sent = sent_us.to_vec();
    sent.sort_unstable();
    sent.retain(|at_us| refused.next_if(|refused| refused <= at_us).is_none());
    sent
}

impl Windows {
    fn new(starts: usize) -> Self {
        let leaves = starts.next_power_of_two();
        Self { leaves, taken: vec![0; 2 * leaves], most: vec![NEVER; 2 * leaves] }
    }

    /// Windows may begin at this moment, in the order of the places.
    fn begin(&mut self, place: usize, moment: i64) {
        self.most[self.leaves + place] = moment;
        self.set(place, 0);
    }

    /// A request took this much; it was sent at the moment of this place.
    fn set(&mut self, place: usize, taken: i64) {
        let mut node = self.leaves + place;
        self.most[node] += taken - self.taken[node];
        self.taken[node] = taken;
        while node > 1 {
            node /= 2;
            self.sum_up(node);
        }
    }

    fn sum_up(&mut self, node: usize) {
        let (early, late) = (2 * node, 2 * node + 1);
        self.taken[node] = self.taken[early] + self.taken[late];
        self.most[node] = self.most[late].max(self.most[early] + self.taken[late]);
    }

    fn largest(&self) -> i64 {
        self.most[1]
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const MS: u64 = 1_000;

    fn exact(times_us: &[u64]) -> Vec<Admitted> {
        times_us.iter().map(|at| Admitted { sent_us: *at, arrived_us: *at }).collect()
    }

    fn every(step_us: u64, count: u64, from_us: u64) -> Vec<u64> {
        (0..count).map(|i| from_us + i * step_us).collect()
    }

    #[test]
    fn a_bucket_refuses_what_it_has_not() {
        let rate = Rate { per_s: 100, burst: 5 };
        for (what, times, expect) in [
            ("its burst at once", vec![0; 5], 0),
            ("one more", vec![0; 6], 1),
            ("one more, a token later", [vec![0; 5], vec![10 * MS]].concat(), 0),
            ("one more, just too early", [vec![0; 5], vec![10 * MS - 1]].concat(), 1),
            ("its rate, after the burst", [vec![0; 5], every(10 * MS, 1_000, 10 * MS)].concat(), 0),
            ("its rate and a hundredth", every(9_900, 10_000, 0), 10_000 - 9_900 - 5),
            ("a second burst after a pause", [vec![0; 5], vec![1_000 * MS; 5]].concat(), 0),
            ("a second burst and one more", [vec![0; 5], vec![1_000 * MS; 6]].concat(), 1),
        ] {
            let left = beyond(rate, exact(&times)).len();
            assert!(left.abs_diff(expect) <= usize::from(expect > 1), "{what}: {left}, not {expect}");
        }
    }

    #[test]
    fn an_excess_counts_once_and_where_it_happens() {
        let rate = Rate { per_s: 100, burst: 1 };
        let mut times = every(10 * MS, 1_000, 0);
        times.extend([5_000 * MS; 7]);
        let left = beyond(rate, exact(&times));
        assert_eq!(left, vec![5_000 * MS; 7]);
    }

    #[test]
    fn a_delay_excuses_as_much_as_it_can_and_no_more() {
        let rate = Rate { per_s: 100, burst: 1 };
        let held = |sent_us, arrived_us| Admitted { sent_us, arrived_us };
        for (what, admitted, expect) in [
            (
                "ten that were held back arrive at once",
                (0..10).map(|i| held(i * 10 * MS, 90 * MS)).collect(),
                0,
            ),
            ("ten that were sent at once", vec![held(0, 80 * MS); 10], 1),
            ("ten that could not be held back", vec![held(90 * MS, 90 * MS); 10], 9),
            ("who arrives first takes first", vec![held(0, 25 * MS), held(0, 10 * MS), held(0, 0)], 0),
            (
                "and a fourth is too many",
                vec![held(0, 25 * MS), held(0, 10 * MS), held(0, 0), held(0, 9 * MS)],
                1,
            ),
            ("one that is in no hurry leaves the token", vec![held(0, 50 * MS), held(1, 1)], 0),
        ] {
            assert_eq!(beyond(rate, admitted).len(), expect, "{what}");
        }
    }

    #[test]
    fn agrees_with_counting_windows() {
        let mut random = StdRng::seed_from_u64(5);
        let (mut clean, mut dirty) = (0, 0);
        for _ in 0..400 {
            let rate = Rate { per_s: random.random_range(50..500), burst: random.random_range(1..4) };
            let one = |random: &mut StdRng| {
                let sent_us = random.random_range(0..100 * MS);
                Admitted { sent_us, arrived_us: sent_us + random.random_range(0..20 * MS) }
            };
            let admitted: Vec<Admitted> = (0..random.random_range(1..30)).map(|_| one(&mut random)).collect();
            let allows = |from_us: u64, to_us: u64| {
                let within = |r: &&Admitted| r.sent_us >= from_us && r.arrived_us <= to_us;
                let count = admitted.iter().filter(within).count() as u64;
                count * 1_000_000
                    <= u64::from(rate.burst) * 1_000_000 + (to_us - from_us) * u64::from(rate.per_s)
            };
            let starts = admitted.iter().map(|r| r.sent_us);
            let kept = starts.into_iter().all(|from_us| {
                let ends = admitted.iter().map(|r| r.arrived_us).filter(|to_us| *to_us >= from_us);
                ends.into_iter().all(|to_us| allows(from_us, to_us))
            });
            let left = beyond(rate, admitted.clone()).len();
            *(if left == 0 { &mut clean } else { &mut dirty }) += 1;
            assert_eq!(left == 0, kept, "{rate:?} {admitted:?}");
        }
        assert!(clean > 50 && dirty > 50, "{clean} {dirty}");
    }

    #[test]
    fn the_ideal_admits_the_rate_and_the_burst() {
        let rate = Rate { per_s: 100, burst: 20 };
        let offered = every(2_500, 4_000, 0);
        let admitted = ideal(rate, &offered);
        assert!(admitted.len().abs_diff(1_000 + 20) <= 1, "{}", admitted.len());
        assert_eq!(ideal(rate, &every(20 * MS, 100, 0)).len(), 100);
        assert!(beyond(rate, exact(&admitted)).is_empty());
    }
}
