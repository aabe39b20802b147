//! What the rest of the program holds: a cheap handle on the running cluster service.

use crate::runtime::watch;
use crate::{
    Error, GroupId, GroupStatus, NodeId, NodeMeta, PeerStatus, forward, limits,
    node::Node,
    raft::group::stopped,
    runtime, status,
    store::checkpoint::write_durably,
    transport::{Lane, SendError},
    wire::{convert, v1::*},
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

/// A cheap clone; works for as long as the service runs.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Node>);

/// An applied command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its position in the log.
    pub index: u64,
    /// What the machine answered.
    pub outcome: Bytes,
}

/// When a majority confirmed that the leader who was asked for a read point leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// After it was asked: what is read is linearizable.
    Confirmed,
    /// At most two heartbeats before. Nobody else can have been elected since unless clocks ran apart.
    Recent,
}

impl Handle {
    /// This node.
    pub fn node(&self) -> NodeId {
        self.0.id
    }

    /// Where this node says it is: the advertised address with the bound port.
    pub fn meta(&self) -> &NodeMeta {
        &self.0.meta
    }

    /// True when both belong to the same run of the node.
    #[cfg(feature = "sim")]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Starts a new group with this node as its only voter.
    ///
    /// # Errors
    /// [`Error::Initialised`] when the group has members already.
    pub async fn bootstrap(&self, group: GroupId) -> Result<(), Error> {
        self.0.group(group)?.bootstrap(self.0.meta.clone()).await
    }

    /// True when this node knows members of the group: it has been started, here or elsewhere. False does not mean that
    /// it has not been started elsewhere.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`].
    pub fn is_formed(&self, group: GroupId) -> Result<bool, Error> {
        Ok(self.0.group(group)?.is_formed())
    }

    /// Proposes `command` and returns what the machine answered once a majority has it on disk. Forwards to the leader;
    /// waits for one until `deadline` has passed.
    ///
    /// # Errors
    /// [`Error::Uncertain`] when the command may have been applied; everything else means it was not.
    pub async fn propose(
        &self,
        group: GroupId,
        command: Bytes,
        deadline: Duration,
    ) -> Result<Applied, Error> {
        check_size("command", command.len(), limits::COMMAND_BYTES_MAX)?;
        forward::propose(&self.0, self.0.group(group)?, command, deadline).await
    }

    /// A point for a linearizable read: everything acknowledged before this call is applied on this node when it
    /// returns. The value is the log index of the point.
    ///
    /// # Errors
    /// [`Error::NoLeader`] or [`Error::Deadline`]; nothing was changed.
    pub async fn barrier(&self, group: GroupId, deadline: Duration) -> Result<u64, Error> {
        forward::barrier(&self.0, self.0.group(group)?, deadline).await
    }

    /// As [`barrier`](Self::barrier), for deciding a change whose preconditions are checked again where it is applied: a leader does not
    /// ask a majority that confirmed it a moment ago.
    ///
    /// # Errors
    /// As [`barrier`](Self::barrier).
    pub async fn recent(&self, group: GroupId, deadline: Duration) -> Result<Freshness, Error> {
        let found = forward::fresh_barrier(&self.0, self.0.group(group)?, Freshness::Recent, deadline).await;
        found.map(|(_, freshness)| freshness)
    }

    /// The leader as this node knows it; it may have been replaced already.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`].
    pub fn leader(&self, group: GroupId) -> Result<Option<NodeId>, Error> {
        Ok(self.0.group(group)?.leader())
    }

