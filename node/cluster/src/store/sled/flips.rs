//! Flipped bits in the files of the real database: whatever is hit, what comes back was written so, and what is missing is noticed. Proves
//! that without the mark a shorter log would pass for a whole one.

use super::SledLog;
use crate::{
    NodeMeta,
    raft::{
        log::Log,
        types::{Command, Entry, LeaderId, LogId, Membership, Vote},
    },
    store::{LogBackend, Queue, writer::Writer},
};
use openraft::{
    EntryPayload, RaftLogReader as _,
    storage::{IOFlushed, RaftLogStorage as _},
    vote::RaftLeaderId as _,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

const GROUP: u64 = 1;
const ENTRIES: u64 = 600;
/// Places that are tried in each file.
const PLACES: u64 = 40;

/// What came of one damage.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Whole,
    Damaged,
    NotOpened,
    /// Shorter than what was acknowledged, and taken for whole.
    Silent,
}

fn id(index: u64) -> LogId {
    LogId::new(LeaderId::new(1 + index / 200, 1), index)
}

fn entry(index: u64) -> Entry {
    let payload = match index {
        0 => {
            let nodes = BTreeMap::from([(1, NodeMeta::default()), (2, NodeMeta::default())]);
            EntryPayload::Membership(Membership::new(vec![[1, 2].into()], nodes).unwrap())
        }
        _ => EntryPayload::Normal(Command(vec![index as u8; 100 + (index as usize * 37) % 900].into())),
    };
    Entry { log_id: id(index), payload }
}

async fn opened(dir: &Path) -> Result<(Log, Queue, tokio::sync::oneshot::Receiver<()>), String> {
    let backend: Arc<dyn LogBackend> = Arc::new(SledLog::open(dir).map_err(|e| e.to_string())?);
    let (writer, queue, _health) = Writer::new(backend.clone());
    let ended = writer.start().map_err(|e| e.to_string())?;
    let log = Log::open(GROUP, queue.clone(), backend, None).await.map_err(|e| e.to_string())?;
    Ok((log, queue, ended))
}

/// A log of [`ENTRIES`] entries and a vote, closed.
async fn write(dir: &Path) {
    let (mut log, queue, ended) = opened(dir).await.unwrap();
    for first in (0..ENTRIES).step_by(20) {
        log.save_vote(&Vote::new_committed(1 + first / 200, 1)).await.unwrap();
        log.append((first..first + 20).map(entry), IOFlushed::noop()).await.unwrap();
    }
    log.save_vote(&Vote::new(9, 2)).await.unwrap();
    drop((log, queue));
    ended.await.unwrap();
}

async fn judge(dir: &Path) -> Outcome {
    let Ok((mut log, queue, ended)) = opened(dir).await else { return Outcome::NotOpened };
    let state = log.get_log_state().await.unwrap();
    let found = log.try_get_log_entries(0..ENTRIES).await.unwrap();
    for (index, found) in (0..).zip(&found) {
        assert_eq!((found.log_id, &found.payload), (id(index), &entry(index).payload), "a wrong entry");
    }
    assert_eq!(state.last_log_id, found.last().map(|entry| entry.log_id));
    let vote = log.read_vote().await.unwrap();
    let is_whole = found.len() as u64 == ENTRIES && vote == Some(Vote::new(9, 2));
    let outcome = match (is_whole, log.is_damaged()) {
        (true, false) => Outcome::Whole,
        (_, true) => Outcome::Damaged,
        (false, false) => Outcome::Silent,
    };
    if outcome == Outcome::Damaged {
        assert_eq!(vote, Some(Vote::new(9, 2)), "a promise is forgotten");
        assert_eq!(log.promised(), Some(id(ENTRIES - 1)));
    }
    drop((log, queue));
    ended.await.unwrap();
    outcome
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path())
            } else {
                found.push(entry.path())
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(path, target).unwrap();
    }
    std::fs::create_dir_all(to.join("log/blobs")).unwrap();
}

/// Flips bits all over the files, one at a time, and counts what came of it.
async fn flip_everywhere(has_mark: bool) -> BTreeMap<Outcome, usize> {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    write(&whole.join("log")).await;
    let mut outcomes = BTreeMap::new();
    for path in files(&whole) {
        let name = path.strip_prefix(&whole).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let filled = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
        for place in 0..PLACES.min(filled) {
            // Primes spread the places over the bytes and the bits.
            let at = (place * 104_729 + place * filled / PLACES) % filled;
            let dir = root.path().join("damaged");
            let _none = std::fs::remove_dir_all(&dir);
            copy(&whole, &dir);
            let mut damaged = bytes.clone();
            damaged[at as usize] ^= 1 << (place % 8);
            std::fs::write(dir.join(name), damaged).unwrap();
            if !has_mark {
                std::fs::remove_file(dir.join("log.marks")).unwrap();
            }
            let outcome = judge(&dir.join("log")).await;
            assert!(!has_mark || outcome != Outcome::Silent, "{name:?} at {at}: {outcome:?}");
            *outcomes.entry(outcome).or_insert(0) += 1;
            if has_mark {
                let again = judge(&dir.join("log")).await;
                assert_ne!(again, Outcome::Silent, "{name:?} at {at}: forgotten by the next start");
            }
        }
    }
    outcomes
}

#[tokio::test]
async fn no_flipped_bit_goes_unnoticed() {
    let outcomes = flip_everywhere(true).await;
    println!("{outcomes:?}");
    assert!(outcomes.get(&Outcome::Damaged).is_some_and(|count| *count > 10), "{outcomes:?}");
    assert_eq!(outcomes.get(&Outcome::NotOpened), None, "{outcomes:?}");
}

#[tokio::test]
async fn without_the_mark_a_shorter_log_would_pass_for_a_whole_one() {
    let outcomes = flip_everywhere(false).await;
    println!("{outcomes:?}");
    assert!(outcomes.get(&Outcome::Silent).is_some_and(|count| *count > 0), "{outcomes:?}");
}
