//! The address book: where each node was last said to be. Learned from memberships and from joining, kept on disk so
//! that a restarted node can reach peers before it hears from anyone. Knows no health.

use crate::{
    GroupId, NodeId, NodeMeta,
    group::CONFIG,
    limits,
    store::checkpoint::write_durably,
    transport::{Begun, Target},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

const FILE: &str = "peers.json";

/// A shared address book.
#[derive(Clone, Default)]
pub(crate) struct Addresses(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    nodes: BTreeMap<NodeId, NodeMeta>,
    changed: bool,
    path: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    nodes: BTreeMap<NodeId, NodeMeta>,
}

impl Addresses {
    /// Reads the book in `dir`; a missing one is empty. Blocking.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let nodes = match std::fs::read(&path) {
            // Memberships name the nodes again, and whoever calls is known by its certificate.
            Ok(bytes) => serde_json::from_slice::<Stored>(&bytes).map(|stored| stored.nodes).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "the address book is damaged; it begins anew");
                BTreeMap::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(Book { nodes, changed: false, path: Some(path) }))))
    }

    /// Where to send to a node.
    pub(crate) fn target(&self, node: NodeId) -> Option<Target> {
        self.lock().nodes.get(&node).map(|meta| Target {
            node,
            address: meta.address.clone(),
            begun: Begun::default(),
        })
    }

    /// All nodes.
    pub(crate) fn all(&self) -> BTreeMap<NodeId, NodeMeta> {
        self.lock().nodes.clone()
    }

    /// Notes newer places.
    pub(crate) fn learn(&self, nodes: impl IntoIterator<Item = (NodeId, NodeMeta)>) {
        let mut book = self.lock();
        for (id, meta) in nodes {
            if book.nodes.get(&id) != Some(&meta)
                && (book.nodes.len() < limits::NODES_MAX || book.nodes.contains_key(&id))
            {
                book.nodes.insert(id, meta);
                book.changed = true;
            }
        }
    }

    /// Notes places of nodes that have none yet.
    pub(crate) fn introduce(&self, nodes: impl IntoIterator<Item = (NodeId, NodeMeta)>) {
        let known: BTreeSet<NodeId> = self.lock().nodes.keys().copied().collect();
        self.learn(nodes.into_iter().filter(|(id, _)| !known.contains(id)));
    }

    /// Notes what the membership of a group says. That of the configuration is the newest; the others follow it, and are
    /// older after a restart.
    pub(crate) fn learn_from(&self, group: GroupId, nodes: impl IntoIterator<Item = (NodeId, NodeMeta)>) {
        if group == CONFIG { self.learn(nodes) } else { self.introduce(nodes) }
    }

    /// Drops nodes that `keep` refuses.
    pub(crate) fn retain(&self, keep: impl Fn(NodeId) -> bool) {
        let mut book = self.lock();
        let before = book.nodes.len();
        book.nodes.retain(|id, _| keep(*id));
        book.changed |= book.nodes.len() != before;
    }

    /// Whether there is something to write.
    pub(crate) fn has_changed(&self) -> bool {
        self.lock().changed
    }

    /// Writes the book when it has changed. Blocking.
    pub(crate) fn save(&self) -> io::Result<()> {
        let (path, stored) = {
            let mut book = self.lock();
            let Some(path) = book.path.clone().filter(|_| book.changed) else { return Ok(()) };
            book.changed = false;
            (path, Stored { version: 1, nodes: book.nodes.clone() })
        };
        let bytes = serde_json::to_vec_pretty(&stored).map_err(io::Error::other)?;
        write_durably(&path, &[&bytes])
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group;

    #[test]
    fn the_book_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let meta = NodeMeta { address: "10.0.0.2:7000".into(), region: "r".into(), az: "a".into() };
        let book = Addresses::open(dir.path()).unwrap();
        book.learn([(2, meta.clone()), (3, meta.clone())]);
        book.learn_from(group::GLOBAL_LEDGER, [(2, NodeMeta::default()), (4, NodeMeta::default())]);
        assert_eq!((&book.all()[&2], &book.all()[&4]), (&meta, &NodeMeta::default()));
        book.learn_from(CONFIG, [(4, meta.clone())]);
        assert_eq!(book.all()[&4], meta);
        book.retain(|id| id == 2);
        book.save().unwrap();
        let again = Addresses::open(dir.path()).unwrap();
        assert_eq!(again.all(), BTreeMap::from([(2, meta)]));
        assert_eq!(again.target(2).unwrap().address, "10.0.0.2:7000");
        assert_eq!(again.target(3), None);
    }
}
