//! Every node serves a configuration that was agreed on, never an older one than before, and after a restart at least what its disk had:
//! with a quorum and without.

use std::collections::BTreeMap;

use tidegate_cluster_sim::NodeId;

/// What a node has shown.
#[derive(Debug, Default)]
struct Shown {
    /// Newest revision that it served in this life.
    served: u64,
    /// Revision on its disk.
    kept: Option<u64>,
}

/// What is served where.
#[derive(Debug, Default)]
pub(crate) struct LastKnownGood {
    /// The deployment that the watched stage serves, from this revision on.
    contents: BTreeMap<u64, String>,
    nodes: BTreeMap<NodeId, Shown>,
    reads: u64,
    without_quorum: u64,
}

impl LastKnownGood {
    /// The log has made the stage serve a deployment, from `revision` on.
    pub(crate) fn agreed(&mut self, revision: u64, deployment: &str) {
        self.contents.entry(revision).or_insert_with(|| deployment.to_owned());
    }

    /// A node starts again.
    pub(crate) fn starts(&mut self, node: NodeId) {
        self.nodes.entry(node).or_default().served = 0;
    }

    /// A node's disk holds this revision for good.
    pub(crate) fn kept(&mut self, node: NodeId, revision: u64) {
        let shown = self.nodes.entry(node).or_default();
        shown.kept = shown.kept.max(Some(revision));
    }

    /// What a running node serves: a revision and the deployment of the stage, if anything.
    pub(crate) fn reads(
        &mut self,
        node: NodeId,
        served: Option<(u64, Option<&str>)>,
        has_quorum: bool,
    ) -> Option<String> {
        self.reads += 1;
        self.without_quorum += u64::from(!has_quorum);
        let shown = self.nodes.entry(node).or_default();
        let Some((revision, deployment)) = served else {
            let kept = shown.kept?;
            return Some(format!("node {node} serves nothing, its disk has revision {kept}"));
        };
        let least = shown.served.max(shown.kept.unwrap_or(0));
        shown.served = revision;
        if revision < least {
            return Some(format!("node {node} serves revision {revision} after {least}"));
        }
        let agreed = self.contents.range(..=revision).next_back().map(|(_, deployment)| deployment.as_str());
        let text =
            || format!("node {node} serves {deployment:?} as revision {revision}, agreed was {agreed:?}");
        (deployment != agreed).then(text)
    }

    /// Reads, and how many of them while the node had no quorum.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.reads, self.without_quorum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_served() {
        let mut good = LastKnownGood::default();
        good.agreed(3, "a");
        good.agreed(5, "b");
        assert_eq!(good.reads(1, None, true), None);
        for (revision, deployment, is_good) in [
            (2, None, true),
            (3, Some("a"), true),
            (4, Some("b"), false),
            (6, Some("b"), true),
            (5, Some("b"), false),
        ] {
            assert_eq!(good.reads(1, Some((revision, deployment)), true).is_none(), is_good, "{revision}");
        }
        good.kept(1, 5);
        good.starts(1);
        assert!(good.reads(1, None, false).is_some(), "its disk has something");
        assert!(good.reads(1, Some((4, Some("a"))), false).is_some(), "its disk has something newer");
        assert_eq!(good.reads(1, Some((5, Some("b"))), false), None);
        assert_eq!(good.counts(), (9, 3));
    }
}