    /// Names the nodes that should lead nothing while others can, this one included or not; replaces those named before. Leaders among
    /// them hand over to a voter that is caught up, within seconds.
    pub fn set_resting(&self, nodes: BTreeSet<NodeId>) {
        *self.0.resting.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    /// What is wrong with this node's disk, if anything.
    pub fn disk_trouble(&self) -> Option<crate::DiskTrouble> {
        *self.0.troubles.borrow()
    }

    /// Resolves once this node's log of a group is whole: at once, unless it was found damaged at the start. Then it takes other nodes that
    /// have what it lacks.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`], or [`Error::Stopped`].
    pub async fn whole(&self, group: GroupId) -> Result<(), Error> {
        let mut voice = self.0.group(group)?.voice.follow();
        voice.wait_for(|is_had| *is_had).await.map(drop).map_err(|_| Error::Stopped)
    }

    /// Damaged logs and checkpoints that were found on the disks of this process.
    pub fn damages(&self) -> u64 {
        crate::store::damage::count()
    }

    /// Follows [`Self::leader`].
    ///
    /// # Errors
    /// [`Error::UnknownGroup`].
    pub fn leaders(&self, group: GroupId) -> Result<watch::Receiver<Option<NodeId>>, Error> {
        Ok(self.0.group(group)?.tenure.leader())
    }

    /// Follows this node's time in office: the term in which it leads the group, from when its machine has applied
    /// everything of earlier terms until it has lost leadership, cannot reach a majority, or stops. The value is a hint
    /// that is one wake-up old: an answer that must not come from a replaced leader has to wait for [`Self::confirm`].
    ///
    /// The number of the term is Raft's with this node's number in its lowest 24 bits, because Raft's alone can be led by
    /// two nodes, one after the other. No two leaders of a group share a number, and the later one has the greater number.
    /// After a time without a majority the same term can come back, with nothing of another leader in between.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`].
    pub fn leadership(&self, group: GroupId) -> Result<watch::Receiver<Option<u64>>, Error> {
        Ok(self.0.group(group)?.tenure.term())
    }

    /// Proposes `command` only if this node still leads the group in exactly `term`; never forwards and never waits for
    /// leadership.
    ///
    /// # Errors
    /// [`Error::Uncertain`] when the command may have been applied; everything else means it was not, usually
    /// [`Error::NotLeading`].
    pub async fn propose_as_leader(
        &self,
        group: GroupId,
        term: u64,
        command: Bytes,
        deadline: Duration,
    ) -> Result<Applied, Error> {
        check_size("command", command.len(), limits::COMMAND_BYTES_MAX)?;
        self.0.group(group)?.propose_in(term, command, deadline).await
    }

    /// Has a majority confirm that this node leads the group in `term`, with messages that were sent after this call
    /// began: whoever leads in a later term won its votes after that. Never forwards, never trusts a clock, and does not
    /// wait for anything to be applied.
    ///
    /// # Errors
    /// [`Error::NotLeading`], [`Error::Deadline`] when no majority answered in time, or [`Error::Stopped`].
    pub async fn confirm(&self, group: GroupId, term: u64, deadline: Duration) -> Result<(), Error> {
        self.0.group(group)?.confirm(term, deadline).await.map(|_| ())
    }

    /// Follows the index this node's machine has applied.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`].
    pub fn applied(&self, group: GroupId) -> Result<watch::Receiver<u64>, Error> {
        Ok(self.0.group(group)?.applied.clone())
    }

    /// What this node knows about a group.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`].
    pub fn status(&self, group: GroupId) -> Result<GroupStatus, Error> {
        Ok(status::group(&self.0, self.0.group(group)?))
    }

    /// What this node knows about its peers.
    pub fn peers(&self) -> Vec<PeerStatus> {
        status::peers(&self.0)
    }

    /// Bytes the log takes on this node's disk.
    ///
    /// # Errors
    /// [`Error::Storage`], or [`Error::Stopped`] when the service has ended.
    pub fn log_bytes(&self) -> Result<u64, Error> {
        let backend = self.0.backend.upgrade().ok_or(Error::Stopped)?;
        backend.size_bytes().map_err(|e| Error::Storage(e.to_string()))
    }

    /// Asks the inbox of another node, or this node's own.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nothing was sent, [`Error::Uncertain`] when no answer came, [`Error::Refused`] with
    /// the inbox's own error.
    pub async fn call(&self, to: NodeId, message: Bytes, deadline: Duration) -> Result<Bytes, Error> {
        check_size("message", message.len(), limits::MESSAGE_BYTES_MAX)?;
        let refused = |reason| Error::Refused { node: to, reason };
        if to == self.0.id {
            let answer = runtime::timeout(deadline, self.0.inbox.call(to, message)).await;
            return answer.ok_or(Error::Deadline)?.map_err(refused);
        }
        let request = self.0.frame(0, &CallV1 { message: message.to_vec() });
        let call = self.0.transport.call(self.0.target(to)?, Lane::Request, request);
        let frame = match runtime::timeout(deadline, call).await {
            None => return Err(Error::Uncertain { reason: "no answer before the deadline".to_owned() }),
            Some(Err(SendError::NotSent(reason))) => return Err(Error::Unreachable { node: to, reason }),
            Some(Err(SendError::Unanswered(reason))) => return Err(Error::Uncertain { reason }),
            Some(Ok(frame)) => frame,
        };
        self.0.note(to);
        match frame.decode::<AnswerV1>() {
            Ok(AnswerV1 { error: Some(reason), .. }) => Err(refused(reason)),
            Ok(answer) => Ok(answer.message.into()),
            Err(error) => {
                Err(refused(crate::raft::network::refusal(&frame).unwrap_or_else(|| error.to_string())))
            }
        }
    }

    /// Adds a node as a learner, or updates its address. Placement promotes it when that helps.
    ///
    /// # Errors
    /// [`Error::Change`] or [`Error::NoLeader`]; safe to repeat.
    pub async fn add_node(&self, group: GroupId, node: NodeId, meta: NodeMeta) -> Result<(), Error> {
        let change = ChangeKindV1::Add(convert::node_out(node, &meta));
        forward::change(&self.0, self.0.group(group)?, change).await.map(|_| ())
    }

    /// Removes a node; a live learner takes over its seat where placement finds one. Removing it from the configuration
    /// group removes it from the cluster: from every other group first.
    ///
    /// # Errors
    /// [`Error::QuorumLoss`] when too few live voters would remain and `force` is off; safe to repeat.
    pub async fn remove_node(&self, group: GroupId, node: NodeId, force: bool) -> Result<(), Error> {
        let target = self.0.group(group)?;
        let removal = ChangeKindV1::Remove { node, force };
        let everywhere = group == crate::group::CONFIG;
        // A node that has just joined learns of the other groups a moment after the configuration.
        let patience = target.timing.election_max * 2;
        for other in self.0.groups.values().filter(|other| everywhere && other.id != group) {
            let members = other.first_membership(patience.saturating_sub(target.known_for())).await;
            // A group whose only member leaves the cluster ends with it.
            if members.get_node(&node).is_some() && members.nodes().count() > 1 {
                forward::change(&self.0, other, removal.clone()).await?;
            }
        }
        forward::change(&self.0, target, removal).await.map(|_| ())
    }

    /// Moves leadership to `to`, or to the best other voter, and returns the new leader once it leads.
    ///
    /// # Errors
    /// [`Error::Change`] when it did not move.
    pub async fn transfer(&self, group: GroupId, to: Option<NodeId>) -> Result<NodeId, Error> {
        forward::change(&self.0, self.0.group(group)?, ChangeKindV1::Transfer { to }).await
    }

    /// Writes the present state of a group's machine to a file and returns the log index it includes.
    ///
    /// # Errors
    /// [`Error::Storage`] when the file cannot be written.
    pub async fn save_checkpoint(&self, group: GroupId, path: &Path) -> Result<u64, Error> {
        let raft = &self.0.group(group)?.raft;
        let captured = raft.with_state_machine(|applier| {
            let captured = applier.capture();
            Box::pin(async move { captured })
        });
        let (meta, encode) = captured.await.map_err(|fatal| stopped(&fatal))?;
        let path = path.to_owned();
        let written = runtime::blocking(move || {
            let data = encode();
            let head = convert::checkpoint_out(&meta, &data);
            write_durably(&path, &[&crate::wire::record::encode(&head), &data])?;
            Ok::<_, std::io::Error>(meta.last_log_id.map_or(0, |id| id.index))
        });
        written.await.ok_or(Error::Stopped)?.map_err(|e| Error::Storage(e.to_string()))
    }

    /// Reads a file of [`Self::save_checkpoint`] and returns the machine's bytes. Proposes nothing: the caller turns
    /// them into commands, so that a restore goes through the log like every other change.
    ///
    /// # Errors
    /// [`Error::Storage`] when the file is missing, damaged or over the size limit.
    pub async fn restore_checkpoint(&self, path: &Path) -> Result<Bytes, Error> {
        let path = path.to_owned();
        let read = runtime::blocking(move || crate::store::checkpoint::read(&path).map(|(_, data)| data));
        read.await.ok_or(Error::Stopped)?.map_err(|e| Error::Storage(e.to_string()))
    }
}

fn check_size(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    if bytes > bytes_max { Err(Error::TooLarge { what, bytes, bytes_max }) } else { Ok(()) }
}
