//! Records, ejections and their cap.

use proptest::prelude::*;
use tidegate_proto::limits::{EJECTION_BASE_MS, TARGET_FAILURES_MAX};

use super::*;

fn addresses(azs: &str) -> Vec<(SocketAddr, String)> {
    let address = |index: usize| SocketAddr::from(([10, 0, 0, 1], index as u16 + 1));
    azs.chars().enumerate().map(|(index, az)| (address(index), az.to_string().replace('-', ""))).collect()
}

fn set(azs: &str) -> Targets {
    Targets::new("a", &addresses(azs), None, 0)
}

/// Fails target `index` as often as is too much.
fn break_down(targets: &Targets, index: usize, now_ms: u64) -> Ejection {
    let mut last = Ejection::None;
    for _ in 0..TARGET_FAILURES_MAX {
        last = targets.failed(index, Cause::Network, "refused", now_ms);
    }
    last
}

#[test]
fn at_most_half_are_ejected() {
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (64, 32)] {
        let targets = set(&"a".repeat(count));
        let ejected =
            (0..count).filter(|at| break_down(&targets, *at, 0) == Ejection::Ejected(EJECTION_BASE_MS));
        assert_eq!((ejected.count(), targets.counts().1), (most, most as u32), "of {count}");
    }
    assert_eq!(break_down(&set("a"), 0, 0), Ejection::Capped);
}

#[test]
fn an_ejection_ends_with_its_time() {
    let targets = set("aabb");
    assert_eq!(break_down(&targets, 1, 1_000), Ejection::Ejected(EJECTION_BASE_MS));
    assert!(targets.is_out(1) && targets.counts() == (3, 1));
    assert_eq!(targets.sweep(1_000 + EJECTION_BASE_MS - 1), 0);
    assert_eq!(targets.describe(11_000)[1].health, Health::Ejected(EJECTION_BASE_MS - 10_000));
    assert_eq!(targets.sweep(1_000 + EJECTION_BASE_MS), 1);
    assert_eq!((targets.is_out(1), targets.counts()), (false, (4, 0)));
    assert_eq!(break_down(&targets, 1, 40_000), Ejection::Ejected(2 * EJECTION_BASE_MS));
}

#[test]
fn checks_turn_targets_out_without_a_cap_and_bring_them_back() {
    let targets = set("ab");
    (0..2).for_each(|index| targets.checked(index, false, true));
    assert_eq!(targets.counts(), (0, 0));
    assert!(targets.standing().is_panic && targets.standing().healthy == 0b11);
    targets.checked(0, true, true);
    assert_eq!(targets.counts(), (1, 0));
    // A connection shows nothing about one that answers with errors.
    let answers = |targets: &Targets| {
        (0..TARGET_FAILURES_MAX).for_each(|_| _ = targets.failed(0, Cause::Answer, "500", 0));
    };
    for (cause, asks_http, is_out) in
        [(Cause::Network, false, false), (Cause::Answer, false, true), (Cause::Answer, true, false)]
    {
        let targets = set("ab");
        match cause {
            Cause::Network => _ = break_down(&targets, 0, 0),
            Cause::Answer => answers(&targets),
        }
        targets.checked(0, true, asks_http);
        assert_eq!(targets.is_out(0), is_out, "{cause:?} {asks_http}");
    }
}

#[test]
fn a_new_list_keeps_the_records_of_those_that_stay() {
    let before = set("abc");
    break_down(&before, 1, 0);
    before.checked(2, false, true);
    let mut list = addresses("abcd");
    list.remove(0);
    let after = Targets::new("a", &list, Some(&before), 1_000);
    let health: Vec<Health> = after.describe(1_000).into_iter().map(|one| one.health).collect();
    assert_eq!(health, [Health::Ejected(EJECTION_BASE_MS - 1_000), Health::Failing, Health::Healthy]);
    assert_eq!(after.describe(0)[0].last_error.as_deref(), Some("refused"));
    let late = Targets::new("a", &list, Some(&before), EJECTION_BASE_MS);
    assert_eq!(late.counts(), (2, 0));
}

#[test]
fn zones_are_words() {
    let targets = set("aab-");
    assert_eq!([0, 1, 2, 3, 4].map(|index| targets.beside(index)), [0b11, 0b11, 0b100, 0b1000, 0]);
    let standing = targets.standing();
    assert_eq!((standing.local, standing.usable), (0b11, 0b1111));
    targets.avoid(&["a"]);
    let standing = targets.standing();
    assert_eq!((standing.local, standing.usable, standing.has_local), (0, 0b1100, true));
    targets.avoid(&["b"; 0]);
    assert_eq!(targets.standing().usable, 0b1111);
    assert_eq!(Targets::new("", &addresses("--"), None, 0).standing().local, 0);
}

proptest! {
    #[test]
    fn whatever_happens_half_stay(
        count in 1_usize..=64,
        steps in proptest::collection::vec((0_usize..64, any::<bool>(), 0_u64..100_000), 0..600),
    ) {
        let targets = set(&"abc".repeat(22)[..count]);
        let mut now_ms = 0;
        for (index, is_failure, later) in steps {
            now_ms += later / 100;
            match is_failure {
                true => _ = break_down(&targets, index, now_ms),
                false => targets.succeeded(index),
            }
            if later % 7 == 0 {
                targets.sweep(now_ms);
            }
            let (healthy, ejected) = targets.counts();
            prop_assert!(ejected as usize * 2 <= count);
            prop_assert_eq!((healthy + ejected) as usize, count);
        }
        targets.sweep(u64::MAX);
        prop_assert_eq!(targets.counts(), (count as u32, 0));
    }
}

#[test]
fn the_standing_follows_every_change_whoever_makes_it() {
    let targets = set("aabbcc");
    let found = |targets: &Targets| {
        let out = targets.ejected.load(Acquire) | targets.failing.load(Acquire);
        Standing::new(targets.everyone, targets.local, targets.avoided.load(Acquire), out)
    };
    std::thread::scope(|scope| {
        for seed in 0..4_u64 {
            let targets = &targets;
            scope.spawn(move || {
                let mut random = seed;
                for now_ms in 0..2_000 {
                    random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    let (what, index) = (random >> 60, (random >> 40) as usize % 6);
                    match what % 4 {
                        0 => _ = targets.failed(index, Cause::Network, "refused", now_ms),
                        1 => _ = targets.sweep(now_ms * 1_000),
                        2 => targets.avoid(&["b"][..index % 2]),
                        _ => targets.checked(index, what > 8, true),
                    }
                }
            });
        }
    });
    assert_eq!(targets.standing(), found(&targets));
    targets.checked(0, false, true);
    assert_eq!(targets.standing(), found(&targets));
}
