//! What a region promises of its limits: each promise with its sentence, its bound, and the verdict on what was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    judge::{ClientRow, Row, Stage},
    plan::AZS,
    report::QuotaRow,
};

/// A limit with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bound {
    /// Nothing above it.
    AtMost(f64),
    /// Nothing below it.
    AtLeast(f64),
}

/// What was measured against a promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) sentence: &'static str,
    pub(super) bound: Bound,
    pub(super) unit: &'static str,
    pub(super) measured: f64,
    /// Where the worst of it was measured.
    pub(super) place: String,
    pub(super) kept: bool,
}

/// Everything that promises are about.
pub(super) struct Measured<'a> {
    pub(super) rows: &'a [Row],
    pub(super) clients: &'a [ClientRow],
    pub(super) quotas: &'a [QuotaRow],
    /// Requests without an answer in zones that were up.
    pub(super) unanswered: u64,
    /// Arrivals that no client sent, or that came twice.
    pub(super) strange: u64,
    /// The longest that a request was sent after it was due, in milliseconds.
    pub(super) late_ms: u64,
    /// Datagrams between zones that were dropped while one was cut off.
    pub(super) dropped: u64,
}

/// A zone whose links are mended is heard again after so many seconds: a dial that began before has to fail first.
const REJOIN_S: f64 = 2.0;

/// Figures with the places where they were measured.
type Figures = Vec<(f64, String)>;

/// Every promise against what was measured.
pub(super) fn verdicts(measured: &Measured<'_>) -> Vec<Verdict> {
    let mut all = limit_verdicts(measured.rows);
    all.extend(client_verdicts(measured.clients));
    all.extend(quota_verdicts(measured.quotas));
    let one = |figure: u64| vec![(figure as f64, String::new())];
    all.push(most("requests unanswered by zones that were up", 0.0, "requests", one(measured.unanswered)));
    all.push(most("arrivals that were not sent, or came twice", 0.0, "requests", one(measured.strange)));
    all.push(most(
        "longest standstill of the clients: longer, and the rest means little",
        1_000.0,
        "ms",
        one(measured.late_ms),
    ));
    all.push(least("datagrams dropped by the cut", 1.0, "datagrams", one(measured.dropped)));
    all
}

fn limit_verdicts(rows: &[Row]) -> Vec<Verdict> {
    let place = |row: &Row| format!("{}, phase {}", row.limit, row.phase + 1);
    let of = |keep: &dyn Fn(&Row) -> bool, figure: &dyn Fn(&Row) -> f64| -> Figures {
        rows.iter().filter(|row| keep(row)).map(|row| (figure(row), place(row))).collect()
    };
    let default = |row: &Row| !row.strict;
    let steady = |row: &Row| row.stage == Stage::Steady;
    let recovery = |row: &Row| row.recovery_ms.map_or(f64::INFINITY, |ms| ms as f64 / 1e3);
    let load = |row: &Row| row.asked as f64 / (f64::from(row.rate.per_s) * row.seconds);
    // A phase begins and ends between two tokens, so its count may be one off.
    let fill = |row: &Row| (row.admitted + 1) as f64 * 100.0 / row.ideal.max(1) as f64;
    let over = |row: &Row| row.over as f64;
    let after_loss = [Stage::Leader, Stage::Zone, Stage::Mended];
    vec![
        most("strict: beyond the limit, under every fault", 0.0, "requests", of(&|row| row.strict, &over)),
        most(
            "default: beyond the limits, steady",
            0.2,
            "%",
            over_percent(rows, &[Stage::Steady], |row| f64::from(row.rate.per_s) * row.seconds),
        ),
        most(
            "default: beyond them in the 20 s after a loss or a cut",
            1.0,
            "%",
            over_percent(rows, &after_loss, |row| f64::from(row.rate.per_s) * row.seconds),
        ),
        most(
            "default: beyond them while a zone is cut off, of its share",
            100.0,
            "%",
            over_percent(rows, &[Stage::Cut], isolated_share),
        ),
        most(
            "default: beyond any one limit, of what may be lent",
            100.0,
            "%",
            of(&default, &|row| row.over as f64 * 100.0 / lent(row).max(f64::MIN_POSITIVE)),
        ),
        least("fill of every limit, steady", 99.0, "%", of(&steady, &fill)),
        most(
            "from the loss of a zone until the fill is back at 95 %",
            3.0,
            "s",
            of(&|row| row.stage == Stage::Zone, &recovery),
        ),
        least("load on every limit, steady", 3.0, "x", of(&steady, &load)),
    ]
}

