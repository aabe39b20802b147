//! Lost quorum: makes this node, which does not run, the only member of every group that it belongs to. What only the lost majority knew
//! is gone; that is why an operator has to ask for it. Of a damaged log the good beginning counts. Never touches what machines applied.

use crate::{
    Error, GroupId, NodeId, NodeMeta, Options,
    store::{
        Batch, LogBackend, Slot,
        checkpoint::{CheckpointFiles, CheckpointStore},
        index_of, key,
        mark::{Mark, vote_rank},
        sled::SledLog,
    },
    wire::{
        convert, record,
        v1::{EntryV1, LogIdV1, MembershipV1, PayloadV1, VoteV1},
    },
};
use std::{io, path::Path};

/// One group as it lies on this node's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its number.
    pub group: GroupId,
    /// Its last log index here.
    pub last: u64,
    /// Its voters, as far as this node knows, this one included or not.
    pub voters: Vec<NodeId>,
    /// Its other members.
    pub learners: Vec<NodeId>,
}

/// A group and what a new membership has to follow.
struct Found {
    group: GroupId,
    vote: VoteV1,
    last: LogIdV1,
    membership: MembershipV1,
    /// Entries after the first one that cannot be used.
    damaged: Vec<u64>,
}

/// What is there, and what [`recover`] would make this node the only member of.
///
/// # Errors
/// [`Error::Storage`] when the log cannot be read, also because another process has it open.
pub fn survey(options: &Options) -> Result<Vec<Survivor>, Error> {
    let (_, found) = open(options)?;
    Ok(found.iter().map(survivor).collect())
}

/// Rewrites the memberships. Every other node has to join anew with an empty data directory; if a majority of the old voters came back with
/// what they have, there would be two clusters.
///
/// # Errors
/// [`Error::Storage`]; nothing is written then, or all of it.
pub async fn recover(options: &Options) -> Result<Vec<Survivor>, Error> {
    let (backend, found) = open(options)?;
    let (mut batch, mut marks) = (Batch::default(), backend.marks());
    for group in &found {
        let own = group.membership.nodes.iter().find(|node| node.id == options.node).cloned();
        let meta = NodeMeta {
            address: options.advertise.clone(),
            region: options.region.clone(),
            az: options.az.clone(),
        };
        let own = own.unwrap_or_else(|| convert::node_out(options.node, &meta));
        let term = group.vote.term.max(group.last.term).saturating_add(1);
        let id = LogIdV1 { term, node: options.node, index: group.last.index.saturating_add(1) };
        let membership = MembershipV1 { configs: vec![vec![options.node]], nodes: vec![own] };
        let entry = EntryV1 { id: id.clone(), payload: PayloadV1::Membership(membership) };
        // Nobody has voted in the new term, so the vote is not committed: the node wins it again when it starts.
        let vote = VoteV1 { term, node: options.node, committed: false };
        let index = id.index;
        let gone = group.damaged.iter().map(|index| (key(Slot::Entry, group.group, *index), None));
        batch.changes.extend(gone);
        let mark = Mark { vote: Some(vote.clone()), last: Some(id.clone()), is_damaged: false };
        marks.insert(group.group, mark);
        batch.changes.extend([
            (key(Slot::Entry, group.group, index), Some(record::encode(&entry))),
            (key(Slot::Vote, group.group, 0), Some(record::encode(&vote))),
            (key(Slot::Committed, group.group, 0), Some(record::encode(&id))),
        ]);
    }
    backend.commit(batch, true).await.map_err(storage)?;
    // Only now: a mark must not claim what is not there.
    backend.save_marks(1, &marks, true).map_err(storage)?;
    Ok(found.iter().map(survivor).collect())
}

fn survivor(found: &Found) -> Survivor {
    let mut voters: Vec<NodeId> = found.membership.configs.iter().flatten().copied().collect();
    voters.sort_unstable();
    voters.dedup();
    let learners = found.membership.nodes.iter().map(|node| node.id).filter(|id| !voters.contains(id));
    Survivor { group: found.group, last: found.last.index, learners: learners.collect(), voters }
}

fn open(options: &Options) -> Result<(SledLog, Vec<Found>), Error> {
    let dir = &options.data_dir;
    if !dir.join("log").is_dir() {
        return Err(Error::Storage(format!(
            "{} holds no log; this node has never been a member",
            dir.display()
        )));
    }
    let backend = SledLog::open(&dir.join("log")).map_err(storage)?;
    let found = read_all(&backend, &dir.join("checkpoints"), options.node).map_err(storage)?;
    if found.is_empty() {
        return Err(Error::Storage(format!("node {} is a member of no group", options.node)));
    }
    Ok((backend, found))
}

/// All groups that `node` is a member of.
fn read_all(backend: &SledLog, checkpoints: &Path, node: NodeId) -> io::Result<Vec<Found>> {
    let checkpoints = CheckpointFiles::open(checkpoints)?;
    let (mut votes, marks) = (Vec::new(), backend.marks());
    let (from, to) = (key(Slot::Vote, 0, 0), key(Slot::Vote, GroupId::MAX, u64::MAX));
    backend.scan(&from, &to, &mut |key, bytes| {
        let group = GroupId::from_be_bytes(std::array::from_fn(|place| key[1 + place]));
        votes.push((group, record::decode::<VoteV1>(bytes).map_err(io::Error::other)?));
        Ok(())
    })?;
    let mut all = Vec::new();
    for (group, vote) in votes {
        let promised = marks.get(&group).and_then(|mark| mark.vote.clone());
        let vote = promised.filter(|mark| vote_rank(mark) > vote_rank(&vote)).unwrap_or(vote);
        let found = read(backend, &checkpoints, group, vote)?;
        all.extend(found.filter(|found| found.membership.nodes.iter().any(|member| member.id == node)));
    }
    Ok(all)
}

/// The newest membership and position of a group; `None` where it has never had a member.
fn read(
    backend: &SledLog,
    checkpoints: &CheckpointFiles,
    group: GroupId,
    vote: VoteV1,
) -> io::Result<Option<Found>> {
    let head = checkpoints.load(group)?.map(|(head, _)| head);
    let (mut last, mut membership) = head.map_or((None, None), |head| (head.last, Some(head.membership)));
    let mut damaged = Vec::new();
    let (from, to) = (key(Slot::Entry, group, 0), key(Slot::Entry, group, u64::MAX));
    backend.scan(&from, &to, &mut |key, bytes| {
        let (index, next) = (index_of(key), last.as_ref().map_or(0, |last| last.index + 1));
        // Entries below a checkpoint may not have been removed yet.
        if index < next {
            return Ok(());
        }
        match record::decode::<EntryV1>(bytes).ok().filter(|_| damaged.is_empty() && index == next) {
            Some(entry) => {
                last = Some(entry.id);
                if let PayloadV1::Membership(newer) = entry.payload {
                    membership = Some(newer);
                }
            }
            None => damaged.push(index),
        }
        Ok(())
    })?;
    Ok(last.zip(membership).map(|(last, membership)| Found { group, vote, last, membership, damaged }))
}

fn storage(error: io::Error) -> Error {
    Error::Storage(error.to_string())
}
