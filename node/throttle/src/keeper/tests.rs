//! Agents and keepers together: what users see of each kind of limit, in a region that works.

use tidegate_proto::ledger::BusyV1;

use crate::{
    Isolated, LimitRef, Period, Policy, Reason, Scope, Spec,
    rig::{DAY, Rig},
};

mod global;
mod sessions;
mod terms;

const STRICT: Policy = Policy { strict: true, isolated: Isolated::Closed, scope: Scope::Region };

fn rig(spec: Spec) -> (Rig, Vec<LimitRef>) {
    let mut rig = Rig::new(3);
    let limits = rig.configure(&[("one", Some(spec), None)]);
    rig.run(300);
    (rig, limits)
}

#[test]
fn a_limit_is_filled_wherever_its_requests_arrive() {
    // (rate, burst, policy, requests per step and node): all far over the limit.
    for (rate, burst, policy, load) in [
        (1_000.0, 500.0, Policy::default(), [30, 0, 0]),
        (1_000.0, 500.0, Policy::default(), [10, 20, 5]),
        (1_000.0, 500.0, STRICT, [30, 0, 0]),
        (1_000.0, 500.0, STRICT, [10, 20, 5]),
        (20.0, 10.0, Policy::default(), [1, 0, 0]),
        (20.0, 10.0, Policy::default(), [1, 1, 1]),
        (20.0, 10.0, STRICT, [1, 0, 0]),
        (20.0, 10.0, STRICT, [1, 1, 1]),
    ] {
        let (mut rig, limits) = rig(Spec::rate(rate, burst, policy, 3));
        let began_ns = rig.now_ns;
        let first: usize = rig.load(&limits, 3_000, &load).iter().sum();
        let then: usize = rig.load(&limits, 10_000, &load).iter().sum();
        let (all, elapsed_s) = ((first + then) as f64, (rig.now_ns - began_ns) as f64 / 1e9);
        let what = format!("{rate}/s {burst} {load:?} {}: {first} then {then}", policy.strict);
        assert!(then as f64 >= rate * 10.0 * 0.98, "{what}");
        let debt = if policy.strict {
            0.0
        } else if burst > 100.0 {
            burst / 4.0 + 3.0
        } else {
            2.0 * burst
        };
        assert!(all <= burst + rate * elapsed_s + debt + 1e-6, "{what}");
    }
}

#[test]
fn what_nobody_holds_of_a_short_limit_is_given_to_those_who_ask() {
    // Demand that moves a little leaves everybody near what they should have, and something over.
    for policy in [Policy::default(), STRICT] {
        for loads in [
            [[10, 20, 5], [11, 20, 5], [11, 21, 6]],
            [[50, 30, 20], [48, 32, 21], [52, 30, 20]],
            [[30, 20, 50], [31, 22, 50], [30, 21, 47]],
            [[25, 25, 25], [25, 25, 27], [24, 26, 27]],
        ] {
            let (mut rig, limits) = rig(Spec::rate(1_000.0, 500.0, policy, 3));
            for load in loads {
                rig.load(&limits, 3_000, &load);
            }
            let before = rig.commits;
            let admitted: usize = rig.load(&limits, 10_000, &loads[2]).iter().sum();
            let what = format!("{loads:?} {}: {admitted}, {} commits", policy.strict, rig.commits - before);
            assert!((9_970..=10_030).contains(&admitted) && rig.commits - before <= 10, "{what}");
        }
    }
}

#[test]
fn a_quota_is_used_up_exactly() {
    for (quota, load) in [(3, [1, 0, 0]), (3, [1, 1, 1]), (100, [1, 2, 0]), (5_000, [20, 3, 9])] {
        let mut rig = Rig::new(3);
        let spec = Spec::quota(quota, 0, Period::Day, DAY, Scope::Region);
        let limits = rig.configure(&[("one", None, Some(spec))]);
        rig.run(300);
        let admitted: usize = rig.load(&limits, 20_000, &load).iter().sum();
        assert_eq!(admitted, quota as usize, "{load:?}");
        assert_eq!(rig.reason(0, &limits), Some(Reason::Exhausted), "{quota} {load:?}");
        rig.day += 1;
        rig.run(600);
        let admitted: usize = rig.load(&limits, 20_000, &load).iter().sum();
        assert_eq!(admitted, quota as usize, "{load:?} on the next day");
    }
}

#[test]
fn an_idle_region_writes_nothing() {
    let (mut rig, limits) = rig(Spec::rate(1_000.0, 500.0, Policy::default(), 3));
    let before = rig.commits;
    rig.load(&limits, 5_000, &[1, 1, 1]);
    assert_eq!(rig.commits, before, "demand far below the default share needs no agreement");
}

