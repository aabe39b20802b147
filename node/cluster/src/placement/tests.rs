//! Placement over random clusters: every claim of tolerance is tried, every step is checked.

use super::*;
use proptest::prelude::*;

fn node(id: NodeId, region: &str, az: &str) -> Candidate {
    Candidate { id, region: region.into(), az: az.into(), live: true, caught_up: true }
}

fn cluster(places: &[(&str, &str)]) -> Vec<Candidate> {
    (1..).zip(places).map(|(id, (region, az))| node(id, region, az)).collect()
}

/// Applies plans from `start` until nothing changes; returns the voters and the number of steps.
fn settle(nodes: &[Candidate], start: &[NodeId]) -> (BTreeSet<NodeId>, Vec<Plan>) {
    let mut voters_now: BTreeSet<NodeId> = start.iter().copied().collect();
    let mut plans = Vec::new();
    loop {
        let plan = voters(nodes, &voters_now);
        if plan.is_empty() {
            return (voters_now, plans);
        }
        assert!(plans.len() < 20, "placement does not settle: {plans:?}");
        voters_now.extend(&plan.add);
        voters_now.retain(|id| !plan.remove.contains(id));
        plans.push(plan);
    }
}

fn spread(nodes: &[Candidate], voters: &BTreeSet<NodeId>, key: impl Fn(&Candidate) -> String) -> Vec<usize> {
    let seated = nodes.iter().filter(|n| voters.contains(&n.id));
    let mut sizes: Vec<usize> = counts(seated.map(key)).into_values().collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

fn state(nodes: &[Candidate], voters: &BTreeSet<NodeId>) -> Vec<Candidate> {
    nodes.iter().filter(|n| voters.contains(&n.id)).cloned().collect()
}

#[test]
fn known_shapes() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], usize, (usize, usize, usize));
    let table: &[Row] = &[
        ("one node", &[("r", "a")], 1, (0, 0, 0)),
        ("two nodes", &[("r", "a"), ("r", "b")], 1, (0, 0, 0)),
        ("three zones", &[("r", "a"), ("r", "b"), ("r", "c")], 3, (1, 1, 0)),
        ("two zones", &[("r", "a"), ("r", "a"), ("r", "b"), ("r", "b")], 3, (1, 0, 0)),
        ("one zone", &[("r", "a"), ("r", "a"), ("r", "a"), ("r", "a")], 3, (1, 0, 0)),
        (
            "zone pairs",
            &[("r", "a"), ("r", "a"), ("r", "b"), ("r", "b"), ("r", "c"), ("r", "c")],
            3,
            (1, 1, 0),
        ),
        ("two regions", &[("r", "a"), ("r", "b"), ("s", "a"), ("s", "b")], 3, (1, 1, 0)),
        ("three regions, three nodes", &[("r", "a"), ("s", "a"), ("t", "a")], 3, (1, 1, 1)),
        (
            "three regions",
            &[("r", "a"), ("r", "b"), ("s", "a"), ("s", "b"), ("t", "a"), ("t", "b")],
            5,
            (2, 2, 1),
        ),
        ("five regions", &[("r", "a"), ("s", "a"), ("t", "a"), ("u", "a"), ("v", "a")], 5, (2, 2, 2)),
        ("one fat region", &[("r", "a"), ("r", "b"), ("r", "c"), ("s", "a"), ("t", "a")], 3, (1, 1, 1)),
    ];
    for (name, places, want, claim) in table {
        let nodes = cluster(places);
        let (voters, _) = settle(&nodes, &[1]);
        assert_eq!(voters.len(), *want, "{name}");
        let got = tolerance(&state(&nodes, &voters));
        assert_eq!(
            (got.quorum, got.nodes, got.azs, got.regions),
            (true, claim.0, claim.1, claim.2),
            "{name}"
        );
    }
}

#[test]
fn three_regions_take_two_two_one() {
    let nodes = cluster(&[("r", "a"), ("r", "b"), ("s", "a"), ("s", "b"), ("t", "a"), ("t", "b")]);
    let (voters, _) = settle(&nodes, &[1]);
    assert_eq!(spread(&nodes, &voters, |n| n.region.clone()), [2, 2, 1]);
    assert_eq!(spread(&nodes, &voters, |n| format!("{}{}", n.region, n.az)), [1, 1, 1, 1, 1]);
}

#[test]
fn a_dead_voter_keeps_its_seat_unless_its_zone_has_an_heir() {
    let mut nodes = cluster(&[("r", "a"), ("r", "b"), ("r", "c"), ("r", "a"), ("r", "b")]);
    nodes[2].live = false;
    assert!(voters(&nodes, &[1, 2, 3].into()).is_empty(), "zone c has no other node");
    nodes[2].live = true;
    nodes[1].live = false;
    assert_eq!(voters(&nodes, &[1, 2, 3].into()), Plan { add: vec![5], remove: vec![2] });
    nodes[4].caught_up = false;
    assert!(voters(&nodes, &[1, 2, 3].into()).is_empty(), "the heir is not ready");
}

