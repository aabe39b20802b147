//! Runs with a seeded violation each, and the verdicts on them.

use super::*;
use crate::{
    clock::Span,
    storm::{
        measure::tests::{expectation, sound},
        record::{Class, Record},
        scenario::Scope,
        stall::Stalls,
        writers::End,
    },
};

fn fate(evidence: &Evidence, measure: &str) -> Fate {
    always(evidence).into_iter().find(|verdict| verdict.measure.contains(measure)).unwrap().fate
}

#[test]
fn what_always_has_to_hold_is_checked() {
    assert!(always(&sound()).iter().all(|verdict| verdict.fate == Fate::Kept));
    type Spoil = fn(&mut Evidence);
    let seeded: [(&str, Spoil); 9] = [
        ("acknowledged writes lost", |e| e.findings.lost = 1),
        ("nobody wrote", |e| e.findings.unexplained = 1),
        ("not linearizable", |e| e.findings.not_linearizable = 1),
        ("stale", |e| e.findings.stale_reads = 1),
        ("two leaders", |e| e.findings.conflicts = 1),
        ("not at rest", |e| e.findings.unsettled = 1),
        ("another request", |e| {
            e.records.push(Record { outcome: Outcome::Wrong, class: Class::Post, ..e.records[0] });
        }),
        ("could not send", |e| e.records.push(Record { outcome: Outcome::Unsent, ..e.records[0] })),
        ("until everything is well", |e| e.recovered_us = None),
    ];
    for (measure, spoil) in seeded {
        let mut evidence = sound();
        spoil(&mut evidence);
        assert_eq!(fate(&evidence, measure), Fate::Broken, "{measure}");
        assert_eq!(always(&evidence).iter().filter(|v| v.fate == Fate::Broken).count(), 1, "{measure}");
    }
}

#[test]
fn a_gap_is_broken_unless_the_tool_stood_still_or_it_is_awaited() {
    let mut gate = expectation(Measure::WriteGapMs, Scope::Elsewhere, 0.0, None);
    gate.limit = Limit::AtMost(2_500.0);
    let mut evidence = sound();
    assert_eq!(judge(&gate, &evidence).fate, Fate::Kept);
    let inside = |us: u64| (13_000_000..17_000_000).contains(&us);
    evidence.writes.retain(|write| write.end == End::Acknowledged && !inside(write.span.from_us));
    assert_eq!(judge(&gate, &evidence).fate, Fate::Broken);
    evidence.stalls = Stalls(vec![Span { from_us: 13_500_000, to_us: 14_000_000 }]);
    assert_eq!(judge(&gate, &evidence).fate, Fate::Broken);
    evidence.stalls = Stalls(vec![Span { from_us: 13_500_000, to_us: 16_000_000 }]);
    let verdict = judge(&gate, &evidence);
    assert_eq!(verdict.fate, Fate::Unclear);
    assert!(verdict.remark.unwrap().contains("stood still for 2500 ms"));
    evidence.stalls = Stalls::default();
    gate.awaits = Some("VPC links".into());
    assert_eq!(judge(&gate, &evidence).fate, Fate::Awaited);
}

#[test]
fn a_latency_is_unclear_where_the_machine_adds_what_is_too_much() {
    let mut gate = expectation(Measure::LatencyP99Ms, Scope::Elsewhere, 0.0, None);
    gate.limit = Limit::AtMost(0.9);
    let mut evidence = sound();
    assert_eq!(judge(&gate, &evidence).fate, Fate::Unclear);
    evidence.late_p99_ms = 0.05;
    assert_eq!(judge(&gate, &evidence).fate, Fate::Broken);
}

#[test]
fn what_could_not_be_measured_is_not_kept() {
    let gate = expectation(Measure::Unfenced, Scope::Elsewhere, 0.0, None);
    let mut evidence = sound();
    assert_eq!(judge(&gate, &evidence).fate, Fate::Broken);
    evidence.skipped.push("faults of disks: none here".into());
    assert_eq!(judge(&gate, &evidence).fate, Fate::NotRehearsed);
}
