//! From arrivals and answers to figures, phase by phase and limit by limit. Judges nothing against a bound; must never ask a
//! cluster.

use serde::Serialize;

use super::{
    bucket::{Admitted, Rate, beyond, ideal},
    client::{Asking, Tally},
    plan::{Limit, Part},
};
use crate::clock::Span;

/// What happens in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// The first requests, on buckets that nobody has touched.
    Cold,
    /// Nothing fails.
    Steady,
    /// The leader of a shard of the ledger was killed.
    Leader,
    /// A zone was killed.
    Zone,
    /// A zone is cut off from the others.
    Cut,
    /// The cut has ended.
    Mended,
}

/// A stretch of the run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Phase {
    pub(super) stage: Stage,
    /// What was done, for people.
    pub(super) what: String,
    /// Place of the zone that it was done to.
    #[serde(skip)]
    pub(super) az: Option<usize>,
    /// How often the leader of a shard of the ledger changed, at most.
    pub(super) elections: u64,
    pub(super) span: Span,
}

/// One limit in one phase.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) phase: usize,
    pub(super) stage: Stage,
    pub(super) limit: &'static str,
    pub(super) strict: bool,
    #[serde(skip)]
    pub(super) rate: Rate,
    #[serde(skip)]
    pub(super) elections: u64,
    pub(super) seconds: f64,
    /// Requests that were answered with 200 or 429.
    pub(super) asked: u64,
    /// Requests that arrived at the upstream.
    pub(super) admitted: u64,
    /// Requests that one bucket, asked by all, would have admitted.
    pub(super) ideal: u64,
    /// Of those, the share that was admitted.
    pub(super) fill_percent: f64,
    /// Requests that the limit did not allow, whatever their delays on the way to the upstream were.
    pub(super) over: u64,
    /// The same, in percent of the rate over the phase.
    pub(super) over_percent: f64,
    /// Requests beyond the limit if each was admitted only when it arrived at the upstream.
    pub(super) over_at_arrival: u64,
    /// From the fault until the fill stays at 95 %; absent without a fault, and where that does not happen.
    pub(super) recovery_ms: Option<u64>,
    /// Arrivals of each quarter of a second.
    pub(super) arrived_by_quarter: Vec<u64>,
}

/// Length of what [`Row::arrived_by_quarter`] counts.
const QUARTER_US: u64 = 250_000;

/// A modest client in one phase.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ClientRow {
    pub(super) phase: usize,
    pub(super) stage: Stage,
    pub(super) client: &'static str,
    pub(super) asked: u64,
    pub(super) refused: u64,
    /// Whether the fault of the phase is in its own zone.
    pub(super) struck: bool,
}

/// Everything that was noted in a run.
pub(super) struct Evidence<'a> {
    pub(super) limits: &'a [Limit],
    /// By limit.
    pub(super) admitted: Vec<Vec<Admitted>>,
    pub(super) streams: Vec<(Asking, Tally)>,
    pub(super) phases: &'a [Phase],
}

/// Shortest window in which a fill is measured.
const WINDOW_US: u64 = 500_000;
/// Requests in it, so that one more or less does not decide.
const WINDOW_REQUESTS: u64 = 40;
/// How long a fill has to stay.
const STAY_US: u64 = 3_000_000;
/// Between two looks at the fill.
const STEP_US: u64 = 10_000;
/// The fill at which a limit has recovered, in percent.
const RECOVERED_PERCENT: u64 = 95;