/// What all default limits admitted beyond themselves, in percent of `whole` of all of them, phase by phase.
fn over_percent(rows: &[Row], stages: &[Stage], whole: impl Fn(&Row) -> f64) -> Figures {
    let mut phases: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.strict && stages.contains(&row.stage)) {
        let (over, of) = phases.entry(row.phase).or_default();
        *over += row.over as f64;
        *of += whole(row);
    }
    let figure =
        |(phase, (over, of)): (usize, (f64, f64))| (over * 100.0 / of, format!("phase {}", phase + 1));
    phases.into_iter().map(figure).collect()
}

/// What an isolated zone may admit: its even share of burst and rate.
fn isolated_share(row: &Row) -> f64 {
    (f64::from(row.rate.burst) + f64::from(row.rate.per_s) * row.seconds) / AZS as f64
}

/// What nodes may admit beyond one limit, in requests. Where they cut the bucket, a debt of a quarter of the burst and one
/// request each. Where they count, another bucket for each further node before they have heard of each other, and a second of
/// the rate whenever another leader begins to count, or a zone is cut off that led nothing: that long goes unnoticed. And the share
/// of a zone that is cut off, until it is heard again.
fn lent(row: &Row) -> f64 {
    let (nodes, burst) = (AZS as f64, f64::from(row.rate.burst));
    let is_cut = burst >= 8.0 * (AZS.next_power_of_two() as f64);
    let unnoticed_s = if row.stage == Stage::Cut { row.elections.max(1) } else { row.elections };
    let lent = match (is_cut, row.stage) {
        (true, _) => (burst / 4.0).max(nodes) + nodes,
        (false, Stage::Cold) => (nodes - 1.0) * burst,
        (false, _) => f64::from(row.rate.per_s) * unnoticed_s as f64,
    };
    match row.stage {
        Stage::Cut => lent + isolated_share(row),
        Stage::Mended => lent + f64::from(row.rate.per_s) * REJOIN_S / AZS as f64,
        Stage::Cold | Stage::Steady | Stage::Leader | Stage::Zone => lent,
    }
}

fn client_verdicts(clients: &[ClientRow]) -> Vec<Verdict> {
    let refused = |stages: &[Stage]| -> Figures {
        let rows = clients.iter().filter(|row| !row.struck && stages.contains(&row.stage));
        let (asked, refused) = rows.fold((0, 0), |sum, row| (sum.0 + row.asked, sum.1 + row.refused));
        vec![(refused as f64 * 100.0 / f64::max(asked as f64, 1.0), format!("{refused} of {asked}"))]
    };
    let after_loss = [Stage::Leader, Stage::Zone];
    vec![
        most("modest clients refused, steady", 0.05, "%", refused(&[Stage::Cold, Stage::Steady])),
        most("modest clients refused in zones that were up, after a loss", 0.1, "%", refused(&after_loss)),
    ]
}

fn quota_verdicts(quotas: &[QuotaRow]) -> Vec<Verdict> {
    let of = |figure: &dyn Fn(&QuotaRow) -> u64| -> Figures {
        quotas.iter().map(|row| (figure(row) as f64, row.quota.to_owned())).collect()
    };
    let early = quotas.iter().filter(|row| row.by_steady.is_some());
    let missing = early
        .map(|row| (row.limit.saturating_sub(row.by_steady.unwrap_or(0)) as f64, row.quota.to_owned()))
        .collect();
    vec![
        most(
            "quota: beyond the limit, under every fault",
            0.0,
            "requests",
            of(&|row| row.admitted.saturating_sub(row.limit)),
        ),
        most("quota: short of the limit where nothing fails", 0.0, "requests", missing),
        most(
            "quota: admitted and not in GetUsage",
            0.0,
            "requests",
            of(&|row| row.admitted.saturating_sub(row.used)),
        ),
        most("quota: left in GetUsage after it was used up", 0.0, "requests", of(&|row| row.remaining)),
    ]
}

fn most(sentence: &'static str, bound: f64, unit: &'static str, figures: Figures) -> Verdict {
    verdict(sentence, Bound::AtMost(bound), unit, figures)
}

fn least(sentence: &'static str, bound: f64, unit: &'static str, figures: Figures) -> Verdict {
    verdict(sentence, Bound::AtLeast(bound), unit, figures)
}

/// The verdict on the worst figure; a promise about nothing is broken.
fn verdict(sentence: &'static str, bound: Bound, unit: &'static str, figures: Figures) -> Verdict {
    let worst =
        figures.into_iter().max_by(|one, other| bound.badness(one.0).total_cmp(&bound.badness(other.0)));
    let (measured, place) = worst.unwrap_or((f64::NAN, "nowhere".into()));
    Verdict { sentence, bound, unit, measured, place, kept: bound.badness(measured) <= 0.0 }
}

