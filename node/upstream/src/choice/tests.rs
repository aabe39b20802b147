//! Choices by table, and what holds for all of them.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

/// Targets by zone, a letter each; capital letters are out, this node is in `a`.
fn standing(targets: &str, avoided: &str) -> Standing {
    let mask = |is_in: &dyn Fn(char) -> bool| {
        let bits = targets.chars().enumerate().filter(|(_, az)| is_in(*az));
        bits.fold(0, |mask, (index, _)| mask | bit(index))
    };
    let zone = |az: char| az.to_ascii_lowercase();
    Standing::new(
        mask(&|_| true),
        mask(&|az| zone(az) == 'a'),
        mask(&|az| avoided.contains(zone(az))),
        mask(&|az| az.is_ascii_uppercase()),
    )
}

/// Of 65,536 first choices, how many went to each target.
fn spread(standing: &Standing) -> Vec<u32> {
    let mut counts = vec![0; 64];
    for random in 0..=u16::MAX {
        // The first byte decides on the zone, the next ones on the target.
        let random = u64::from(random).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(24);
        if let Some(choice) = choose(standing, &Tries::default(), random, |_| 0) {
            counts[choice.index] += 1;
        }
    }
    counts
}

#[test]
fn same_zone_first_and_spill_over_when_it_is_short() {
    // Targets, shifted zones, and the share of calls in percent that each zone of a, b, c gets.
    for (targets, avoided, expect) in [
        ("aabbcc", "", [100, 0, 0]),
        ("abc", "", [100, 0, 0]),
        ("aAbbcc", "", [70, 15, 15]),
        ("aaAbbc", "", [93, 5, 2]),
        ("AAbbcc", "", [0, 50, 50]),
        ("aabbcc", "a", [0, 50, 50]),
        ("aabbcc", "ab", [0, 0, 100]),
        ("aabbcc", "abc", [100, 0, 0]),
        ("bbcc", "", [0, 50, 50]),
        ("bbCc", "", [0, 67, 33]),
        // Less than half are healthy: all are taken.
        ("aABBCC", "", [33, 33, 33]),
        ("AABBCC", "", [33, 33, 33]),
        // A node that sees only its own zone stays there.
        ("aaBBCC", "", [100, 0, 0]),
        ("aBBBBCCCC", "", [100, 0, 0]),
        ("aaBBCC", "a", [0, 50, 50]),
        ("A", "", [100, 0, 0]),
        ("Ab", "", [0, 100, 0]),
    ] {
        let counts = spread(&standing(targets, avoided));
        let mut zones = [0_u32; 3];
        for (az, count) in targets.chars().zip(counts) {
            zones["abc".find(az.to_ascii_lowercase()).unwrap()] += count;
        }
        let percent = zones.map(|count| (f64::from(count) / 655.36).round() as i32);
        let is_close = percent.iter().zip(expect).all(|(found, expect)| (found - expect).abs() <= 2);
        assert!(is_close, "{targets} without {avoided:?}: {percent:?}, not {expect:?}");
    }
}

#[test]
fn why_a_call_goes_where_it_goes() {
    for (targets, avoided, expect) in [
        ("aabb", "", Reach::Local),
        ("bbcc", "", Reach::Anywhere),
        ("AAbbcc", "", Reach::Spilled),
        ("aabb", "a", Reach::Spilled),
        ("AABb", "", Reach::Panic),
        ("a", "", Reach::Local),
    ] {
        let choice = choose(&standing(targets, avoided), &Tries::default(), 0, |_| 0).unwrap();
        assert_eq!(choice.reach, expect, "{targets}");
    }
    assert_eq!(choose(&standing("", ""), &Tries::default(), 0, |_| 0), None);
}

#[test]
fn the_next_try_is_made_in_another_zone() {
    let address = |at: usize| SocketAddr::from(([10, 0, 0, 1], at as u16 + 1));
    let list: Vec<_> = "aabbc".chars().enumerate().map(|(at, az)| (address(at), az.to_string())).collect();
    let targets = Targets::new("a", &list, None, 0);
    let mut tries = Tries::default();
    for (tried, expect) in [(0, 0b11100_u64), (2, 0b10000), (4, 0b01010), (1, 0b01000)] {
        tries.note(&targets, tried, true);
        for random in 0..=u64::from(u16::MAX) {
            let choice = choose(&targets.standing(), &tries, random * 31, |_| 0).unwrap();
            assert!(expect & bit(choice.index) != 0, "after {tried}: {}", choice.index);
        }
    }
    tries.note(&targets, 3, false);
    assert!(choose(&targets.standing(), &tries, 7, |_| 0).is_some(), "all were tried, so any will do");
    assert_eq!((tries.count, tries.sent, tries.is_empty()), (5, 4, false));
}

#[test]
fn of_two_the_one_with_fewer_calls() {
    let standing = standing("aaaa", "");
    let busy = [9, 9, 0, 9];
    let chosen = (0..=u16::MAX).filter(|random| {
        let random = u64::from(*random) << 8;
        choose(&standing, &Tries::default(), random, |index| busy[index])
            .is_some_and(|choice| choice.index == 2)
    });
    // It wins whenever it is one of the two: in half of all draws of two of four.
    let share = chosen.count() as f64 / 65_536.0;
    assert!((0.48..0.52).contains(&share), "{share}");
}

proptest! {
    #[test]
    fn a_choice_is_usable_and_healthy_where_enough_are(
        everyone in 1_u64..,
        local in any::<u64>(),
        avoided in any::<u64>(),
        out in any::<u64>(),
        random in any::<u64>(),
    ) {
        let standing = Standing::new(everyone, local & everyone, avoided, out);
        let choice = choose(&standing, &Tries::default(), random, |index| index as u32).unwrap();
        let chosen = bit(choice.index);
        prop_assert!(everyone & chosen != 0);
        prop_assert!(standing.healthy & chosen != 0);
        prop_assert!(everyone & !avoided == 0 || chosen & avoided == 0);
        let healthy = standing.usable & !out;
        if standing.local_share == 256 || healthy.count_ones() * 2 >= standing.usable.count_ones() {
            prop_assert!(!standing.is_panic && chosen & out == 0);
        } else {
            prop_assert!(standing.is_panic);
        }
    }
}
