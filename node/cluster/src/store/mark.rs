//! What each group has promised, beside the log: its vote and the end of its log. A log that ends before its mark has lost what it had
//! acknowledged; the engine says nothing when it drops what follows a damaged place. A mark never claims more than is on disk, and may
//! claim a little less.
//!
//! The file has a fixed size, so that writing it is one block in place. Two copies alternate: a torn write leaves the other. What must not
//! be forgotten, a vote, is written to both.

use super::checkpoint::write_durably;
use crate::{
    GroupId, limits,
    wire::v1::{LogIdV1, VoteV1},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

const MAGIC: [u8; 8] = *b"TGMARK\0\x01";
const COPY_BYTES: usize = 4096;
const HEAD_BYTES: usize = 20;
const MARK_BYTES: usize = 49;
const SUM_AT: usize = COPY_BYTES - 4;

const HAS_VOTE: u8 = 1;
const IS_COMMITTED: u8 = 2;
const HAS_LAST: u8 = 4;
const IS_DAMAGED: u8 = 8;

/// What one group has promised.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mark {
    pub(crate) vote: Option<VoteV1>,
    /// The end of the log; of a damaged one, the end that it had.
    pub(crate) last: Option<LogIdV1>,
    /// The log has lost entries and has not caught up with what it had promised.
    pub(crate) is_damaged: bool,
}

/// The marks of all groups.
pub(crate) type Marks = BTreeMap<GroupId, Mark>;

/// The order of votes.
pub(crate) fn vote_rank(vote: &VoteV1) -> (u64, u64, bool) {
    (vote.term, vote.node, vote.committed)
}

/// The order of positions: later leaders first, then the index.
pub(crate) fn position_rank(id: &LogIdV1) -> (u64, u64, u64) {
    (id.term, id.node, id.index)
}

impl Mark {
    /// The log ends here now; the promise of a damaged one stands.
    pub(crate) fn reach(&mut self, last: &LogIdV1) {
        let is_more = self.last.as_ref().is_none_or(|old| position_rank(old) < position_rank(last));
        if is_more || !self.is_damaged {
            self.last = Some(last.clone());
        }
    }

    /// The log is about to end here; true when the mark claims more.
    pub(crate) fn is_over(&self, last: Option<&LogIdV1>) -> bool {
        !self.is_damaged && self.last.as_ref().map(position_rank) > last.map(position_rank)
    }

    /// What a log of this state lacks of what was promised, in words.
    pub(crate) fn missing(&self, vote: Option<&VoteV1>, last: Option<&LogIdV1>) -> Option<String> {
        if self.vote.as_ref().map(vote_rank) > vote.map(vote_rank) {
            return Some(format!("the vote is {vote:?}, and was {:?}", self.vote));
        }
        if self.last.as_ref().map(position_rank) > last.map(position_rank) {
            return Some(format!("the log ends at {last:?}, and ended at {:?}", self.last));
        }
        None
    }
}

/// The marks on disk.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    /// Number of the last copy written, and the order it was asked for in.
    written: Mutex<(u64, u64)>,
}

impl MarkFile {
    /// Opens or creates the file; with the marks, and whether there was a file.
    ///
    /// # Errors
    /// Both copies are damaged: what was promised is not known.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Marks, bool)> {
        let is_new = !path.try_exists()?;
        if is_new {
            let copies = [encode(0, &Marks::new())?, encode(1, &Marks::new())?].concat();
            write_durably(path, &[&copies])?;
        }
        let mut file = File::options().read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(2 * COPY_BYTES as u64).read_to_end(&mut bytes)?;
        let copies: Vec<_> = bytes.chunks(COPY_BYTES).map(decode).collect();
        let Some((number, marks)) = copies.iter().flatten().max_by_key(|(number, _)| *number).cloned() else {
            let text = format!(
                "{} is damaged, so what this node has promised is not known: move the data directory away and join again as a new node",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let this = Self { file, written: Mutex::new((number, 0)) };
        if copies.iter().flatten().count() < 2 {
            tracing::warn!(path = %path.display(), "one copy of the marks is damaged; it is written again");
            this.save(1, &marks, true)?;
        }
        Ok((this, marks, is_new))
    }

    /// Makes the marks durable; what was asked for in an `order` before the last one that was written is passed over.
    pub(crate) fn save(&self, order: u64, marks: &Marks, twice: bool) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if order < written.1 {
            return Ok(());
        }
        for _ in 0..=usize::from(twice) {
            let number = written.0 + 1;
            let at = (number % 2) * COPY_BYTES as u64;
            self.file.write_all_at(&encode(number, marks)?, at)?;
            self.file.sync_data()?;
            *written = (number, order);
        }
        Ok(())
    }
}