impl Bound {
    /// How far a figure is on the wrong side.
    fn badness(self, figure: f64) -> f64 {
        match self {
            Self::AtMost(most) => figure - most,
            Self::AtLeast(least) => least - figure,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(0.0) => write!(f, "0"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::bucket::Rate, *};

    fn row(stage: Stage, strict: bool) -> Row {
        Row {
            phase: 0,
            stage,
            limit: "l",
            strict,
            rate: Rate { per_s: 300, burst: 150 },
            elections: 1,
            seconds: 10.0,
            asked: 10_500,
            admitted: 3_000,
            ideal: 3_000,
            fill_percent: 100.0,
            over: 0,
            over_percent: 0.0,
            over_at_arrival: 0,
            recovery_ms: Some(900),
            arrived_by_quarter: Vec::new(),
        }
    }

    fn good_rows() -> Vec<Row> {
        let stages = [Stage::Cold, Stage::Steady, Stage::Leader, Stage::Zone, Stage::Cut, Stage::Mended];
        let both = |(phase, stage)| [false, true].map(|strict| Row { phase, ..row(stage, strict) });
        stages.into_iter().enumerate().flat_map(both).collect()
    }

    fn quota() -> QuotaRow {
        QuotaRow { quota: "q", limit: 600, by_steady: Some(600), admitted: 600, used: 600, remaining: 0 }
    }

    fn client(stage: Stage) -> ClientRow {
        ClientRow { phase: 0, stage, client: "m", asked: 1_000, refused: 0, struck: false }
    }

    /// The sentences of the promises that are broken once `spoil` has been at what was measured.
    fn broken(
        spoil: impl FnOnce(&mut Vec<Row>, &mut Vec<ClientRow>, &mut QuotaRow, &mut [u64; 4]),
    ) -> Vec<&'static str> {
        let (mut rows, mut quota, mut counts) = (good_rows(), quota(), [0, 0, 5, 3]);
        let mut clients = vec![client(Stage::Steady), client(Stage::Leader)];
        spoil(&mut rows, &mut clients, &mut quota, &mut counts);
        let [unanswered, strange, dropped, late_ms] = counts;
        let quotas = [quota];
        let measured = Measured {
            rows: &rows,
            clients: &clients,
            quotas: &quotas,
            unanswered,
            strange,
            late_ms,
            dropped,
        };
        verdicts(&measured).into_iter().filter(|v| !v.kept).map(|v| v.sentence).collect()
    }

    #[test]
    fn every_promise_can_break_and_none_does_without_cause() {
        assert_eq!(broken(|_, _, _, _| ()), Vec::<&str>::new());
        let at = |stage, strict| move |row: &&mut Row| row.stage == stage && row.strict == strict;
        type Spoil = Box<dyn Fn(&mut Vec<Row>, &mut Vec<ClientRow>, &mut QuotaRow, &mut [u64; 4])>;
        let of_row = |stage, strict, change: fn(&mut Row)| -> Spoil {
            Box::new(move |rows, _, _, _| rows.iter_mut().filter(at(stage, strict)).for_each(change))
        };
        let spoils: Vec<(&str, Spoil)> = vec![
            ("strict", of_row(Stage::Cut, true, |row| row.over = 1)),
            ("default: beyond the limits, steady", of_row(Stage::Steady, false, |row| row.over = 7)),
            ("20 s after", of_row(Stage::Zone, false, |row| row.over = 31)),
            ("cut off, of its share", of_row(Stage::Cut, false, |row| row.over = 1_051)),
            ("may be lent", of_row(Stage::Cold, false, |row| row.over = 41)),
            ("fill", of_row(Stage::Steady, true, |row| row.admitted = 2_968)),
            ("from the loss", of_row(Stage::Zone, true, |row| row.recovery_ms = None)),
            ("load", of_row(Stage::Steady, true, |row| row.asked = 8_999)),
            ("refused, steady", Box::new(|_, clients, _, _| clients[0].refused = 1)),
            ("zones that were up, after", Box::new(|_, clients, _, _| clients[1].refused = 2)),
            ("quota: beyond", Box::new(|_, _, quota, _| (quota.admitted, quota.used) = (601, 601))),
            ("quota: short", Box::new(|_, _, quota, _| quota.by_steady = Some(599))),
            ("not in GetUsage", Box::new(|_, _, quota, _| quota.used = 599)),
            ("left in GetUsage", Box::new(|_, _, quota, _| quota.remaining = 1)),
            ("unanswered", Box::new(|_, _, _, counts| counts[0] = 1)),
            ("not sent", Box::new(|_, _, _, counts| counts[1] = 1)),
            ("standstill", Box::new(|_, _, _, counts| counts[3] = 1_001)),
            ("dropped", Box::new(|_, _, _, counts| counts[2] = 0)),
        ];
        for (part, spoil) in &spoils {
            let found = broken(spoil);
            assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
        }
        let nothing = Measured {
            rows: &[],
            clients: &[],
            quotas: &[],
            unanswered: 0,
            strange: 0,
            late_ms: 0,
            dropped: 1,
        };
        assert!(!verdicts(&nothing).first().unwrap().kept);
    }
}