impl Evidence<'_> {
    /// Every limit that is short, in every phase.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (place, limit) in self.limits.iter().enumerate() {
            let Some(rate) = limit.rate().filter(|_| limit.part == Part::Short) else { continue };
            let admitted = self.admitted.get(place).cloned().unwrap_or_default();
            let mut arrived: Vec<u64> = admitted.iter().map(|one| one.arrived_us).collect();
            arrived.sort_unstable();
            let asked = self.answered(place);
            let best = ideal(rate, &asked);
            let on_arrival =
                arrived.iter().map(|at_us| Admitted { sent_us: *at_us, arrived_us: *at_us }).collect();
            let (over, over_at_arrival) = (beyond(rate, admitted), beyond(rate, on_arrival));
            for (number, phase) in self.phases.iter().enumerate() {
                let seconds = seconds(phase.span);
                let (admitted, ideal) = (within(&arrived, phase.span), within(&best, phase.span));
                let over = within(&over, phase.span);
                let is_loss = matches!(phase.stage, Stage::Leader | Stage::Zone);
                rows.push(Row {
                    phase: number,
                    stage: phase.stage,
                    limit: limit.name,
                    strict: limit.strict,
                    rate,
                    elections: phase.elections,
                    seconds,
                    asked: within(&asked, phase.span),
                    admitted,
                    ideal,
                    fill_percent: percent(admitted, ideal as f64),
                    over,
                    over_percent: percent(over, f64::from(rate.per_s) * seconds),
                    over_at_arrival: within(&over_at_arrival, phase.span),
                    recovery_ms: is_loss.then(|| recovery_ms(rate, &arrived, phase.span)).flatten(),
                    arrived_by_quarter: by_quarter(&arrived, phase.span),
                });
            }
        }
        rows.sort_by_key(|row| row.phase);
        rows
    }

    /// Every modest client, in every phase.
    pub(super) fn clients(&self) -> Vec<ClientRow> {
        let mut rows = Vec::new();
        for (number, phase) in self.phases.iter().enumerate() {
            for (asking, tally) in &self.streams {
                let Some(limit) = self.limits.get(asking.limit) else { continue };
                let Part::Modest(az) = limit.part else { continue };
                let refused = within(&tally.refused_us, phase.span);
                rows.push(ClientRow {
                    phase: number,
                    stage: phase.stage,
                    client: limit.name,
                    asked: refused + within(&tally.admitted_us, phase.span),
                    refused,
                    struck: phase.az == Some(az),
                });
            }
        }
        rows
    }

    /// When the requests of a limit were sent that were answered, in order.
    fn answered(&self, limit: usize) -> Vec<u64> {
        let of_limit = self.streams.iter().filter(|(asking, _)| asking.limit == limit);
        let mut sent: Vec<u64> = of_limit
            .flat_map(|(_, tally)| tally.admitted_us.iter().chain(&tally.refused_us))
            .copied()
            .collect();
        sent.sort_unstable();
        sent
    }
}

/// Length of a stretch.
pub(super) fn seconds(span: Span) -> f64 {
    span.to_us.saturating_sub(span.from_us) as f64 / 1e6
}

fn percent(part: u64, whole: f64) -> f64 {
    if whole > 0.0 { part as f64 * 100.0 / whole } else { 0.0 }
}

/// How many of these moments lie in a stretch, its end excluded. The moments need no order.
fn within(moments: &[u64], span: Span) -> u64 {
    moments.iter().filter(|at_us| (span.from_us..span.to_us).contains(at_us)).count() as u64
}

fn by_quarter(moments: &[u64], span: Span) -> Vec<u64> {
    let starts = (span.from_us..span.to_us).step_by(QUARTER_US as usize);
    let quarter = |from_us: u64| Span { from_us, to_us: (from_us + QUARTER_US).min(span.to_us) };
    starts.map(|from_us| within(moments, quarter(from_us))).collect()
}

