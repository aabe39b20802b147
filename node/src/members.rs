//! The control plane's view of the cluster: who is a member, what each one serves, and the verbs that change that.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt, future::BoxFuture, future::join_all};
use rand::RngCore;
use tidegate_cluster::{Error, GroupStatus, Handle, NodeId, NodeMeta, group, identity::JoinToken, placement};
use tidegate_control::{Cluster, ClusterError, Store, StoreError};
use tidegate_iam::sigv4::payload_sha256_hex;
use tidegate_proto::{
    document::{Drain, JoinTokenRecord},
    key,
    limits::{DESCRIBE_TIMEOUT_MS, JOIN_TOKEN_TTL_S, JOIN_TOKENS_MAX},
    peer::{MessageV1, NodeReportV1},
    status::{ClusterStatus, JoinTokenIssued, LeaderTransferred, NodeStatus, Tolerance},
    transaction::{OutcomeV1, TransactionV1},
};

use crate::store::ConfigStore;

/// The members of the configuration group, as `control` sees them.
pub(crate) struct Members {
    name: String,
    authority_sha256: [u8; 32],
    handle: Handle,
    store: ConfigStore,
}

impl Members {
    /// Over a running cluster service.
    pub(crate) fn new(name: String, authority_sha256: [u8; 32], handle: Handle, store: ConfigStore) -> Self {
        Self { name, authority_sha256, handle, store }
    }

    async fn describe_all(&self, members: &[(NodeId, NodeMeta)]) -> BTreeMap<NodeId, NodeReportV1> {
        let asked = members.iter().map(|(node, _)| async move { Some((*node, self.describe(*node).await?)) });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn describe(&self, node: NodeId) -> Option<NodeReportV1> {
        let question = MessageV1::Describe.encode().ok()?;
        let answer =
            self.handle.call(node, question.into(), Duration::from_millis(DESCRIBE_TIMEOUT_MS)).await.ok()?;
        match MessageV1::decode(&answer).ok()? {
            MessageV1::Description(report) => Some(report),
            _ => None,
        }
    }

    async fn gather(&self) -> Result<ClusterStatus, ClusterError> {
        let group = self.handle.status(group::CONFIG).map_err(cluster_error)?;
        let mut members: Vec<(NodeId, NodeMeta, bool)> =
            group.voters.into_iter().map(|(id, meta)| (id, meta, true)).collect();
        members.extend(group.learners.into_iter().map(|(id, meta)| (id, meta, false)));
        members.sort_by_key(|(id, ..)| *id);
        let asked: Vec<(NodeId, NodeMeta)> =
            members.iter().map(|(id, meta, _)| (*id, meta.clone())).collect();
        let reports = self.describe_all(&asked).await;
        let contacts: BTreeMap<NodeId, u64> = self
            .handle
            .peers()
            .into_iter()
            .filter_map(|peer| Some((peer.node, peer.last_contact_ms?)))
            .collect();
        let seats: Vec<placement::Candidate> = members
            .iter()
            .filter(|(.., voter)| *voter)
            .map(|(id, meta, _)| placement::Candidate {
                id: *id,
                region: meta.region.clone(),
                az: meta.az.clone(),
                live: reports.contains_key(id),
                caught_up: true,
            })
            .collect();
        let left = placement::tolerance(&seats);
        let own = |id: NodeId| (id == self.handle.node()).then_some(0);
        let status = |(id, meta, voter): (NodeId, NodeMeta, bool)| {
            let role = if group.leader == Some(id) {
                "leader"
            } else if voter {
                "voter"
            } else {
                "learner"
            };
            let contact = own(id).or_else(|| contacts.get(&id).copied());
            node_status(id, meta, role, contact, reports.get(&id).cloned())
        };
        Ok(ClusterStatus {
            cluster: self.name.clone(),
            answered_by: self.handle.node(),
            leader: group.leader,
            term: group.term,
            revision: self.store.view().revision(),
            tolerance: Tolerance {
                nodes: left.nodes as u32,
                azs: left.azs as u32,
                regions: left.regions as u32,
            },
            nodes: members.into_iter().map(status).collect(),
        })
    }

    async fn issue(&self) -> Result<JoinTokenIssued, ClusterError> {
        let view = self.store.view();
        let now = epoch_s();
        let mut transaction = TransactionV1::default();
        let mut unused = 0;
        for (name, record) in view.prefix(key::JOIN_TOKEN_PREFIX) {
            let token = serde_json::from_slice::<JoinTokenRecord>(&record.bytes).unwrap_or_default();
            match token.expires < now {
                true => drop(transaction.delete(name)),
                false => unused += usize::from(token.holder.is_empty()),
            }
        }
        if unused >= JOIN_TOKENS_MAX {
            return Err(ClusterError::Refused(format!(
                "{unused} unused join tokens exist, the limit is {JOIN_TOKENS_MAX}"
            )));
        }
        let mut secret = vec![0; 32];
        rand::rng().fill_bytes(&mut secret);
        transaction.put(
            key::join_token(&payload_sha256_hex(&secret)),
            &JoinTokenRecord { expires: now + JOIN_TOKEN_TTL_S, ..Default::default() },
        );
        self.commit(transaction).await?;
        let addresses = self.addresses()?;
        let token =
            JoinToken { cluster: self.name.clone(), ca_sha256: self.authority_sha256, secret, addresses };
        Ok(JoinTokenIssued { token: token.to_string(), expires_in_s: JOIN_TOKEN_TTL_S })
    }

    fn addresses(&self) -> Result<Vec<String>, ClusterError> {
        let group = self.handle.status(group::CONFIG).map_err(cluster_error)?;
        let others = group.voters.into_iter().chain(group.learners).map(|(_, meta)| meta.address);
        let own = self.handle.meta().address.clone();
        let mut addresses = vec![own.clone()];
        addresses.extend(others.filter(|address| *address != own).take(8));
        Ok(addresses)
    }

    /// The group, when `node` is in it.
    fn member(&self, node: u64) -> Result<GroupStatus, ClusterError> {
        let group = self.handle.status(group::CONFIG).map_err(cluster_error)?;
        match group.voters.iter().chain(&group.learners).any(|(id, _)| *id == node) {
            true => Ok(group),
            false => Err(ClusterError::NoSuchNode { node }),
        }
    }

    async fn mark(&self, node: u64, draining: bool) -> Result<(), ClusterError> {
        let group = self.member(node)?;
        let mut transaction = TransactionV1::default();
        match draining {
            true => transaction.put(key::drain(node), &Drain { since: epoch_s() }),
            false => transaction.delete(key::drain(node)),
        };
        self.commit(transaction).await?;
        match draining && group.leader == Some(node) {
            true => self.handle.transfer(group::CONFIG, None).await.map(|_| ()).map_err(cluster_error),
            false => Ok(()),
        }
    }

    async fn commit(&self, transaction: TransactionV1) -> Result<(), ClusterError> {
        match self.store.commit(transaction).await {
            Ok(OutcomeV1::Committed { .. }) => Ok(()),
            Ok(OutcomeV1::Conflict { key, .. }) => {
                Err(ClusterError::Refused(format!("{key} changed meanwhile; try again")))
            }
            Ok(OutcomeV1::Refused { reason }) => Err(ClusterError::Refused(reason)),
            Err(error) => Err(ClusterError::Store(error)),
        }
    }
}

impl Cluster for Members {
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, ClusterError>> {
        self.gather().boxed()
    }

