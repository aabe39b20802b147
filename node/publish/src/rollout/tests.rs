//! Rollouts over three zones of one node each.

use super::*;
use tidegate_proto::document::StageVersion;

const POLICY: RolloutPolicy = RolloutPolicy { is_staged: true, bake_s: 30, errors_percent: 5.0 };

fn zone(az: &str) -> Zone {
    Zone { region: "r".into(), az: az.into() }
}

fn rollout(reached: &[&str]) -> StageRollout {
    let from = StageVersion { deployment_id: "old".into(), ..StageVersion::default() };
    StageRollout { from, reached: reached.iter().map(|az| zone(az)).collect(), reached_s: 0 }
}

/// Requests and errors of the nodes in a, b and c.
fn counts(counts: [(u64, u64); 3]) -> Vec<Seen> {
    let seen = |((number, az), (requests, errors))| Seen {
        node: number,
        zone: zone(az),
        counted: Some(Counted { requests, errors, trouble: None }),
    };
    [(1, "a"), (2, "b"), (3, "c")].into_iter().zip(counts).map(seen).collect()
}

#[test]
fn a_good_version_reaches_zone_after_zone() {
    let mut watch = Watch::default();
    let calm = |requests| counts([(requests, 0); 3]);
    assert_eq!(watch.look(&rollout(&[]), &POLICY, &calm(0), 0), Step::Reach(zone("a")));
    for (reached, from_ms, then) in [
        (&["a"][..], 1_000, Step::Reach(zone("b"))),
        (&["a", "b"], 40_000, Step::Reach(zone("c"))),
        (&["a", "b", "c"], 80_000, Step::Finish),
    ] {
        assert_eq!(watch.look(&rollout(reached), &POLICY, &calm(100), from_ms), Step::Wait);
        assert_eq!(watch.look(&rollout(reached), &POLICY, &calm(200), from_ms + 29_999), Step::Wait);
        assert_eq!(watch.look(&rollout(reached), &POLICY, &calm(300), from_ms + 30_000), then);
    }
}

#[test]
fn a_version_is_taken_back_when_it_fails_more_than_the_one_before() {
    let base = [(1_000, 10), (1_000, 10), (1_000, 10)];
    for (name, after, is_bad) in [
        ("nothing fails", [(1_100, 10), (1_100, 10), (1_100, 10)], false),
        ("only the new one fails", [(1_100, 60), (1_100, 10), (1_100, 10)], true),
        ("just the percentage", [(1_100, 15), (1_100, 10), (1_100, 10)], false),
        ("above the percentage", [(1_100, 16), (1_100, 10), (1_100, 10)], true),
        ("everybody fails", [(1_100, 60), (1_100, 60), (1_100, 60)], false),
        ("too few requests", [(1_019, 29), (1_100, 10), (1_100, 10)], false),
        ("just enough requests", [(1_020, 30), (1_100, 10), (1_100, 10)], true),
        ("nobody asks the old one", [(1_100, 60), (1_000, 10), (1_000, 10)], true),
        ("the node started anew", [(30, 30), (1_100, 10), (1_100, 10)], true),
    ] {
        let mut watch = Watch::default();
        assert_eq!(watch.look(&rollout(&["a"]), &POLICY, &counts(base), 0), Step::Wait, "{name}");
        let step = watch.look(&rollout(&["a"]), &POLICY, &counts(after), 2_000);
        assert_eq!(matches!(step, Step::RollBack(_)), is_bad, "{name}: {step:?}");
    }
}

#[test]
fn trouble_counts_only_where_the_new_version_is() {
    for (trouble, az, is_bad) in [
        (Trouble::DoesNotCompile, "a", true),
        (Trouble::CrashLoop, "a", true),
        (Trouble::DoesNotCompile, "b", false),
        (Trouble::CrashLoop, "b", false),
    ] {
        let mut nodes = counts([(0, 0); 3]);
        for node in nodes.iter_mut().filter(|node| node.zone == zone(az)) {
            node.counted = Some(Counted { trouble: Some(trouble), ..Counted::default() });
        }
        let step = Watch::default().look(&rollout(&["a"]), &POLICY, &nodes, 0);
        assert_eq!(matches!(step, Step::RollBack(_)), is_bad, "{trouble:?} in {az}: {step:?}");
    }
}

#[test]
fn a_zone_in_which_nobody_answers_holds_the_rollout_up() {
    let (mut watch, mut nodes) = (Watch::default(), counts([(0, 0); 3]));
    nodes[0].counted = None;
    assert_eq!(watch.look(&rollout(&["a"]), &POLICY, &nodes, 0), Step::Wait);
    assert_eq!(watch.look(&rollout(&["a"]), &POLICY, &nodes, 90_000), Step::Wait);
    let answers = counts([(0, 0); 3]);
    assert_eq!(watch.look(&rollout(&["a"]), &POLICY, &answers, 90_001), Step::Reach(zone("b")));
}

#[test]
fn a_stage_that_is_not_staged_any_more_is_served_everywhere() {
    let policy = RolloutPolicy { is_staged: false, ..POLICY };
    assert_eq!(Watch::default().look(&rollout(&["a"]), &policy, &[], 0), Step::Finish);
}
