//! Finds the leader and asks it: proposals, read points and membership commands. Retries only what certainly did not
//! happen; a proposal that may have arrived is reported as uncertain and never sent twice.

use crate::{
    Applied, Error, Freshness, NodeId, limits,
    node::Node,
    raft::{
        group::{Group, Miss},
        network::refusal,
    },
    runtime::{self, Instant},
    transport::{Lane, SendError},
    wire::{Frame, Message, v1::*},
};
use bytes::Bytes;
use std::{future::Future, time::Duration};

/// Proposes `command` wherever the leader is.
pub(crate) async fn propose(
    node: &Node,
    group: &Group,
    command: Bytes,
    time: Duration,
) -> Result<Applied, Error> {
    let at_leader = |to: Option<NodeId>, left: Duration| {
        let command = command.clone();
        async move {
            let Some(to) = to else { return group.propose(command, left).await };
            let request = ProposeV1 { command: command.to_vec(), deadline_ms: millis(left) };
            let answer: ProposedV1 = match ask(node, group, to, &request, left).await {
                Ok(answer) => answer,
                Err(Unasked::NotSent(text)) => return Err(Miss::Retry(text)),
                Err(Unasked::Unanswered(reason)) => return Err(Miss::Failed(Error::Uncertain { reason })),
                Err(Unasked::Refused(reason)) => {
                    return Err(Miss::Failed(Error::Refused { node: to, reason }));
                }
            };
            match answer.result {
                ProposeResultV1::Applied { index, outcome } => Ok(Applied { index, outcome: outcome.into() }),
                ProposeResultV1::NotLeader { leader } => Err(Miss::NotLeader(leader)),
                ProposeResultV1::Uncertain { reason } => Err(Miss::Failed(Error::Uncertain { reason })),
                ProposeResultV1::Fenced => Err(Miss::Failed(Error::Fenced)),
            }
        }
    };
    until_leader(node, group, time, at_leader).await.map_err(|error| leaderless(group, error))
}

/// A leader that could not be asked in time is no leader; nothing was changed.
fn leaderless(group: &Group, error: Error) -> Error {
    match error {
        Error::Change(_) => Error::NoLeader { group: group.id },
        other => other,
    }
}

/// The index a linearizable read must see; already applied here when this returns.
pub(crate) async fn barrier(node: &Node, group: &Group, time: Duration) -> Result<u64, Error> {
    let (index, _) = fresh_barrier(node, group, Freshness::Confirmed, time).await?;
    Ok(index)
}

/// As [`barrier`], as fresh as is asked for at least. The leader is asked for certainty by others, which costs them no more.
pub(crate) async fn fresh_barrier(
    node: &Node,
    group: &Group,
    freshness: Freshness,
    time: Duration,
) -> Result<(u64, Freshness), Error> {
    let until = runtime::now() + time;
    let at_leader = |to: Option<NodeId>, left: Duration| async move {
        let Some(to) = to else {
            return group.read_point(freshness, left).await.map(|index| (index, freshness));
        };
        // A leader that died does not answer; a short try leaves time for its successor.
        let left = left.min(group.timing.election_min);
        let request = BarrierV1 { deadline_ms: millis(left) };
        match ask::<_, BarrierAtV1>(node, group, to, &request, left).await.map(|answer| answer.result) {
            Ok(BarrierResultV1::At(index)) => Ok((index, Freshness::Confirmed)),
            Ok(BarrierResultV1::NotLeader { leader }) => Err(Miss::NotLeader(leader)),
            Ok(BarrierResultV1::Retry { reason }) => Err(Miss::Retry(reason)),
            Ok(BarrierResultV1::Fenced) => Err(Miss::Failed(Error::Fenced)),
            Err(error) => Err(error.into_retry(to)),
        }
    };
    let found = until_leader(node, group, time, at_leader).await;
    let (index, freshness) = found.map_err(|error| leaderless(group, error))?;
    group.wait_applied(index, remaining(until)).await?;
    Ok((index, freshness))
}

