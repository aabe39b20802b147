//! A small Raft (Ongaro and Ousterhout 2014, with the pre-vote of Ongaro's thesis, section 9.6) that replicates a shard's ledger:
//! just enough that leaders change, entries of lost leaders survive or not, and a leader without a majority gets nothing agreed.
//! Owns one voter; pure: time is an argument, messages are returned. What it persists is taken for durable at once.

use std::rc::Rc;

use tidegate_proto::ledger::{ChangeV1, CommandV1};
use tidegate_throttle::Ledger;

use crate::flood::moment::MS;

mod election;
mod replication;

/// A leader speaks at least this often.
pub(super) const HEARTBEAT_NS: u64 = 50 * MS;
/// A voter waits at least this long for a leader before it asks for votes, and at most twice as long.
pub(super) const ELECTION_NS: u64 = 300 * MS;
/// Entries kept for voters that are behind; further behind, they are sent the whole ledger.
const KEPT_ENTRIES: u64 = 64;

/// An entry of the log. Every leader begins with one that has no command.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    term: u64,
    command: Option<Rc<CommandV1>>,
}

/// What voters say to each other.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Leader: these entries follow the one before.
    Append {
        term: u64,
        before: u64,
        before_term: u64,
        entries: Vec<Entry>,
        committed: u64,
        /// Number of the round of confirmation.
        round: u64,
    },
    /// Leader: the whole ledger up to an index.
    Install { term: u64, index: u64, index_term: u64, state: Rc<Vec<u8>>, round: u64 },
    /// Follower: everything up to `matched` is as the leader's; otherwise it should go on from there.
    Appended { term: u64, accepted: bool, matched: u64, round: u64 },
    /// Candidate: asks for a vote, or whether it would get one.
    Ask { term: u64, last: u64, last_term: u64, is_trial: bool },
    /// Answers it.
    Vote { term: u64, granted: bool, is_trial: bool },
}

/// What a voter is at the moment.
#[derive(Debug)]
enum Role {
    Follower,
    Candidate { votes: Vec<usize>, is_trial: bool },
    Leader { peers: Vec<Peer>, began_at: u64 },
}

/// What a leader knows of another voter.
#[derive(Debug)]
struct Peer {
    node: usize,
    next: u64,
    matched: u64,
    round: u64,
}

/// A message and its receiver. `writes` where the sender writes to its disk first.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) to: usize,
    pub(super) message: Message,
    pub(super) writes: bool,
}

/// A voter of a shard.
#[derive(Debug)]
pub(super) struct Voter {
    node: usize,
    peers: Vec<usize>,
    term: u64,
    voted_for: Option<usize>,
    /// Entries after `base`.
    log: Vec<Entry>,
    base: u64,
    base_term: u64,
    committed: u64,
    applied: u64,
    /// The entry that saved levels last.
    levels: u64,
    ledger: Ledger,
    role: Role,
    heard_ns: u64,
    /// When it stops waiting for a leader.
    patience_ns: u64,
    round: u64,
    letters: Vec<Letter>,
}

impl Voter {
    /// A voter with an empty log.
    pub(super) fn new(node: usize, voters: &[usize]) -> Self {
        Self {
            node,
            peers: voters.iter().copied().filter(|voter| *voter != node).collect(),
            term: 0,
            voted_for: None,
            log: Vec::new(),
            base: 0,
            base_term: 0,
            committed: 0,
            applied: 0,
            levels: 0,
            ledger: Ledger::default(),
            role: Role::Follower,
            heard_ns: 0,
            patience_ns: ELECTION_NS,
            round: 0,
            letters: Vec::new(),
        }
    }

    /// Begins with another ledger than an empty one.
    pub(super) fn begin_with(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// What it has applied.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Index of the last entry applied.
    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// Index of the last entry applied that saved levels of counted limits.
    pub(super) fn levels(&self) -> u64 {
        self.levels
    }

    /// Its term.
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// Whether it believes that it leads.
    pub(super) fn leads(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Whether it leads and has applied everything before its term.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.role, Role::Leader { began_at, .. } if self.applied >= began_at)
    }

