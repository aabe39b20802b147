//! Which node of a zone owns a key (rendezvous hashing): all nodes that see the same nodes name the same owner, and one that comes or
//! goes changes the owners of its own keys only. Must never be asked what is stored.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The nodes of the zone that are there.
#[derive(Debug, Default)]
pub(crate) struct Circle {
    own: u64,
    /// This one included, sorted.
    seats: Box<[Seat]>,
}

#[derive(Debug)]
struct Seat {
    node: u64,
    /// Until when it is passed over, because it did not reply; on the clock of the shards.
    avoided_until_ns: AtomicU64,
}

impl Circle {
    /// Whether it is made of these nodes.
    pub(crate) fn is_of(&self, own: u64, nodes: &[u64]) -> bool {
        self.own == own && self.seats.iter().map(|seat| seat.node).eq(sorted(own, nodes))
    }

    /// A circle of other nodes; who did not reply a moment ago is passed over in it too.
    pub(crate) fn succeed(&self, own: u64, nodes: &[u64]) -> Self {
        let seat = |node| {
            let known = self.seats.iter().find(|seat| seat.node == node);
            let avoided_until_ns = known.map_or(0, |seat| seat.avoided_until_ns.load(Relaxed));
            Seat { node, avoided_until_ns: AtomicU64::new(avoided_until_ns) }
        };
        Self { own, seats: sorted(own, nodes).map(seat).collect() }
    }

    /// The owner of a key; `None` when it is this node.
    pub(crate) fn owner(&self, key: &[u8], now_ns: u64) -> Option<u64> {
        if self.seats.len() < 2 {
            return None;
        }
        let is_asked = |seat: &&Seat| seat.node == self.own || seat.avoided_until_ns.load(Relaxed) <= now_ns;
        let weight = |seat: &&Seat| (xxh3_64_with_seed(key, seat.node), seat.node);
        let owner = self.seats.iter().filter(is_asked).max_by_key(weight)?.node;
        (owner != self.own).then_some(owner)
    }

    /// Passes a node over for a while: its keys are those of the next one, for all who notice.
    pub(crate) fn avoid(&self, node: u64, until_ns: u64) {
        if let Some(seat) = self.seats.iter().find(|seat| seat.node == node) {
            seat.avoided_until_ns.fetch_max(until_ns, Relaxed);
        }
    }

    pub(crate) fn own(&self) -> u64 {
        self.own
    }

    /// Whether a node is there.
    pub(crate) fn has(&self, node: u64) -> bool {
        self.seats.iter().any(|seat| seat.node == node)
    }

    /// Nodes, at least one.
    pub(crate) fn len(&self) -> usize {
        self.seats.len().max(1)
    }
}

fn sorted(own: u64, nodes: &[u64]) -> impl Iterator<Item = u64> {
    let mut all: Vec<u64> = nodes.iter().copied().chain([own]).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(own: u64, nodes: &[u64]) -> Circle {
        Circle::default().succeed(own, nodes)
    }

    fn owners(circle: &Circle, now_ns: u64) -> Vec<u64> {
        let owner = |number: u32| circle.owner(&number.to_le_bytes(), now_ns).unwrap_or(circle.own());
        (0..3_000).map(owner).collect()
    }

    #[test]
    fn all_nodes_name_the_same_owner_and_each_owns_its_part() {
        let nodes = [1, 2, 3];
        let seen = nodes.map(|own| owners(&circle(own, &nodes), 0));
        assert!(seen[0] == seen[1] && seen[1] == seen[2]);
        for node in nodes {
            let count = seen[0].iter().filter(|owner| **owner == node).count();
            assert!((900..1_100).contains(&count), "{node} owns {count} of 3,000");
        }
    }

    #[test]
    fn one_that_goes_changes_the_owners_of_its_own_keys_only() {
        let before = owners(&circle(1, &[1, 2, 3]), 0);
        for (gone, left) in [(2, [1, 3]), (3, [1, 2])] {
            for (was, is) in before.iter().zip(owners(&circle(1, &left), 0)) {
                assert!(*was == gone || *was == is);
                assert_ne!(is, gone);
            }
        }
    }

    #[test]
    fn owners_stay_as_they_are_from_version_to_version() {
        let circle = circle(1, &[2, 3]);
        let seen: Vec<u64> = owners(&circle, 0).into_iter().take(12).collect();
        assert_eq!(seen, [2, 1, 3, 3, 2, 1, 1, 3, 3, 2, 3, 3]);
    }

    #[test]
    fn one_that_does_not_reply_is_passed_over_for_a_while() {
        let two = circle(1, &[1, 2]);
        let before = owners(&two, 0);
        two.avoid(2, 10);
        two.avoid(2, 5);
        assert!(owners(&two, 9).iter().all(|owner| *owner == 1));
        assert_eq!(owners(&two, 10), before);
        let three = two.succeed(1, &[1, 2, 3]);
        assert!(owners(&three, 9).iter().all(|owner| *owner != 2));
        two.avoid(1, 10);
        assert_eq!(owners(&two, 10), before, "a node avoids itself");
    }

    #[test]
    fn a_node_alone_asks_nobody() {
        for circle in [Circle::default(), circle(7, &[]), circle(7, &[7])] {
            assert_eq!((circle.owner(b"key", 0), circle.len()), (None, 1));
        }
        assert!(circle(7, &[8]).is_of(7, &[8, 7]) && !circle(7, &[8]).is_of(7, &[7]));
        assert!(!Circle::default().is_of(7, &[7]));
    }
}
