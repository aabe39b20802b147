//! Limits that span regions: one bucket, one quota, wherever requests arrive.

use super::*;
use crate::{Holders, Kind};

const WIDE: Policy = Policy { strict: false, isolated: Isolated::Even, scope: Scope::Global };
const STRICT_WIDE: Policy = Policy { strict: true, ..WIDE };

/// Two regions of three nodes, and one limit over both.
fn wide(rate: Option<Spec>, quota: Option<Spec>) -> (Rig, Vec<LimitRef>) {
    let mut rig = Rig::over(2, 3);
    let limits = rig.configure(&[("one", rate, quota)]);
    rig.run(1_000);
    (rig, limits)
}

#[test]
fn a_limit_over_regions_is_one_limit() {
    for (rate, burst, policy, kind, load) in [
        (1_000.0, 500.0, WIDE, Kind::Slice, [20, 0, 0, 0, 0, 0]),
        (1_000.0, 500.0, WIDE, Kind::Slice, [10, 2, 5, 0, 20, 1]),
        (1_000.0, 500.0, STRICT_WIDE, Kind::StrictSlice, [0, 20, 0, 0, 0, 0]),
        (1_000.0, 500.0, STRICT_WIDE, Kind::StrictSlice, [10, 2, 5, 0, 20, 1]),
        (20.0, 10.0, WIDE, Kind::Slice, [1, 0, 0, 0, 0, 1]),
        (20.0, 1.5, WIDE, Kind::Count, [1, 0, 0, 0, 0, 1]),
        (20.0, 7.0, STRICT_WIDE, Kind::Pool, [1, 1, 0, 0, 0, 1]),
    ] {
        let holders = Holders { region: 3, all: 6, regions: 2 };
        let spec = Spec::rate(rate, burst, policy, holders);
        assert_eq!(spec.kind, kind);
        let (mut rig, limits) = wide(Some(spec), None);
        let began_ns = rig.now_ns;
        let first: usize = rig.load(&limits, 4_000, &load).iter().sum();
        let then: usize = rig.load(&limits, 10_000, &load).iter().sum();
        let (all, elapsed_s) = ((first + then) as f64, (rig.now_ns - began_ns) as f64 / 1e9);
        let what = format!("{kind:?} {load:?}: {first} then {then}");
        assert!(then as f64 >= rate * 10.0 * 0.97, "{what}");
        let debt = match kind {
            Kind::Slice => burst / 4.0 + 6.0,
            Kind::Count => 5.0 * burst,
            _ => 0.0,
        };
        assert!(all <= burst + rate * elapsed_s + debt + 1e-6, "{what}");
    }
}

#[test]
fn a_quota_over_regions_is_used_up_exactly() {
    for (quota, load) in [(3, [1, 0, 0, 1, 0, 0]), (4_000, [20, 3, 9, 0, 0, 30])] {
        let spec = Spec::quota(quota, 0, Period::Day, DAY, Scope::Global);
        let (mut rig, limits) = wide(None, Some(spec));
        let admitted: usize = rig.load(&limits, 30_000, &load).iter().sum();
        assert_eq!(admitted, quota as usize, "{load:?}");
        assert_eq!(rig.reason(0, &limits), Some(Reason::Exhausted), "{quota} {load:?}");
        rig.day += 1;
        rig.run(2_000);
        let admitted: usize = rig.load(&limits, 30_000, &load).iter().sum();
        assert_eq!(admitted, quota as usize, "{load:?} on the next day");
    }
}

#[test]
fn a_limit_that_begins_to_span_regions_begins_afresh() {
    let region = Spec::rate(1_000.0, 500.0, STRICT, 3);
    let (mut rig, before) = {
        let mut rig = Rig::over(2, 3);
        let limits = rig.configure(&[("one", Some(region), None)]);
        rig.run(500);
        (rig, limits)
    };
    rig.load(&before, 2_000, &[20, 0, 0, 20, 0, 0]);
    let after = rig.configure(&[("one", Some(Spec::rate(1_000.0, 500.0, STRICT_WIDE, 6)), None)]);
    assert_ne!(before[0].cell, after[0].cell);
    rig.run(1_000);
    rig.load(&after, 3_000, &[20, 0, 0, 20, 0, 0]);
    let admitted: usize = rig.load(&after, 5_000, &[20, 0, 0, 20, 0, 0]).iter().sum();
    assert!((4_800..=5_010).contains(&admitted), "{admitted}");
}

/// Requests that the nodes of each region admitted.
fn by_region(admitted: &[usize]) -> [usize; 2] {
    [admitted[..3].iter().sum(), admitted[3..].iter().sum()]
}

#[test]
fn a_region_that_is_cut_off_stops_or_keeps_an_even_share() {
    for (policy, range) in [(STRICT_WIDE, 0..=0), (WIDE, 4_900..=5_100)] {
        let (mut rig, limits) = wide(Some(Spec::rate(1_000.0, 500.0, policy, 6)), None);
        let load = [20, 5, 0, 0, 10, 10];
        rig.load(&limits, 3_000, &load);
        rig.cut[0] = true;
        rig.load(&limits, 6_000, &load);
        let [alone, others] = by_region(&rig.load(&limits, 10_000, &[20, 20, 20, 0, 10, 10]));
        assert!(range.contains(&alone), "{policy:?} {alone}");
        assert!((9_700..=10_050).contains(&others), "{policy:?} {others}");
        rig.cut[0] = false;
        rig.load(&limits, 3_000, &load);
        let again: usize = rig.load(&limits, 5_000, &load).iter().sum();
        assert!((4_800..=5_050).contains(&again), "{policy:?} {again}");
    }
}

#[test]
fn leaders_come_and_go() {
    let (mut rig, limits) = wide(Some(Spec::rate(1_000.0, 500.0, STRICT_WIDE, 6)), None);
    let began_ns = rig.now_ns - 1_000 * crate::MS;
    let mut admitted = 0;
    for round in 0..24 {
        // The parts of both regions and the ledger above them.
        rig.depose([3, 8, 7, 8][round % 4]);
        let load = [[20, 0, 0, 5, 5, 5], [0, 0, 20, 20, 0, 0], [0, 5, 0, 0, 0, 20]][round % 3];
        admitted += rig.load(&limits, 700, &load).iter().sum::<usize>();
    }
    let elapsed_s = (rig.now_ns - began_ns) as f64 / 1e9;
    assert!(admitted as f64 <= 500.0 + 1_000.0 * elapsed_s, "{admitted} in {elapsed_s} s");
    assert!(admitted as f64 >= 0.8 * 1_000.0 * elapsed_s, "{admitted} in {elapsed_s} s");
}

#[test]
fn idle_regions_write_nothing() {
    let (mut rig, limits) = wide(Some(Spec::rate(1_000.0, 500.0, WIDE, 6)), None);
    rig.load(&limits, 3_000, &[20, 0, 0, 0, 0, 0]);
    rig.run(30_000);
    let before = rig.commits;
    rig.load(&limits, 5_000, &[1, 0, 0, 0, 1, 0]);
    assert_eq!(rig.commits, before, "demand far below the default share needs no agreement");
}