    /// The messages to send since it was last asked.
    pub(super) fn letters(&mut self) -> Vec<Letter> {
        std::mem::take(&mut self.letters)
    }

    /// Stops leading and does not try again before others had time to.
    pub(super) fn step_aside(&mut self, now: u64) {
        self.role = Role::Follower;
        (self.heard_ns, self.patience_ns) = (now, 5 * ELECTION_NS);
    }

    /// The process starts again with what is on its disk.
    ///
    /// # Errors
    /// When the ledger does not come back as it was.
    pub(super) fn restart(&mut self, now: u64, patience_ns: u64) -> Result<(), String> {
        let bytes = self.ledger.encode().map_err(|e| e.to_string())?;
        let ledger = Ledger::decode(&bytes).map_err(|e| e.to_string())?;
        if ledger != self.ledger {
            return Err("a ledger is not what it was after it was written and read".into());
        }
        self.ledger = ledger;
        self.role = Role::Follower;
        self.letters.clear();
        (self.heard_ns, self.patience_ns) = (now, patience_ns);
        Ok(())
    }

    /// Hears another voter. `patience_ns` is how long to wait for the next message.
    pub(super) fn hear(&mut self, now: u64, from: usize, message: Message, patience_ns: u64) {
        let term = message.term();
        let is_trial = matches!(
            message,
            Message::Ask { is_trial: true, .. } | Message::Vote { is_trial: true, granted: true, .. }
        );
        if term > self.term && !is_trial {
            self.follow(term);
        }
        match message {
            Message::Append { .. } | Message::Install { .. } => {
                if term == self.term {
                    self.role = Role::Follower;
                    (self.heard_ns, self.patience_ns) = (now, patience_ns);
                }
                self.take(from, message);
            }
            Message::Appended { accepted, matched, round, .. } => {
                if term == self.term {
                    self.appended(from, accepted, matched, round);
                }
            }
            Message::Ask { last, last_term, is_trial, .. } => {
                self.asked(now, from, term, (last_term, last), is_trial);
            }
            Message::Vote { granted, is_trial, .. } => self.voted(now, from, term, granted, is_trial),
        }
    }

    fn follow(&mut self, term: u64) {
        self.term = term;
        self.voted_for = None;
        self.role = Role::Follower;
    }

    fn last(&self) -> u64 {
        self.base + self.log.len() as u64
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base {
            return Some(self.base_term);
        }
        let at = index.checked_sub(self.base + 1)?;
        self.log.get(at as usize).map(|entry| entry.term)
    }

    fn last_term(&self) -> u64 {
        self.log.last().map_or(self.base_term, |entry| entry.term)
    }

    fn majority(&self) -> usize {
        self.peers.len().div_ceil(2) + 1
    }

    fn write(&mut self, to: usize, message: Message, writes: bool) {
        self.letters.push(Letter { to, message, writes });
    }

    fn apply(&mut self) {
        while self.applied < self.committed {
            let at = (self.applied - self.base) as usize;
            if let Some(command) = self.log.get(at).and_then(|entry| entry.command.as_ref()) {
                // What breaks a rule is skipped, on every voter alike.
                let _skipped = self.ledger.apply(command);
                if command.changes.iter().any(|change| matches!(change, ChangeV1::Level { .. })) {
                    self.levels = self.applied + 1;
                }
            }
            self.applied += 1;
        }
        let surplus = self.applied.saturating_sub(self.base).saturating_sub(2 * KEPT_ENTRIES);
        if surplus > 0 {
            let cut = (surplus + KEPT_ENTRIES) as usize;
            self.base_term = self.term_at(self.base + cut as u64).unwrap_or(self.base_term);
            self.log.drain(..cut);
            self.base += cut as u64;
        }
    }
}

impl Message {
    fn term(&self) -> u64 {
        match self {
            Self::Append { term, .. }
            | Self::Install { term, .. }
            | Self::Appended { term, .. }
            | Self::Ask { term, .. }
            | Self::Vote { term, .. } => *term,
        }
    }
}

#[cfg(test)]
mod tests;
