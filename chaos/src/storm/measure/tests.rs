//! Figures from runs that are made up: what is broken in them is found, and nothing else.

use std::collections::BTreeMap;

use super::*;
use crate::{
    lab::{Carried, site::Site},
    storm::{
        churn::Change,
        evidence::Findings,
        scenario::Limit,
        stall::Stalls,
        watch::{Seen, Sight},
        world::Start,
    },
};

const SECOND: u64 = 1_000_000;
const WELL: Site = Site::Az { region: 0, az: 0 };
const STRUCK: Site = Site::Az { region: 0, az: 1 };

fn span(from_us: u64, to_us: u64) -> Span {
    Span { from_us, to_us }
}

fn record(at_us: u64, entry: Option<Site>, outcome: Outcome) -> Record {
    Record { span: span(at_us, at_us + 1_000), class: Class::Get, region: 0, entry, outcome }
}

/// A run of 30 s with a request each 100 ms, a fault from 10 to 20 s at [`STRUCK`], and nothing wrong.
pub(crate) fn sound() -> Evidence {
    let records = (0..300).map(|i| record(i * SECOND / 10, Some(WELL), Outcome::Right)).collect();
    let write = |i: u64| WriteRecord {
        span: span(i * SECOND / 5, i * SECOND / 5 + 50_000),
        region: 0,
        site: WELL,
        end: End::Acknowledged,
    };
    let mut seen = Seen::default();
    for at_us in (0..30).map(|s| s * SECOND) {
        seen.note(
            WELL,
            Sight { at_us, answers: true, leads: true, term: 1, memory: 100, ..Sight::default() },
        );
        seen.note(STRUCK, Sight { at_us, answers: true, term: 1, memory: 100, ..Sight::default() });
    }
    Evidence {
        span: span(0, 30 * SECOND),
        trouble: span(10 * SECOND, 20 * SECOND),
        recovered_us: Some(21 * SECOND),
        records,
        unkept: 0,
        writes: (0..150).map(write).collect(),
        changes: Vec::new(),
        seen,
        starts: vec![Start { site: STRUCK, from_us: 0, to_us: 700_000 }],
        struck: vec![(STRUCK, span(10 * SECOND, 20 * SECOND))],
        measured: vec![(Measure::PoisonAccepted, 2.0)],
        happened: Vec::new(),
        notes: Vec::new(),
        skipped: Vec::new(),
        stalls: Stalls::default(),
        late_p99_ms: 0.5,
        carried: Carried::default(),
        over_admitted: 0.0,
        capacity: None,
        findings: Findings::default(),
        reasons: BTreeMap::new(),
    }
}

/// An expectation about everything after the first fault.
pub(crate) fn expectation(measure: Measure, scope: Scope, from_s: f64, to_s: Option<f64>) -> Expectation {
    Expectation {
        promise: "P2".into(),
        measure,
        scope,
        from_s,
        to_s,
        limit: Limit::AtMost(0.0),
        awaits: None,
    }
}

fn taken(evidence: &Evidence, measure: Measure) -> Option<f64> {
    take(evidence, &expectation(measure, Scope::Elsewhere, 0.0, None), false)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let evidence = sound();
    for (measure, expect) in [
        (Measure::Errors, 0.0),
        (Measure::ErrorPercent, 0.0),
        (Measure::LeaderChanges, 0.0),
        (Measure::ElectionsPerMinute, 0.0),
        (Measure::UnavailableMs, 100.0),
        (Measure::WriteGapMs, 200.0),
        (Measure::CommitP99Ms, 50.0),
        (Measure::LatencyP99Ms, 1.0),
        (Measure::RestartMs, 700.0),
        (Measure::RecoveryMs, 1_000.0),
        (Measure::BackToNormalMs, 0.0),
        (Measure::GoodputPercent, 100.0),
        (Measure::MemoryGrowthPercent, 0.0),
        (Measure::PoisonAccepted, 2.0),
        (Measure::StaleReads, 0.0),
    ] {
        assert_eq!(taken(&evidence, measure), Some(expect), "{measure:?}");
    }
    let capable = Evidence { capacity: Some(20.0), ..sound() };
    assert_eq!(taken(&capable, Measure::GoodputPercent), Some(50.0));
    assert_eq!(taken(&evidence, Measure::ShedP99Ms), None);
    assert_eq!(taken(&evidence, Measure::Unfenced), None);
    assert_eq!(taken(&evidence, Measure::PropagationP99Ms), None);
}

