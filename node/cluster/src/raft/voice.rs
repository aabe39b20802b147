//! Whether a node may vote and lead in a group. A log that has lost entries must not decide an election: what it had acknowledged counts in
//! majorities that it could now undo. So a node without a voice grants no vote and does not campaign; it follows, what it takes in now is
//! durable and counts, and its own promise of earlier terms stands, because the mark keeps its vote.
//!
//! It has its voice again when it has applied all that it had acknowledged as its mark says, all that leaders have shown since that they
//! take it to have, and all up to a point that a leader confirmed with a majority after this node had started. Then nothing is counted
//! on that it does not hold.

use super::{
    group::Group,
    log::Log,
    types::{LogId, Vote},
};
use crate::{
    forward, limits,
    node::Node,
    runtime::{self, watch},
};
use std::sync::{Arc, Mutex, PoisonError};

/// Between attempts to have the voice back.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// A node's voice in one group.
pub(crate) struct Voice {
    has_it: watch::Sender<bool>,
    /// Only while it has none: whoever holds a log keeps its files open.
    log: Mutex<Option<Log>>,
    /// The latest position that a leader took this node to have since it started.
    shown: Mutex<Option<LogId>>,
}

impl Voice {
    /// Of the node that this log is kept by.
    pub(super) fn new(log: Log) -> Self {
        let is_damaged = log.is_damaged();
        Self {
            has_it: watch::Sender::new(!is_damaged),
            log: Mutex::new(is_damaged.then_some(log)),
            shown: Mutex::default(),
        }
    }

    /// Whether it has one.
    pub(crate) fn is_had(&self) -> bool {
        *self.has_it.borrow()
    }

    /// Follows [`Self::is_had`].
    pub(crate) fn follow(&self) -> watch::Receiver<bool> {
        self.has_it.subscribe()
    }

    /// Notes what a leader's message takes this node to have.
    pub(super) fn shown(&self, leader: &Vote, previous: Option<&LogId>) {
        if self.is_had() || !leader.committed {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = (*shown).max(previous.copied());
    }

    /// Lets go of the log.
    pub(crate) fn end(&self) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn log(&self) -> Option<Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether everything that this node is counted on for is applied and on disk.
    fn is_whole(&self, log: &Log, applied: Option<LogId>) -> bool {
        let shown = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        applied >= shown.max(log.promised()) && log.has_flushed(applied)
    }
}

/// Gives the node its voice back when it may have it.
pub(crate) async fn run(node: Arc<Node>, group: Arc<Group>) {
    while !group.voice.is_had() {
        runtime::sleep(LOOK).await;
        // The leader's first message after the start shows what it takes this node to have; the point must be younger than that.
        if group.leader_contact_ms().is_none() {
            continue;
        }
        if forward::barrier(&node, &group, limits::ADMIN_TIMEOUT).await.is_err() {
            continue;
        }
        let Some(log) = group.voice.log() else { return };
        let applied = group.metrics().last_applied;
        if !group.voice.is_whole(&log, applied) {
            continue;
        }
        match log.healed().await {
            Ok(()) => {
                group.voice.end();
                tracing::info!(group = group.id, ?applied, "the log is whole again; this node votes again");
                group.voice.has_it.send_replace(true);
                group.judge_election();
            }
            Err(error) => {
                tracing::warn!(group = group.id, %error, "that the log is whole could not be noted")
            }
        }
    }
}
