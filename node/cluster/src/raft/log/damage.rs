//! Reads a group's log back from disk and judges it: against itself, against the newest good checkpoint, and against its mark. What is wrong
//! ends the log there; a log that ends before its checkpoint is dropped as a whole. Without a mark nothing is judged: damage is an error
//! then, because it is not known what the group had promised.

use super::{Promise, Tail, invalid};
use crate::{
    GroupId,
    raft::types::LogId,
    store::{
        self, Batch, LogBackend, Op, Slot, damage,
        mark::{Mark, position_rank, vote_rank},
        marker::Note,
    },
    wire::{
        convert, record,
        v1::{EntryV1, LogIdV1, VoteV1},
    },
};
use std::io;

/// A log as it was found.
pub(super) struct Loaded {
    pub(super) tail: Tail,
    /// Entries that a purge had marked but not yet removed.
    pub(super) stale: Option<(u64, u64)>,
    /// What has to be written before the log is used.
    pub(super) repair: Option<Op>,
    pub(super) promised: Option<Promise>,
    /// What the mark of a log without one is to say.
    pub(super) first_marks: Vec<Note>,
}

/// A log that is being read.
struct Reading {
    tail: Tail,
    stale: Option<(u64, u64)>,
    /// Entries after the first one that is wrong.
    beyond: Vec<u64>,
    /// What is wrong first.
    fault: Option<io::Error>,
}

/// Reads and judges a group's log.
pub(super) fn load(
    group: GroupId,
    backend: &dyn LogBackend,
    checkpoint: Option<LogId>,
    mark: Option<&Mark>,
) -> io::Result<Loaded> {
    let mut reading = read(group, backend)?;
    reading.is_covered_by(checkpoint)?;
    let missing = mark.and_then(|mark| {
        let (vote, last) = (reading.tail.vote.as_ref().map(convert::vote_out), reading.last());
        mark.missing(vote.as_ref(), last.as_ref()).filter(|_| !mark.is_damaged)
    });
    let fault = reading.fault.take().map(|fault| fault.to_string()).or(missing);
    let Some(mark) = mark else {
        return match fault {
            None => Ok(reading.unmarked()),
            Some(fault) => Err(io::Error::new(io::ErrorKind::InvalidData, fault)),
        };
    };
    let Some(fault) = fault else {
        let promised = mark.is_damaged.then(|| Promise(mark.last.as_ref().map(convert::log_id_in)));
        let is_older = regain_vote(&mut reading.tail, mark);
        let repair = is_older.then(|| repair(group, &reading, mark.last.clone()));
        return Ok(reading.loaded(repair, promised));
    };
    damage::note();
    reading.give_way(checkpoint);
    tracing::error!(
        group,
        fault,
        kept = ?reading.tail.last,
        "the log is damaged: it is filled by the other nodes, and this node has no vote until it is whole; where there are none, \
         see `tidegate cluster recover`"
    );
    regain_vote(&mut reading.tail, mark);
    let promised = [mark.last.clone(), reading.last()].into_iter().flatten().max_by_key(position_rank);
    let op = repair(group, &reading, promised.clone());
    Ok(reading.loaded(Some(op), Some(Promise(promised.as_ref().map(convert::log_id_in)))))
}

/// Takes the vote of the mark over where the log has an older one; true then.
fn regain_vote(tail: &mut Tail, mark: &Mark) -> bool {
    let kept = tail.vote.as_ref().map(convert::vote_out);
    let is_older = kept.as_ref().map(vote_rank) < mark.vote.as_ref().map(vote_rank);
    if is_older {
        tail.vote = mark.vote.as_ref().map(convert::vote_in);
    }
    is_older
}

/// Removes what is not to be kept, and notes that the log is damaged.
fn repair(group: GroupId, reading: &Reading, promised: Option<LogIdV1>) -> Op {
    let vote = reading.tail.vote.as_ref().map(convert::vote_out);
    let mut changes = Batch::default();
    let gone = reading.beyond.iter().map(|index| (store::key(Slot::Entry, group, *index), None));
    changes.changes.extend(gone);
    let mut set = |slot, record: Option<Vec<u8>>| changes.changes.push((store::key(slot, group, 0), record));
    set(Slot::Purged, reading.tail.purged.as_ref().map(|id| record::encode(&convert::log_id_out(id))));
    set(Slot::Committed, reading.tail.committed.as_ref().map(|id| record::encode(&convert::log_id_out(id))));
    set(Slot::Vote, vote.as_ref().map(record::encode));
    Op::Repair { group, changes, note: Note::Damaged { vote, promised } }
}

impl Reading {
    fn last(&self) -> Option<LogIdV1> {
        self.tail.last.as_ref().map(convert::log_id_out)
    }

