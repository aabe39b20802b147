//! Answers frames of peers: Raft's own go to the group's core, requests for the leader to the leader's code, calls to the
//! inbox. The transport has proved the sender; this file decides what a sender may ask.

use super::{
    group::Miss,
    types::{Snapshot, Types, Vote},
};
use crate::{
    Error, Freshness, limits, members,
    node::Node,
    raft::group::Group,
    transport::Serve,
    wire::{Frame, Kind, WireError, convert::*, v1::*},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, TransferLeaderRequest, VoteRequest,
};
use std::{sync::Arc, time::Duration};

/// The server side of a node.
pub(crate) struct Desk(pub(crate) Arc<Node>);

/// Answer to whoever wants to be elected by a node whose log has lost entries.
const VOICELESS: &str = "the log of this node was damaged and is not whole yet; it decides no election";

/// What a request came to: an answer, or the reason of a refusal.
type Answer = Result<Frame, String>;

impl Serve for Desk {
    fn call(&self, request: Frame) -> BoxFuture<'static, Frame> {
        let node = self.0.clone();
        Box::pin(async move {
            node.note(request.from);
            let answer = answer(&node, &request).await;
            answer.unwrap_or_else(|reason| node.frame(request.group, &RefusalV1 { reason }))
        })
    }

    fn stream(&self, requests: BoxStream<'static, Frame>) -> BoxStream<'static, Frame> {
        let node = self.0.clone();
        stream::once(appends(node, requests)).flatten().boxed()
    }

    fn push(&self, head: Frame, body: Bytes) -> BoxFuture<'static, Frame> {
        let node = self.0.clone();
        Box::pin(async move {
            node.note(head.from);
            let answer = install(&node, &head, body).await;
            answer.unwrap_or_else(|reason| node.frame(head.group, &RefusalV1 { reason }))
        })
    }

    fn push_bytes(&self, head: &Frame) -> Option<u64> {
        let bytes = head.decode::<InstallV1>().ok()?.head.bytes;
        (bytes <= limits::CHECKPOINT_BYTES_MAX).then_some(bytes)
    }
}

async fn answer(node: &Node, request: &Frame) -> Answer {
    if request.kind == Kind::Call {
        return call(node, request).await;
    }
    let group = node.group(request.group).map_err(|e| e.to_string())?;
    match request.kind {
        Kind::Append => append(node, group, request).await,
        Kind::Vote => vote(node, group, request).await,
        Kind::Transfer => transfer(node, group, request).await,
        Kind::Propose => propose(node, group, request).await,
        Kind::Barrier => barrier(node, group, request).await,
        Kind::Change => change(node, group, request).await,
        kind => Err(format!("kind {} is not a request", kind as u8)),
    }
}

async fn append(node: &Node, group: &Group, request: &Frame) -> Answer {
    let append = append_in(request)?;
    group.voice.shown(&append.vote, append.prev_log_id.as_ref());
    group.heard_leader();
    if group.is_full() && !append.entries.is_empty() {
        return Err(Error::NoRoom { node: node.id }.to_string());
    }
    let response = group.raft.append_entries(append).await.map_err(|e| e.to_string())?;
    let result = match response {
        AppendEntriesResponse::Success => AppendResultV1::Success,
        AppendEntriesResponse::PartialSuccess(id) => AppendResultV1::Matching(id.as_ref().map(log_id_out)),
        AppendEntriesResponse::Conflict => AppendResultV1::Conflict(None),
        AppendEntriesResponse::HigherVote(vote) => AppendResultV1::HigherVote(vote_out(&vote)),
    };
    Ok(node.frame(group.id, &AppendedV1 { result }))
}