#[test]
fn a_better_zone_attracts_one_seat() {
    let nodes = cluster(&[("r", "a"), ("r", "a"), ("r", "b"), ("r", "c")]);
    let plan = voters(&nodes, &[1, 2, 3].into());
    assert_eq!((plan.add, plan.remove.len()), (vec![4], 1));
}

#[test]
fn zones_take_turns() {
    let voters = [(1, "b"), (2, "c"), (3, "a"), (4, "b")];
    for (voters, turn, want) in [
        (&voters[..], 0, vec![3]),
        (&voters, 1, vec![1, 4]),
        (&voters, 2, vec![2]),
        (&voters, 3, vec![3]),
        (&voters, usize::MAX, vec![3]),
        // Two zones lead two of three groups, and the third returns to the first.
        (&voters[..2], 1, vec![2]),
        (&voters[..2], 2, vec![1]),
        (&[], 1, vec![]),
    ] {
        assert_eq!(zone_of_turn(voters, turn), want.into_iter().collect(), "{voters:?} {turn}");
    }
}

#[test]
fn one_region_of_many_places_its_own_voters() {
    // A region's group sees only the nodes of its region, so the two other regions do not make it wide.
    let everyone = [("r", "a"), ("r", "b"), ("r", "b"), ("s", "a"), ("t", "a"), ("r", "c")];
    let nodes: Vec<_> = cluster(&everyone).into_iter().filter(|n| n.region == "r").collect();
    let (voters, _) = settle(&nodes, &[2]);
    assert_eq!(spread(&nodes, &voters, |n| n.az.clone()), [1, 1, 1]);
    let claim = tolerance(&state(&nodes, &voters));
    assert_eq!((claim.nodes, claim.azs, claim.regions), (1, 1, 0));
}

#[test]
fn a_lost_majority_claims_nothing() {
    let mut nodes = cluster(&[("r", "a"), ("r", "b"), ("r", "c")]);
    nodes[0].live = false;
    let one_down = tolerance(&nodes);
    assert_eq!((one_down.quorum, one_down.nodes, one_down.azs), (true, 0, 0));
    nodes[1].live = false;
    assert_eq!(tolerance(&nodes), Tolerance::default());
    assert_eq!(tolerance(&[]), Tolerance::default());
}

prop_compose! {
    fn any_node(id: NodeId)(region in 0..4u8, az in 0..4u8, live in prop::bool::weighted(0.85), caught_up in prop::bool::weighted(0.9)) -> Candidate {
        Candidate { live, caught_up, ..node(id, &format!("r{region}"), &format!("z{az}")) }
    }
}

fn any_cluster() -> impl Strategy<Value = Vec<Candidate>> {
    (1..12u64).prop_flat_map(|count| (1..=count).map(any_node).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_claim_holds(nodes in any_cluster()) {
        let (voters, _) = settle(&nodes, &[1]);
        let seated = state(&nodes, &voters);
        let claim = tolerance(&seated);
        let majority = seated.len() / 2 + 1;
        let left = |gone: &dyn Fn(&Candidate) -> bool| seated.iter().filter(|v| v.live && !gone(v)).count();
        if claim.azs >= 1 {
            for az in &seated {
                prop_assert!(left(&|v| (&v.region, &v.az) == (&az.region, &az.az)) >= majority);
            }
        }
        if claim.regions >= 1 {
            for region in &seated {
                prop_assert!(left(&|v| v.region == region.region) >= majority);
            }
        }
        if claim.nodes >= 1 {
            for one in &seated {
                prop_assert!(left(&|v| v.id == one.id) >= majority);
            }
        }
    }

    #[test]
    fn whole_healthy_clusters_survive_what_is_possible(mut nodes in any_cluster()) {
        for node in &mut nodes { (node.live, node.caught_up) = (true, true); }
        let (voters, _) = settle(&nodes, &[1]);
        let claim = tolerance(&state(&nodes, &voters));
        if nodes.len() >= 3 { prop_assert!(claim.nodes >= 1); }
        if distinct(nodes.iter().map(|n| n.region.as_str())) >= 3 { prop_assert!(claim.regions >= 1, "{voters:?}"); }
        let azs: BTreeSet<_> = nodes.iter().map(|n| (&n.region, &n.az)).collect();
        if azs.len() >= 3 { prop_assert!(claim.azs >= 1, "{voters:?}"); }
        prop_assert!([1, 3, 5].contains(&voters.len()));
    }

    #[test]
    fn steps_are_small_and_settle(nodes in any_cluster(), start in prop::collection::btree_set(1..12u64, 1..5)) {
        let start: Vec<_> = start.into_iter().filter(|id| nodes.iter().any(|n| n.id == *id)).collect();
        prop_assume!(!start.is_empty());
        let (settled, plans) = settle(&nodes, &start);
        for plan in &plans {
            prop_assert!(plan.remove.len() <= 1 && plan.add.len() <= 2);
            prop_assert!(plan.remove.is_empty() || plan.add.len() == 1, "a seat moves, it never vanishes");
            for id in &plan.add {
                prop_assert!(nodes.iter().any(|n| n.id == *id && n.live && n.caught_up));
            }
        }
        prop_assert!(voters(&nodes, &settled).is_empty());
    }
}