    fn loaded(mut self, repair: Option<Op>, promised: Option<Promise>) -> Loaded {
        self.tail.flushed = self.tail.last.as_ref().map_or(0, |id| id.index);
        Loaded { tail: self.tail, stale: self.stale, repair, promised, first_marks: Vec::new() }
    }

    /// A log that an earlier version has written, or none.
    fn unmarked(self) -> Loaded {
        let vote = self.tail.vote.as_ref().map(|vote| Note::Voted(convert::vote_out(vote)));
        let first_marks = vote.into_iter().chain(self.last().map(Note::Reached)).collect();
        Loaded { first_marks, ..self.loaded(None, None) }
    }

    /// A damaged log that ends before what the checkpoint holds is of no use, and may be an older one than was applied.
    fn give_way(&mut self, checkpoint: Option<LogId>) {
        if self.tail.last < checkpoint {
            self.begin_at(checkpoint);
        }
    }

    fn begin_at(&mut self, checkpoint: Option<LogId>) {
        self.beyond.splice(0..0, self.tail.first_index()..self.tail.end_index());
        let vote = self.tail.vote;
        self.tail =
            Tail { vote, purged: checkpoint, last: checkpoint, committed: checkpoint, ..Tail::default() };
    }

    /// A log that begins after the newest good checkpoint cannot be applied, and is left as it is: the checkpoint may come back, and where
    /// this node is the only voter nothing else can bring back what it held.
    fn is_covered_by(&self, checkpoint: Option<LogId>) -> io::Result<()> {
        let purged = self.tail.purged.filter(|purged| checkpoint.is_none_or(|at| at.index < purged.index));
        let Some(purged) = purged else { return Ok(()) };
        let ends = checkpoint.map(|at| at.index);
        let text = format!(
            "the log starts after entry {}, but the newest readable checkpoint ends at {ends:?}; move the data directory away and join \
             again as a new node",
            purged.index
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// Takes the next entry in, or ends the log there.
    fn take(&mut self, index: u64, bytes: &[u8]) {
        if index < self.tail.first_index() {
            self.stale = Some((self.stale.map_or(index, |(first, _)| first), index));
            return;
        }
        if self.fault.is_none() {
            match self.tail.follow(index, bytes) {
                Ok(()) => return,
                Err(fault) => self.fault = Some(fault),
            }
        }
        self.beyond.push(index);
    }
}

impl Tail {
    /// Adds the entry of `index` if it follows those before it.
    fn follow(&mut self, index: u64, bytes: &[u8]) -> io::Result<()> {
        let entry = record::decode::<EntryV1>(bytes)
            .and_then(convert::entry_in)
            .map_err(|e| invalid(&format!("log entry {index}"), &e))?;
        let is_next = index == self.end_index() && entry.log_id.index == index;
        if !is_next || Some(entry.log_id) <= self.last {
            let text = format!("log entry {index} ({}) does not follow {:?}", entry.log_id, self.last);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.hold(entry);
        self.shrink();
        Ok(())
    }
}

/// Reads everything of a group; a single value that cannot be read counts as absent.
fn read(group: GroupId, backend: &dyn LogBackend) -> io::Result<Reading> {
    let (mut fault, mut lesser) = (None, None);
    let get = |slot, what: &str| -> io::Result<Option<Vec<u8>>> {
        let found = backend.get(&store::key(slot, group, 0));
        found.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
    };
    let vote = get(Slot::Vote, "vote")?.and_then(|bytes| decoded::<VoteV1>("vote", &bytes, &mut lesser));
    let position = |slot, fault: &mut Option<io::Error>| -> io::Result<Option<LogId>> {
        let bytes = get(slot, "log position")?;
        let id = bytes.and_then(|bytes| decoded::<LogIdV1>("log position", &bytes, fault));
        Ok(id.as_ref().map(convert::log_id_in))
    };
    let purged = position(Slot::Purged, &mut fault)?;
    let committed = position(Slot::Committed, &mut lesser)?;
    let vote = vote.as_ref().map(convert::vote_in);
    let tail = Tail { vote, purged, committed, last: purged, flushed: u64::MAX, ..Tail::default() };
    let mut reading = Reading { tail, stale: None, beyond: Vec::new(), fault };
    let (from, to) = (store::key(Slot::Entry, group, 0), store::key(Slot::Entry, group, u64::MAX));
    backend.scan(&from, &to, &mut |key, bytes| {
        reading.take(store::index_of(key), bytes);
        Ok(())
    })?;
    // Neither of these says anything about the entries.
    reading.fault = reading.fault.take().or(lesser);
    // A commit beyond the end is of entries that are gone; it will be told again.
    reading.tail.committed = reading.tail.committed.min(reading.tail.last);
    Ok(reading)
}

fn decoded<R: record::Record>(what: &str, bytes: &[u8], fault: &mut Option<io::Error>) -> Option<R> {
    match record::decode(bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            fault.get_or_insert(invalid(what, &error));
            None
        }
    }
}