fn encode(number: u64, marks: &Marks) -> io::Result<Vec<u8>> {
    if marks.len() > limits::MARKS_MAX {
        return Err(io::Error::other(format!(
            "{} groups have marks, {} are the most",
            marks.len(),
            limits::MARKS_MAX
        )));
    }
    let mut bytes = Vec::with_capacity(COPY_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(marks.len()).unwrap_or(0).to_le_bytes());
    for (group, mark) in marks {
        let (vote, last) = (mark.vote.clone(), mark.last.clone());
        let flags = [
            (vote.is_some(), HAS_VOTE),
            (vote.as_ref().is_some_and(|vote| vote.committed), IS_COMMITTED),
            (last.is_some(), HAS_LAST),
            (mark.is_damaged, IS_DAMAGED),
        ];
        bytes.extend_from_slice(&group.to_le_bytes());
        bytes.push(flags.iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag));
        let (vote_term, vote_node) = vote.map_or((0, 0), |vote| (vote.term, vote.node));
        let (term, node, index) = last.map_or((0, 0, 0), |last| (last.term, last.node, last.index));
        for word in [vote_term, vote_node, term, node, index] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    bytes.resize(SUM_AT, 0);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

fn decode(copy: &[u8]) -> Option<(u64, Marks)> {
    let (body, sum) = copy.split_at_checked(SUM_AT)?;
    if sum != crc32c::crc32c(body).to_le_bytes() || !body.starts_with(&MAGIC) {
        return None;
    }
    let number = word(body, 8)?;
    let count = u32::from_le_bytes(body.get(16..HEAD_BYTES)?.try_into().ok()?) as usize;
    let marks = body.get(HEAD_BYTES..)?.chunks_exact(MARK_BYTES).take(count).map(one);
    Some((number, marks.collect::<Option<Marks>>()?))
}

fn one(bytes: &[u8]) -> Option<(GroupId, Mark)> {
    let flags = *bytes.get(8)?;
    let vote = VoteV1 { term: word(bytes, 9)?, node: word(bytes, 17)?, committed: flags & IS_COMMITTED != 0 };
    let last = LogIdV1 { term: word(bytes, 25)?, node: word(bytes, 33)?, index: word(bytes, 41)? };
    let mark = Mark {
        vote: (flags & HAS_VOTE != 0).then_some(vote),
        last: (flags & HAS_LAST != 0).then_some(last),
        is_damaged: flags & IS_DAMAGED != 0,
    };
    Some((word(bytes, 0)?, mark))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogIdV1 {
        LogIdV1 { term, node: 7, index }
    }

    fn marks(index: u64) -> Marks {
        let vote = VoteV1 { term: 3, node: 2, committed: true };
        let whole = Mark { vote: Some(vote), last: Some(id(3, index)), is_damaged: false };
        let lost = Mark { vote: None, last: None, is_damaged: true };
        Marks::from([(1, whole), (u64::MAX, lost)])
    }

    #[test]
    fn marks_come_back_and_older_orders_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.marks");
        let (file, found, is_new) = MarkFile::open(&path).unwrap();
        assert!(found.is_empty() && is_new);
        for (order, index, expect) in [(1, 10, 10), (3, 12, 12), (2, 11, 12), (4, 9, 9)] {
            file.save(order, &marks(index), order == 4).unwrap();
            let (_, found, is_new) = MarkFile::open(&path).unwrap();
            assert_eq!((found, is_new), (marks(expect), false), "{order}");
        }
    }

    #[test]
    fn one_damaged_copy_is_made_good_and_two_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.marks");
        let (file, ..) = MarkFile::open(&path).unwrap();
        file.save(1, &marks(5), true).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len(), 2 * COPY_BYTES);
        for bit in (0..whole.len() * 8).step_by(101) {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(MarkFile::open(&path).unwrap().1, marks(5), "bit {bit}");
            let repaired = std::fs::read(&path).unwrap();
            assert_eq!(repaired.chunks(COPY_BYTES).filter_map(decode).count(), 2, "bit {bit}");
            damaged[(bit / 8 + COPY_BYTES) % (2 * COPY_BYTES)] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let error = MarkFile::open(&path).unwrap_err().to_string();
            assert!(error.contains("move the data directory away"), "{error}");
        }
        std::fs::write(&path, b"").unwrap();
        assert!(MarkFile::open(&path).is_err());
    }

    #[test]
    fn what_is_missing_is_told_and_a_damaged_promise_stands() {
        let mut mark = marks(100)[&1].clone();
        let vote = |term, node, committed| VoteV1 { term, node, committed };
        for (found, last, expect) in [
            (Some(vote(3, 2, true)), Some(id(3, 100)), false),
            (Some(vote(4, 1, false)), Some(id(4, 60)), false),
            (Some(vote(3, 2, false)), Some(id(3, 100)), true),
            (None, Some(id(3, 100)), true),
            (Some(vote(3, 2, true)), Some(id(3, 99)), true),
            (Some(vote(3, 2, true)), None, true),
        ] {
            assert_eq!(mark.missing(found.as_ref(), last.as_ref()).is_some(), expect, "{found:?} {last:?}");
        }
        assert!(mark.is_over(Some(&id(3, 99))) && !mark.is_over(Some(&id(3, 100))) && mark.is_over(None));
        mark.is_damaged = true;
        mark.reach(&id(3, 50));
        assert_eq!(mark.last, Some(id(3, 100)));
        assert!(!mark.is_over(None));
        mark.reach(&id(4, 50));
        assert_eq!(mark.last, Some(id(4, 50)));
        mark.is_damaged = false;
        mark.reach(&id(4, 40));
        assert_eq!(mark.last, Some(id(4, 40)));
    }
}