/// Carries out a membership command at the leader; every one of them may be repeated.
pub(crate) async fn change(node: &Node, group: &Group, change: ChangeKindV1) -> Result<NodeId, Error> {
    let at_leader = |to: Option<NodeId>, left: Duration| {
        let change = change.clone();
        async move {
            let Some(to) = to else { return crate::members::carry_out(node, group, change).await };
            let request = ChangeV1 { change, deadline_ms: millis(left) };
            match ask::<_, ChangedV1>(node, group, to, &request, left).await.map(|answer| answer.result) {
                Ok(ChangeResultV1::Done { node }) => Ok(node),
                Ok(ChangeResultV1::NotLeader { leader }) => Err(Miss::NotLeader(leader)),
                Ok(ChangeResultV1::QuorumLoss { node, live, voters }) => {
                    Err(Miss::Failed(Error::QuorumLoss {
                        node,
                        live: live as usize,
                        voters: voters as usize,
                    }))
                }
                Ok(ChangeResultV1::Refused { reason }) => Err(Miss::Failed(Error::Change(reason))),
                Ok(ChangeResultV1::Fenced) => Err(Miss::Failed(Error::Fenced)),
                Err(error) => Err(error.into_retry(to)),
            }
        }
    };
    until_leader(node, group, limits::ADMIN_TIMEOUT, at_leader).await
}

/// Why the leader could not be asked.
enum Unasked {
    NotSent(String),
    Unanswered(String),
    Refused(String),
}

impl Unasked {
    /// For requests that may be repeated.
    fn into_retry(self, node: NodeId) -> Miss {
        match self {
            Self::NotSent(text) | Self::Unanswered(text) => Miss::Retry(text),
            Self::Refused(reason) => Miss::Failed(Error::Refused { node, reason }),
        }
    }
}

async fn ask<Q: Message, A: Message>(
    node: &Node,
    group: &Group,
    to: NodeId,
    request: &Q,
    time: Duration,
) -> Result<A, Unasked> {
    let target = node.target(to).map_err(|e| Unasked::NotSent(e.to_string()))?;
    let begun = target.begun.clone();
    let call = node.transport.call(target, Lane::Request, node.frame(group.id, request));
    let frame: Frame = match runtime::timeout(time, call).await {
        None if !begun.is_marked() => return Err(Unasked::NotSent("no connection in time".to_owned())),
        None => return Err(Unasked::Unanswered("no answer before the deadline".to_owned())),
        Some(Err(SendError::NotSent(text))) => return Err(Unasked::NotSent(text)),
        Some(Err(SendError::Unanswered(text))) => return Err(Unasked::Unanswered(text)),
        Some(Ok(frame)) => frame,
    };
    node.note(to);
    frame.decode().map_err(|error| Unasked::Refused(refusal(&frame).unwrap_or_else(|| error.to_string())))
}

/// Tries at the leader, here (`None`) or elsewhere, until it works, fails for good or the time is over.
async fn until_leader<T, F: Future<Output = Result<T, Miss>> + Send>(
    node: &Node,
    group: &Group,
    time: Duration,
    attempt: impl Fn(Option<NodeId>, Duration) -> F,
) -> Result<T, Error> {
    let until = runtime::now() + time;
    let (mut pause, pause_max) = limits::RETRY_PAUSE;
    let mut hint = None;
    let mut last_reason = None;
    loop {
        let left = remaining(until);
        if left.is_zero() {
            return Err(last_reason.map_or(Error::NoLeader { group: group.id }, Error::Change));
        }
        if let Some(error) = group.ended() {
            return Err(error);
        }
        let leader = hint.take().or_else(|| group.metrics().current_leader);
        match leader {
            None => group.changed(pause.min(left)).await,
            Some(leader) => match attempt((leader != node.id).then_some(leader), left).await {
                Ok(value) => return Ok(value),
                Err(Miss::Failed(error)) => return Err(error),
                // A hint that names another node is worth one immediate attempt; then the pause grows.
                Err(Miss::NotLeader(Some(other))) if other != leader && pause < pause_max => {
                    hint = Some(other)
                }
                Err(Miss::NotLeader(_)) => group.changed(pause.min(left)).await,
                Err(Miss::Retry(text)) => {
                    tracing::debug!(group = group.id, leader, reason = text, "trying again");
                    last_reason = Some(text);
                    runtime::sleep(pause.min(left)).await;
                }
            },
        }
        pause = (pause * 2).min(pause_max);
    }
}

fn remaining(until: Instant) -> Duration {
    let now = runtime::now();
    if until > now { until - now } else { Duration::ZERO }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
