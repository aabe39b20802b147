//! A cache that lets go of what was not used for longest: what the store is compared with.

use std::collections::HashMap;

/// No node.
const NONE: usize = usize::MAX;

/// Keys with the bytes that they count for, chained from the one used last to the one used first.
pub(super) struct Lru {
    bytes_max: u64,
    bytes: u64,
    places: HashMap<u64, usize>,
    nodes: Vec<Node>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
}

#[derive(Clone, Copy)]
struct Node {
    key: u64,
    bytes: u64,
    newer: usize,
    older: usize,
}

impl Lru {
    /// Empty.
    pub(super) fn new(bytes_max: u64) -> Self {
        let (places, nodes, free) = (HashMap::new(), Vec::new(), Vec::new());
        Self { bytes_max, bytes: 0, places, nodes, free, newest: NONE, oldest: NONE }
    }

    /// Whether a key is there; it is then the one used last.
    pub(super) fn find(&mut self, key: u64) -> bool {
        let Some(at) = self.places.get(&key).copied() else { return false };
        self.unchain(at);
        self.chain(at);
        true
    }

    /// Takes a key in that is not there, and lets go of as many as must go for it; `false`, as it was not found.
    pub(super) fn keep(&mut self, key: u64, bytes: u64) -> bool {
        self.bytes += bytes;
        let node = Node { key, bytes, newer: NONE, older: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.places.insert(key, at);
        self.chain(at);
        while self.bytes > self.bytes_max && self.oldest != NONE {
            self.let_go(self.oldest);
        }
        false
    }

    fn let_go(&mut self, at: usize) {
        let Node { key, bytes, .. } = self.nodes[at];
        self.unchain(at);
        self.places.remove(&key);
        self.bytes -= bytes;
        self.free.push(at);
    }

    fn chain(&mut self, at: usize) {
        (self.nodes[at].newer, self.nodes[at].older) = (NONE, self.newest);
        match self.newest {
            NONE => self.oldest = at,
            newest => self.nodes[newest].newer = at,
        }
        self.newest = at;
    }

    fn unchain(&mut self, at: usize) {
        let Node { newer, older, .. } = self.nodes[at];
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older].newer = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut lru = Lru::new(30);
        for key in [1, 2, 3] {
            lru.keep(key, 10);
        }
        assert!(lru.find(1));
        lru.keep(4, 10);
        assert_eq!([1, 2, 3, 4].map(|key| lru.places.contains_key(&key)), [true, false, true, true]);
        lru.keep(5, 20);
        assert_eq!([1, 3, 4, 5].map(|key| lru.places.contains_key(&key)), [false, false, true, true]);
        assert_eq!((lru.bytes, lru.nodes.len()), (30, 4));
        lru.keep(6, 31);
        assert!(lru.places.is_empty() && lru.bytes == 0);
    }
}