#[test]
fn a_managed_limit_goes_back_to_the_default_shares() {
    let (mut rig, limits) = rig(Spec::rate(1_000.0, 500.0, Policy::default(), 3));
    rig.load(&limits, 3_000, &[30, 5, 0]);
    assert_eq!(rig.ledgers.iter().map(crate::Ledger::managed).sum::<usize>(), 1);
    rig.run(20_000);
    assert_eq!(rig.ledgers.iter().map(crate::Ledger::managed).sum::<usize>(), 0);
    let before = rig.commits;
    rig.run(5_000);
    assert_eq!(rig.commits, before);
}

#[test]
fn a_node_that_is_cut_off_stops_or_keeps_an_even_share() {
    for (policy, range) in [(STRICT, 0..=0), (Policy::default(), 2_900..=3_700)] {
        let (mut rig, limits) = rig(Spec::rate(1_000.0, 500.0, policy, 3));
        rig.load(&limits, 3_000, &[20, 20, 20]);
        rig.nodes[0].is_cut_off = true;
        rig.load(&limits, 2_000, &[20, 20, 20]);
        let alone = rig.load(&limits, 10_000, &[20, 20, 20]);
        assert!(range.contains(&alone[0]), "{policy:?} {alone:?}");
        let others = alone[1] + alone[2];
        assert!((9_800..=10_050).contains(&others), "{policy:?} {alone:?}");
        rig.nodes[0].is_cut_off = false;
        rig.load(&limits, 2_000, &[20, 20, 20]);
        let again: usize = rig.load(&limits, 5_000, &[20, 20, 20]).iter().sum();
        assert!((4_900..=5_050).contains(&again), "{policy:?} {again}");
    }
}

/// Requests one after the other at one node; each waits up to a tenth of a second for what is on its way, as the data plane does.
fn patient(rig: &mut Rig, limits: &[LimitRef], count: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        let mut reason = rig.reason(0, limits);
        for _ in 0..10 {
            if reason != Some(Reason::Starved) {
                break;
            }
            rig.step();
            reason = rig.reason(0, limits);
        }
        admitted += usize::from(reason.is_none());
    }
    admitted
}

#[test]
fn one_client_at_one_node_gets_the_whole_burst() {
    for (burst, policy, range) in [
        (100.0, Policy::default(), 92..=130),
        (100.0, STRICT, 92..=100),
        (5.0, Policy::default(), 5..=5),
        (5.0, STRICT, 5..=5),
    ] {
        let mut rig = Rig::new(3);
        rig.run(500);
        rig.configure(&[("other", Some(Spec::rate(1.0, burst, policy, 3)), None)]);
        rig.run(2_000);
        let spec = Spec::rate(0.01, burst, policy, 3);
        let limits = rig.configure(&[("other", Some(spec), None), ("one", Some(spec), None)]);
        let admitted = patient(&mut rig, &limits[1..], 200);
        assert!(range.contains(&admitted), "{burst} {policy:?}: {admitted}");
    }
}

#[test]
fn what_other_nodes_do_not_use_comes_back() {
    let quota = Spec::quota(7, 0, Period::Day, DAY, Scope::Region);
    for (rate, quota, whole) in [(None, Some(quota), 7), (Some(Spec::rate(0.01, 5.0, STRICT, 3)), None, 5)] {
        let mut rig = Rig::new(3);
        rig.run(500);
        let limits = rig.configure(&[("one", rate, quota)]);
        let mut admitted = 0;
        for node in 0..3 {
            for _ in 0..20 {
                if rig.reason(node, &limits).is_none() {
                    admitted += 1;
                    break;
                }
                rig.step();
            }
        }
        rig.run(5_000);
        for _ in 0..10 {
            admitted += patient(&mut rig, &limits, 3);
            rig.run(300);
        }
        assert_eq!(admitted, whole, "{rate:?} {quota:?}");
    }
}