    fn issue_token(&self) -> BoxFuture<'_, Result<JoinTokenIssued, ClusterError>> {
        self.issue().boxed()
    }

    fn remove(&self, node: u64, force: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        async move {
            self.member(node)?;
            self.handle.remove_node(group::CONFIG, node, force).await.map_err(cluster_error)
        }
        .boxed()
    }

    fn drain(&self, node: u64, draining: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.mark(node, draining).boxed()
    }

    fn transfer(&self, to: Option<u64>) -> BoxFuture<'_, Result<LeaderTransferred, ClusterError>> {
        async move {
            let leader = self.handle.transfer(group::CONFIG, to).await.map_err(cluster_error)?;
            Ok(LeaderTransferred { leader })
        }
        .boxed()
    }
}

fn node_status(
    node: NodeId,
    meta: NodeMeta,
    role: &str,
    contact: Option<u64>,
    report: Option<NodeReportV1>,
) -> NodeStatus {
    let live = report.is_some();
    let report = report.unwrap_or_default();
    NodeStatus {
        node,
        region: meta.region,
        az: meta.az,
        role: role.into(),
        live,
        ready: report.ready,
        draining: report.draining,
        applied_index: report.applied_index,
        serving_revision: report.serving_revision,
        state_hash: report.state_hash,
        last_contact_ms: if live { Some(contact.unwrap_or(0)) } else { contact },
        version: report.version,
        control_address: report.control_address,
        gateway_address: report.gateway_address,
        cluster_address: meta.address,
        uptime_s: report.uptime_s,
    }
}

fn cluster_error(error: Error) -> ClusterError {
    match error {
        Error::NoLeader { .. } | Error::Unreachable { .. } | Error::Deadline => {
            ClusterError::Store(StoreError::NoQuorum)
        }
        Error::Uncertain { .. } => ClusterError::Store(StoreError::Uncertain),
        Error::UnknownNode(node) => ClusterError::NoSuchNode { node },
        other => ClusterError::Refused(other.to_string()),
    }
}

/// Wall clock for token lifetimes and labels; nothing about agreement depends on it.
pub(crate) fn epoch_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as i64)
}