/// The pipelined appends of one leader for one group; the first frame names the group.
async fn appends(node: Arc<Node>, requests: BoxStream<'static, Frame>) -> BoxStream<'static, Frame> {
    let mut requests = Box::pin(requests.peekable());
    let Some(group) = requests.as_mut().peek().await.map(|frame| frame.group) else {
        return stream::empty().boxed();
    };
    let refuse = {
        let node = node.clone();
        move |reason: String| node.frame(group, &RefusalV1 { reason })
    };
    let serving = match node.group(group) {
        Ok(serving) => serving.clone(),
        Err(error) => return stream::iter([refuse(error.to_string())]).boxed(),
    };
    let input = {
        let (node, serving) = (node.clone(), serving.clone());
        requests.scan((), move |(), frame| {
            node.note(frame.from);
            let append = append_in(&frame).ok().filter(|_| frame.group == group);
            if let Some(append) = &append {
                serving.voice.shown(&append.vote, append.prev_log_id.as_ref());
            }
            serving.heard_leader();
            // The leader tries again later, as it does with a node that is out of reach.
            std::future::ready(append.filter(|append| append.entries.is_empty() || !serving.is_full()))
        })
    };
    let answers = serving.raft.stream_append(Box::pin(input));
    let answers = answers.map(move |answer| match answer {
        Ok(answer) => {
            let result = match answer {
                Ok(id) => AppendResultV1::Matching(id.as_ref().map(log_id_out)),
                Err(StreamAppendError::Conflict(id)) => AppendResultV1::Conflict(Some(log_id_out(&id))),
                Err(StreamAppendError::HigherVote(vote)) => AppendResultV1::HigherVote(vote_out(&vote)),
            };
            node.frame(group, &AppendedV1 { result })
        }
        Err(fatal) => refuse(fatal.to_string()),
    });
    answers.boxed()
}

async fn vote(node: &Node, group: &Group, request: &Frame) -> Answer {
    if !group.voice.is_had() {
        return Err(VOICELESS.to_owned());
    }
    let asked: VoteRequestV1 = request.decode().map_err(text)?;
    let mut question = VoteRequest::<Types>::new(vote_in(&asked.vote), asked.last.as_ref().map(log_id_in));
    question.leadership_transfer = asked.transfer;
    let response =
        if asked.preview { group.raft.pre_vote(question).await } else { group.raft.vote(question).await };
    let response = response.map_err(|e| e.to_string())?;
    let answer = VotedV1 {
        vote: vote_out(&response.vote),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(log_id_out),
    };
    Ok(node.frame(group.id, &answer))
}

async fn transfer(node: &Node, group: &Group, request: &Frame) -> Answer {
    if !group.voice.is_had() {
        return Err(VOICELESS.to_owned());
    }
    let offer: TransferV1 = request.decode().map_err(text)?;
    let offer = TransferLeaderRequest::<Types>::new(
        vote_in(&offer.from),
        offer.to,
        offer.last.as_ref().map(log_id_in),
    );
    let taken = group.raft.handle_transfer_leader(offer).await.map_err(|e| e.to_string())?;
    Ok(node.frame(group.id, &TransferredV1 { accepted: taken.is_ok() }))
}

async fn install(node: &Node, head: &Frame, body: Bytes) -> Answer {
    let group = node.group(head.group).map_err(|e| e.to_string())?;
    let install: InstallV1 = head.decode().map_err(text)?;
    if crc32c::crc32c(&body) != install.head.crc || body.len() as u64 != install.head.bytes {
        return Err("the checkpoint does not match its checksum".to_owned());
    }
    group.heard_leader();
    if group.is_full() {
        return Err(Error::NoRoom { node: node.id }.to_string());
    }
    let vote: Vote = vote_in(&install.vote);
    let snapshot = Snapshot { meta: checkpoint_in(install.head).map_err(text)?, snapshot: body };
    let response = group.raft.install_full_snapshot(vote, snapshot).await.map_err(|e| e.to_string())?;
    Ok(node.frame(group.id, &InstalledV1 { vote: vote_out(&response.vote) }))
}

async fn propose(node: &Node, group: &Group, request: &Frame) -> Answer {
    let asked: ProposeV1 = request.decode().map_err(text)?;
    if asked.command.len() > limits::COMMAND_BYTES_MAX {
        return Err("the command is over the limit".to_owned());
    }
    let result = if group.admits(request.from) {
        match group.propose(asked.command.into(), time(asked.deadline_ms)).await {
            Ok(applied) => {
                ProposeResultV1::Applied { index: applied.index, outcome: applied.outcome.to_vec() }
            }
            Err(Miss::NotLeader(leader)) => ProposeResultV1::NotLeader { leader },
            Err(Miss::Retry(_)) => ProposeResultV1::NotLeader { leader: None },
            Err(Miss::Failed(error @ Error::NoRoom { .. })) => return Err(error.to_string()),
            Err(Miss::Failed(error)) => ProposeResultV1::Uncertain { reason: error.to_string() },
        }
    } else {
        ProposeResultV1::Fenced
    };
    Ok(node.frame(group.id, &ProposedV1 { result }))
}

async fn barrier(node: &Node, group: &Group, request: &Frame) -> Answer {
    let asked: BarrierV1 = request.decode().map_err(text)?;
    let result = if group.admits(request.from) {
        match group.read_point(Freshness::Confirmed, time(asked.deadline_ms)).await {
            Ok(index) => BarrierResultV1::At(index),
            Err(Miss::NotLeader(leader)) => BarrierResultV1::NotLeader { leader },
            Err(Miss::Retry(reason)) => BarrierResultV1::Retry { reason },
            Err(Miss::Failed(error)) => BarrierResultV1::Retry { reason: error.to_string() },
        }
    } else {
        BarrierResultV1::Fenced
    };
    Ok(node.frame(group.id, &BarrierAtV1 { result }))
}

async fn change(node: &Node, group: &Group, request: &Frame) -> Answer {
    let asked: ChangeV1 = request.decode().map_err(text)?;
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let result = if group.admits(request.from) {
        match members::carry_out(node, group, asked.change).await {
            Ok(node) => ChangeResultV1::Done { node },
            Err(Miss::NotLeader(leader)) => ChangeResultV1::NotLeader { leader },
            Err(Miss::Retry(_)) => ChangeResultV1::NotLeader { leader: Some(node.id) },
            Err(Miss::Failed(Error::QuorumLoss { node, live, voters })) => {
                ChangeResultV1::QuorumLoss { node, live: small(live), voters: small(voters) }
            }
            Err(Miss::Failed(Error::Change(reason))) => ChangeResultV1::Refused { reason },
            Err(Miss::Failed(error)) => ChangeResultV1::Refused { reason: error.to_string() },
        }
    } else {
        ChangeResultV1::Fenced
    };
    Ok(node.frame(group.id, &ChangedV1 { result }))
}

async fn call(node: &Node, request: &Frame) -> Answer {
    let asked: CallV1 = request.decode().map_err(text)?;
    if !node.admits(request.from) {
        return Err(Error::Fenced.to_string());
    }
    if asked.message.len() > limits::MESSAGE_BYTES_MAX {
        return Err("the message is over the limit".to_owned());
    }
    let answer = match node.inbox.call(request.from, asked.message.into()).await {
        Ok(message) if message.len() > limits::MESSAGE_BYTES_MAX => {
            AnswerV1 { message: Vec::new(), error: Some("the answer is over the limit".to_owned()) }
        }
        Ok(message) => AnswerV1 { message: message.to_vec(), error: None },
        Err(error) => AnswerV1 { message: Vec::new(), error: Some(error) },
    };
    Ok(node.frame(request.group, &answer))
}

fn append_in(request: &Frame) -> Result<AppendEntriesRequest<Types>, String> {
    let append: AppendV1 = request.decode().map_err(text)?;
    let mut next = append.previous.as_ref().map_or(0, |previous| previous.index.saturating_add(1));
    for entry in &append.entries {
        if entry.id.index != next {
            return Err(format!("entry {} does not follow entry {}", entry.id.index, next.saturating_sub(1)));
        }
        next = next.saturating_add(1);
    }
    let entries: Result<Vec<_>, WireError> = append.entries.into_iter().map(entry_in).collect();
    Ok(AppendEntriesRequest {
        vote: vote_in(&append.vote),
        prev_log_id: append.previous.as_ref().map(log_id_in),
        leader_commit: append.committed.as_ref().map(log_id_in),
        entries: entries.map_err(text)?,
    })
}

fn text(error: WireError) -> String {
    error.to_string()
}

/// A peer's deadline, bounded.
fn time(deadline_ms: u64) -> Duration {
    Duration::from_millis(deadline_ms).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_with_a_gap_are_refused() {
        let id = |index| LogIdV1 { term: 1, node: 1, index };
        for (previous, entries, good) in [
            (None, &[][..], true),
            (None, &[0, 1], true),
            (None, &[1], false),
            (Some(4), &[][..], true),
            (Some(4), &[5, 6, 7], true),
            (Some(4), &[6], false),
            (Some(4), &[4, 5], false),
            (Some(4), &[5, 7], false),
        ] {
            let entry = |index: &u64| EntryV1 { id: id(*index), payload: PayloadV1::Blank };
            let append = AppendV1 {
                vote: VoteV1 { term: 1, node: 1, committed: true },
                previous: previous.map(id),
                committed: None,
                entries: entries.iter().map(entry).collect(),
            };
            let read = append_in(&Frame::new(1, 1, &append));
            assert_eq!(read.is_ok(), good, "{previous:?} {entries:?}: {read:?}");
        }
    }
}