/// From the beginning of a stretch until a window with the fill of a limit that has recovered, after which it stays so.
fn recovery_ms(rate: Rate, arrived: &[u64], span: Span) -> Option<u64> {
    let per_s = u64::from(rate.per_s.max(1));
    let window_us = WINDOW_US.max(WINDOW_REQUESTS * 1_000_000 / per_s);
    let before = |at_us: u64| arrived.partition_point(|arrived| *arrived < at_us) as u64;
    let is_full = |from_us: u64, length_us: u64| {
        let admitted = before(from_us + length_us) - before(from_us);
        admitted * 1_000_000 * 100 >= per_s * length_us * RECOVERED_PERCENT
    };
    let last_us = span.to_us.saturating_sub(STAY_US.max(window_us));
    let mut starts = (0..).map(|step| span.from_us + step * STEP_US).take_while(|start| *start <= last_us);
    starts
        .find(|start| is_full(*start, window_us) && is_full(*start, STAY_US))
        .map(|start| (start - span.from_us) / 1_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::plan::{AZS, limits},
        *,
    };

    const S: u64 = 1_000_000;

    fn phase(stage: Stage, from_s: u64, to_s: u64) -> Phase {
        let span = Span { from_us: from_s * S, to_us: to_s * S };
        Phase { stage, what: String::new(), az: Some(1), elections: 0, span }
    }

    fn every(step_us: u64, from_us: u64, to_us: u64) -> Vec<u64> {
        (from_us..to_us).step_by(step_us as usize).collect()
    }

    /// A limit of 20 per second and 10 at once, asked 100 times per second, of which `admitted` arrived: one row per phase.
    fn judged(admitted: Vec<u64>, phases: &[Phase]) -> Vec<Row> {
        let all = limits(Duration::from_secs(60));
        let place = all.iter().position(|limit| limit.name == "small").unwrap();
        let mut books = vec![Vec::new(); all.len()];
        books[place] = admitted.iter().map(|at| Admitted { sent_us: at - 2_000, arrived_us: *at }).collect();
        let address = "127.0.0.1:1".parse().unwrap();
        let asking = Asking { limit: place, az: 0, address, path: String::new(), api_key: None, per_s: 100 };
        let tally = Tally { refused_us: every(10_000, 0, 20 * S), ..Tally::default() };
        let evidence = Evidence { limits: &all, admitted: books, streams: vec![(asking, tally)], phases };
        evidence.rows().into_iter().filter(|row| row.limit == "small").collect()
    }

    #[test]
    fn figures_of_a_perfect_limit_and_of_two_that_are_not() {
        let phases = [phase(Stage::Cold, 0, 4), phase(Stage::Steady, 4, 14)];
        let mut good = every(50_000, 50_000, 14 * S);
        good.extend([2_000; 10]);
        let rows = judged(good.clone(), &phases);
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter().all(|row| row.over == 0 && (99.0..101.0).contains(&row.fill_percent)),
            "{rows:?}"
        );
        let mut over = good.clone();
        over.extend([8 * S; 5]);
        let rows = judged(over, &phases);
        assert_eq!((rows[0].over, rows[1].over), (0, 5));
        assert!((rows[1].over_percent - 2.5).abs() < 0.001, "{rows:?}");
        let rows = judged(good.into_iter().filter(|at| *at < 9 * S).collect(), &phases);
        assert!((45.0..55.0).contains(&rows[1].fill_percent), "{rows:?}");
    }

    #[test]
    fn recovery_is_when_the_fill_comes_back_to_stay() {
        let rate = Rate { per_s: 100, burst: 10 };
        let span = Span { from_us: 10 * S, to_us: 30 * S };
        let step = 10_000;
        for (what, gap, expect) in [
            ("nothing is lost", (20 * S, 20 * S), Some(0..=0)),
            ("two seconds are lost", (10 * S, 12 * S), Some(1_850..=2_000)),
            ("a second is lost, a second later", (11 * S, 12 * S), Some(1_850..=2_000)),
            ("it never comes back", (10 * S, 40 * S), None),
        ] {
            let arrived: Vec<u64> =
                every(step, 0, 40 * S).into_iter().filter(|at| !(gap.0..gap.1).contains(at)).collect();
            let found = recovery_ms(rate, &arrived, span);
            assert_eq!(found.is_some(), expect.is_some(), "{what}: {found:?}");
            assert!(
                found.zip(expect).is_none_or(|(found, expect)| expect.contains(&found)),
                "{what}: {found:?}"
            );
        }
    }

    #[test]
    fn a_modest_client_is_struck_in_its_own_zone_only() {
        let all = limits(Duration::from_secs(60));
        let phases = [phase(Stage::Cut, 0, 10)];
        let address = "127.0.0.1:1".parse().unwrap();
        let stream = |(place, limit): (usize, &Limit)| {
            let Part::Modest(az) = limit.part else { return None };
            let asking = Asking { limit: place, az, address, path: String::new(), api_key: None, per_s: 1 };
            Some((
                asking,
                Tally { refused_us: vec![S, 11 * S], admitted_us: vec![2 * S], ..Tally::default() },
            ))
        };
        let streams = all.iter().enumerate().filter_map(stream).collect();
        let rows = Evidence { limits: &all, admitted: Vec::new(), streams, phases: &phases }.clients();
        assert_eq!(rows.len(), AZS);
        assert_eq!(rows.iter().map(|row| row.struck).collect::<Vec<_>>(), [false, true, false]);
        assert!(rows.iter().all(|row| (row.asked, row.refused) == (2, 1)));
    }
}