#[test]
fn leaders_say_what_was_asked_and_refused_and_who_holds_what() {
    let rate = |rate: f64, burst: f64, policy| Some(Spec::rate(rate, burst, policy, 3));
    let quota = Some(Spec::quota(100, 0, Period::Day, DAY, Scope::Region));
    let plenty = Some(Spec::quota(1_000_000, 0, Period::Day, DAY, Scope::Region));
    // (rate, quota, requests per step and node, offered to and refused by the rate, and by the quota)
    for (rate, quota, load, by_rate, by_quota) in [
        (rate(1_000.0, 500.0, Policy::default()), None, [10, 20, 5], Some((3_500.0, 2_500.0)), None),
        (rate(1_000.0, 500.0, STRICT), None, [10, 20, 5], Some((3_500.0, 2_500.0)), None),
        (rate(1_000.0, 500.0, STRICT), None, [1, 1, 1], Some((300.0, 0.0)), None),
        (rate(20.0, 10.0, Policy::default()), None, [1, 1, 1], Some((300.0, 280.0)), None),
        (rate(20.0, 10.0, STRICT), None, [1, 1, 1], Some((300.0, 280.0)), None),
        (None, quota, [1, 1, 1], None, Some((300.0, 300.0))),
        // What the rate refuses does not reach the quota; what the quota refuses goes back to the rate.
        (rate(20.0, 10.0, Policy::default()), plenty, [1, 1, 1], Some((300.0, 280.0)), Some((20.0, 0.0))),
        (rate(100.0, 500.0, STRICT), plenty, [1, 1, 1], Some((300.0, 200.0)), Some((100.0, 0.0))),
        (rate(20.0, 10.0, Policy::default()), quota, [1, 1, 1], Some((300.0, 0.0)), Some((300.0, 300.0))),
        (rate(20.0, 10.0, STRICT), quota, [1, 1, 1], Some((300.0, 0.0)), Some((300.0, 300.0))),
    ] {
        let mut rig = Rig::new(3);
        let limits = rig.configure(&[("one", rate, quota)]);
        rig.run(300);
        rig.load(&limits, 20_000, &load);
        let (led, here) = (rig.busiest(10), rig.busiest_here(10));
        let what = format!("{rate:?} {quota:?} {led:?} {here:?}");
        for (spec, expected) in [(rate, by_rate), (quota, by_quota)] {
            let Some((demand, refused)) = expected else { continue };
            let limit = crate::Name::of("one").limit(spec.unwrap().kind).number();
            let near = |is: f32, should: f64| (f64::from(is) - should).abs() <= 0.1 * should + 10.0;
            let of = |all: &[BusyV1], part: fn(&BusyV1) -> f32| -> f32 {
                all.iter().filter(|busy| busy.limit == limit).map(part).sum()
            };
            assert!(near(of(&here, |busy| busy.demand), demand), "{what}");
            assert!(near(of(&here, |busy| busy.refused), refused), "{what}");
            let busy = led.iter().find(|busy| busy.limit == limit);
            // A limit that was never short is no leader's business.
            let Some(busy) = busy else {
                assert_eq!(refused, 0.0, "{what}");
                continue;
            };
            assert!(near(busy.demand, demand) && near(busy.refused, refused), "{what}");
            assert_eq!(busy.holders.len(), 3, "{what}");
            let shares: u64 = busy.holders.iter().map(|one| u64::from(one.share)).sum();
            assert!(shares <= u64::from(tidegate_proto::ledger::WHOLE), "{what}");
        }
        assert_eq!(rig.busiest_here(1).len(), 3);
        let now = rig.now();
        let (leases, in_use) = rig.nodes[0].agent.survey(now);
        assert!(leases.iter().all(|lease| lease.is_open == (lease.left_ns > 0)), "{leases:?}");
        assert!(leases.iter().any(|lease| lease.is_open), "{leases:?}");
        let limits: usize = in_use.iter().map(|(_, kind)| kind.limits).sum();
        let refused: f64 = in_use.iter().map(|(_, kind)| kind.refused).sum();
        let expected: f32 = rig.nodes[0].agent.busiest(now, 9).iter().map(|busy| busy.refused).sum();
        assert_eq!(limits, usize::from(rate.is_some()) + usize::from(quota.is_some()), "{in_use:?}");
        assert!((refused - f64::from(expected)).abs() < 0.1, "{in_use:?}");
        rig.run(30_000);
        let asked: f32 =
            rig.busiest(10).iter().chain(&rig.busiest_here(10)).map(|busy| busy.demand + busy.refused).sum();
        assert!(asked < 1.0, "{:?}", rig.busiest(10));
    }
}

/// A client that asks one request after the other and waits while its share is on its way gets what nobody else asks for.
#[test]
fn a_burst_at_one_node_waits_for_the_shares_of_the_others() {
    for policy in [Policy::default(), STRICT] {
        for pause_ms in [10, 20, 30, 50, 100, 500, 5_000] {
            for pace in [1, 2, 5, 20, 40, 200] {
                let mut rig = Rig::new(3);
                rig.run(300);
                let limits = rig.configure(&[("one", Some(Spec::rate(0.01, 100.0, policy, 3)), None)]);
                rig.run(1_000);
                let mut admitted = rig.ask(0, &limits, 1);
                rig.run(pause_ms);
                let mut is_over = false;
                for _ in 0..200 {
                    let mut left = pace;
                    while left > 0 && !is_over {
                        left -= 1;
                        match rig.reason(0, &limits) {
                            None => admitted += 1,
                            Some(Reason::Starved) => break,
                            Some(_) => is_over = true,
                        }
                    }
                    rig.step();
                }
                let what = format!("{} after {pause_ms} ms, {pace} at a time: {admitted}", policy.strict);
                assert!((98..=128).contains(&admitted), "{what}");
            }
        }
    }
}