#[test]
fn errors_count_by_place_and_time() {
    let mut evidence = sound();
    for (at_s, entry, outcome) in [
        (5, Some(WELL), Outcome::Reset),
        (11, Some(WELL), Outcome::Gateway(502)),
        (12, Some(STRUCK), Outcome::Silent),
        (18, Some(WELL), Outcome::Shed),
        (25, Some(STRUCK), Outcome::Silent),
        (26, None, Outcome::Unconnected),
    ] {
        evidence.records.push(record(at_s * SECOND, entry, outcome));
    }
    for (scope, from_s, to_s, expect) in [
        (Scope::Elsewhere, 0.0, None, 3.0),
        (Scope::Everywhere, 0.0, None, 4.0),
        (Scope::Elsewhere, 0.0, Some(10.0), 1.0),
        (Scope::Elsewhere, 2.0, Some(10.0), 0.0),
        (Scope::Everywhere, 2.0, Some(10.0), 1.0),
    ] {
        let expectation = expectation(Measure::Errors, scope, from_s, to_s);
        assert_eq!(take(&evidence, &expectation, false), Some(expect), "{scope:?} {from_s} {to_s:?}");
    }
    evidence.stalls = Stalls(vec![span(11 * SECOND, 11 * SECOND + 500_000)]);
    let early = expectation(Measure::Errors, Scope::Elsewhere, 0.0, Some(10.0));
    assert_eq!(take(&evidence, &early, true), Some(0.0));
}

#[test]
fn gaps_are_found() {
    let mut evidence = sound();
    evidence.records.retain(|record| !(12 * SECOND..15 * SECOND).contains(&record.span.from_us));
    evidence.writes.retain(|write| !(13 * SECOND..17 * SECOND).contains(&write.span.from_us));
    assert_eq!(taken(&evidence, Measure::UnavailableMs), Some(3_100.0));
    assert_eq!(taken(&evidence, Measure::WriteGapMs), Some(4_200.0));
    // With all of a region struck, its clients have nobody to ask.
    evidence.struck.push((WELL, span(12 * SECOND, 15 * SECOND)));
    assert_eq!(taken(&evidence, Measure::UnavailableMs), Some(0.0));
    // One zone after the other is another matter.
    evidence.struck.truncate(1);
    evidence.struck.push((WELL, span(21 * SECOND, 22 * SECOND)));
    assert_eq!(taken(&evidence, Measure::UnavailableMs), Some(3_100.0));
}

#[test]
fn no_time_is_no_measure() {
    let late = expectation(Measure::Errors, Scope::Elsewhere, 25.0, None);
    assert_eq!(take(&sound(), &late, false), None);
}

#[test]
fn a_class_that_starves_is_seen_behind_one_that_does_not() {
    let mut evidence = sound();
    let posts = (0..300u64)
        .filter(|i| !(120..170).contains(i))
        .map(|i| Record { class: Class::Post, ..record(i * SECOND / 10, Some(WELL), Outcome::Right) });
    evidence.records.extend(posts);
    assert_eq!(taken(&evidence, Measure::UnavailableMs), Some(5_100.0));
}

#[test]
fn refusals_torn_answers_and_leaders_are_seen() {
    let mut evidence = sound();
    let refused = |site, end, took_us| WriteRecord {
        span: span(12 * SECOND, 12 * SECOND + took_us),
        region: 0,
        site,
        end,
    };
    evidence.writes.push(refused(WELL, End::Refused, 900_000));
    evidence.writes.push(refused(STRUCK, End::Silent, 3_000_000));
    evidence.records.push(Record { class: Class::Churn, ..record(11 * SECOND, Some(WELL), Outcome::Wrong) });
    evidence
        .seen
        .note(STRUCK, Sight { at_us: 13 * SECOND, answers: true, leads: true, term: 3, ..Sight::default() });
    evidence
        .seen
        .note(WELL, Sight { at_us: 22 * SECOND, answers: true, leads: true, term: 4, ..Sight::default() });
    for (measure, expect) in [
        (Measure::RefusalMs, 900.0),
        (Measure::TornAnswers, 1.0),
        (Measure::LeaderChanges, 2.0),
        (Measure::LeaderChangesHealed, 1.0),
        (Measure::ElectionsPerMinute, 9.0),
    ] {
        assert_eq!(taken(&evidence, measure), Some(expect), "{measure:?}");
    }
}

#[test]
fn propagation_is_until_the_last_node() {
    let mut evidence = sound();
    evidence.changes = vec![Change { value: 1, acknowledged_us: 12 * SECOND }];
    for (site, at_us, revision, serving_revision) in [
        (WELL, 12 * SECOND, 7, 6),
        (WELL, 12 * SECOND + 300_000, 7, 7),
        (STRUCK, 12 * SECOND + 900_000, 7, 7),
    ] {
        let sights = evidence.seen.history.get_mut(&site).unwrap();
        sights.push(Sight { at_us, answers: true, revision, serving_revision, ..Sight::default() });
        sights.sort_by_key(|sight| sight.at_us);
    }
    // A node that was struck meanwhile is not waited for.
    assert_eq!(taken(&evidence, Measure::PropagationP99Ms), Some(300.0));
    evidence.struck.clear();
    assert_eq!(taken(&evidence, Measure::PropagationP99Ms), Some(900.0));
}

#[test]
fn quantiles() {
    for (times, quantile, expect) in [
        (vec![], 0.5, None),
        (vec![5_000], 0.99, Some(5.0)),
        ((1..=100).map(|i| i * 1_000).collect(), 0.99, Some(99.0)),
        ((1..=100).map(|i| i * 1_000).collect(), 0.5, Some(50.0)),
    ] {
        assert_eq!(quantile_ms(times.into_iter(), quantile), expect);
    }
}
