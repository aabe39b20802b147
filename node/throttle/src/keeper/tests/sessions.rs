//! Sessions that begin while a region is being put together.

use super::*;

/// The first node of a region is given everything, the answer is lost, and then the others come.
#[test]
fn a_session_that_was_never_heard_of_makes_room() {
    for policy in [STRICT, Policy::default()] {
        let mut rig = Rig::new(3);
        let all = std::mem::replace(&mut rig.holders.region, 1);
        let rate = |holders| [("one", Some(Spec::rate(1_000.0, 500.0, policy, holders)), None)];
        rig.configure(&rate(1));
        rig.nodes[1].is_cut_off = true;
        rig.nodes[2].is_cut_off = true;
        rig.ask_ledgers();
        rig.nodes[0].is_cut_off = true;
        rig.answer();
        assert!(rig.nodes.iter().all(|node| !(0..crate::SHARDS).any(|shard| node.agent.is_open(shard))));

        rig.holders.region = all;
        let limits = rig.configure(&rate(3));
        rig.nodes[1].is_cut_off = false;
        rig.nodes[2].is_cut_off = false;
        rig.run(300);
        rig.nodes[0].is_cut_off = false;
        rig.run(1_000);
        let admitted = rig.load(&limits, 3_000, &[1, 1, 1]);
        assert!(admitted.iter().all(|count| *count >= 295), "{policy:?} {admitted:?}");
    }
}
