//! Who should be in a group next to the configuration, and the next change towards that. Pure: a function of two
//! memberships.

use crate::{GroupScope, NodeId, NodeMeta, raft::types::Membership};
use openraft::ChangeMembers;
use std::collections::{BTreeMap, BTreeSet};

/// Where a member stands, or should.
pub(crate) type Roster = BTreeMap<NodeId, NodeMeta>;

/// The next thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// New nodes become learners, known ones get the place they have now, or learners go.
    Members(ChangeMembers<NodeId, NodeMeta>),
    /// This voter goes, as soon as the others can do without it.
    Unseat(NodeId),
}

/// The nodes of the configuration that a group should have; `None` while no configuration is known.
pub(crate) fn of(scope: GroupScope, region: &str, config: &Membership) -> Option<Roster> {
    config.nodes().next()?;
    let all = config.nodes().filter(|(_, meta)| belongs(scope, region, meta));
    Some(all.map(|(id, meta)| (*id, meta.clone())).collect())
}

/// Whether a node that stands there may be a member of a group that is seen from `region`.
pub(crate) fn belongs(scope: GroupScope, region: &str, meta: &NodeMeta) -> bool {
    match scope {
        GroupScope::Cluster => true,
        GroupScope::Region { .. } => meta.region == region,
    }
}

/// What a group's leader does first where its members are not the roster. It does not remove itself.
pub(crate) fn next_change(roster: &Roster, members: &Membership, leader: NodeId) -> Option<Change> {
    let differing = roster.iter().filter(|(id, meta)| members.get_node(id) != Some(meta));
    let (moved, new): (Roster, Roster) =
        differing.map(|(id, meta)| (*id, meta.clone())).partition(|(id, _)| members.get_node(id).is_some());
    let gone = |id: &NodeId| !roster.contains_key(id) && *id != leader;
    let learners: BTreeSet<NodeId> = members.learner_ids().filter(gone).collect();
    Some(if !new.is_empty() {
        Change::Members(ChangeMembers::AddNodes(new))
    } else if !moved.is_empty() {
        Change::Members(ChangeMembers::SetNodes(moved))
    } else if !learners.is_empty() {
        Change::Members(ChangeMembers::RemoveNodes(learners))
    } else {
        Change::Unseat(members.voter_ids().find(gone)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: GroupScope = GroupScope::Region { spread: 0 };

    /// `(node, region, address)`.
    type Place = (NodeId, &'static str, &'static str);

    fn roster(places: &[Place]) -> Roster {
        let meta = |region: &str, address: &str| NodeMeta {
            address: address.into(),
            region: region.into(),
            az: "a".into(),
        };
        places.iter().map(|(id, region, address)| (*id, meta(region, address))).collect()
    }

    fn membership(voters: &[NodeId], places: &[Place]) -> Membership {
        Membership::new(vec![voters.iter().copied().collect()], roster(places)).unwrap()
    }

    #[test]
    fn a_region_group_has_the_nodes_of_its_region() {
        let config = [(1, "r", ""), (2, "r", ""), (3, "s", ""), (4, "r-2", "")];
        for (scope, region, want) in [
            (GroupScope::Cluster, "r", vec![1, 2, 3, 4]),
            (REGION, "r", vec![1, 2]),
            (REGION, "s", vec![3]),
            (REGION, "t", vec![]),
        ] {
            let found = of(scope, region, &membership(&[1], &config)).unwrap();
            assert_eq!(found.into_keys().collect::<Vec<_>>(), want, "{scope:?} {region}");
        }
        assert_eq!(
            of(REGION, "r", &Membership::default()),
            None,
            "an unknown configuration empties no group"
        );
    }

    #[test]
    fn one_change_at_a_time_leads_to_the_roster() {
        let three = [(1, "r", "a"), (2, "r", "b"), (3, "r", "c")];
        type Row<'a> = (&'a str, &'a [Place], &'a [NodeId], &'a [Place], Option<Change>);
        let add = |places: &[Place]| Some(Change::Members(ChangeMembers::AddNodes(roster(places))));
        let set = |places: &[Place]| Some(Change::Members(ChangeMembers::SetNodes(roster(places))));
        let table: &[Row] = &[
            ("nothing", &three, &[1, 2, 3], &three, None),
            ("a group that has just begun", &three, &[1], &three[..1], add(&three[1..])),
            (
                "a node that moved house",
                &three,
                &[1, 2],
                &[(1, "r", "a"), (2, "r", "x"), three[2]],
                set(&three[1..2]),
            ),
            ("a learner that is gone", &three[..2], &[1, 2], &three, {
                Some(Change::Members(ChangeMembers::RemoveNodes([3].into())))
            }),
            ("a voter that is gone", &three[..2], &[1, 2, 3], &three, Some(Change::Unseat(3))),
            (
                "new ones come before gone ones",
                &three[1..],
                &[1, 2],
                &[(1, "r", "a"), three[1]],
                add(&three[2..]),
            ),
            ("the leader stays", &three[1..], &[1, 2, 3], &three, None),
        ];
        for (name, wanted, voters, present, change) in table {
            let found = next_change(&roster(wanted), &membership(voters, present), 1);
            assert_eq!(found, *change, "{name}");
        }
    }
}
