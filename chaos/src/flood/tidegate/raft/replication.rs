//! How entries get from the leader to the others, when they count as agreed, and how a leader makes sure that it still leads.
//! Owns the log.

use std::rc::Rc;

use tidegate_proto::ledger::CommandV1;
use tidegate_throttle::Ledger;

use super::{Entry, Message, Role, Voter};

impl Voter {
    /// Proposes a command; returns its index, or nothing when it does not lead.
    pub(in super::super) fn propose(&mut self, command: CommandV1) -> Option<u64> {
        if !self.leads() {
            return None;
        }
        self.log.push(Entry { term: self.term, command: Some(Rc::new(command)) });
        self.spread();
        Some(self.last())
    }

    /// Begins a round of confirmation; returns its number.
    pub(in super::super) fn begin_round(&mut self) -> u64 {
        self.round += 1;
        self.spread();
        self.round
    }

    /// Sends everybody what they lack, or that nothing is new.
    pub(in super::super) fn spread(&mut self) {
        let Role::Leader { peers, .. } = &self.role else { return };
        let next: Vec<(usize, u64)> = peers.iter().map(|peer| (peer.node, peer.next)).collect();
        for (node, next) in next {
            self.send_from(node, next);
        }
        self.agree();
    }

    /// Whether a majority has answered a round, so that nobody else led when it began.
    pub(in super::super) fn is_confirmed(&self, round: u64) -> bool {
        let Role::Leader { peers, .. } = &self.role else { return false };
        peers.iter().filter(|peer| peer.round >= round).count() + 1 >= self.majority()
    }

    fn send_from(&mut self, node: usize, next: u64) {
        let before = next.saturating_sub(1);
        let (term, round, committed) = (self.term, self.round, self.committed);
        let message = match self.term_at(before) {
            Some(before_term) => {
                let skip = (before - self.base) as usize;
                let entries = self.log.get(skip..).unwrap_or_default().to_vec();
                Message::Append { term, before, before_term, entries, committed, round }
            }
            None => {
                let state = Rc::new(self.ledger.encode().unwrap_or_default());
                let index_term = self.term_at(self.applied).unwrap_or(self.base_term);
                Message::Install { term, index: self.applied, index_term, state, round }
            }
        };
        let last = self.last();
        let sent_to = if let Message::Install { index, .. } = &message { *index } else { last };
        if let Role::Leader { peers, .. } = &mut self.role
            && let Some(peer) = peers.iter_mut().find(|peer| peer.node == node)
        {
            peer.next = sent_to + 1;
        }
        self.write(node, message, false);
    }

    /// A follower takes what the leader sends.
    pub(super) fn take(&mut self, from: usize, message: Message) {
        let (is_current, round) = match &message {
            Message::Append { term, round, .. } | Message::Install { term, round, .. } => {
                (*term == self.term, *round)
            }
            _ => return,
        };
        let result = if is_current { self.append(message) } else { Err(self.last()) };
        let (accepted, matched, writes) = match result {
            Ok((matched, writes)) => (true, matched, writes),
            Err(last) => (false, last, false),
        };
        let reply = Message::Appended { term: self.term, accepted, matched, round };
        self.write(from, reply, writes);
    }

    /// Up to which index it is now as the leader's, and whether that had to be written; or from where the leader should go on.
    fn append(&mut self, message: Message) -> Result<(u64, bool), u64> {
        match message {
            Message::Append { before, before_term, entries, committed, .. } => {
                if before > self.committed && self.term_at(before) != Some(before_term) {
                    return Err(self.last().min(before.saturating_sub(1)).max(self.committed));
                }
                let matched = before + entries.len() as u64;
                let writes = self.merge(before, entries);
                self.committed = self.committed.max(committed.min(matched));
                self.apply();
                Ok((matched.max(self.committed), writes))
            }
            Message::Install { index, index_term, state, .. } => {
                if index > self.applied
                    && let Ok(ledger) = Ledger::decode(&state)
                {
                    self.ledger = ledger;
                    self.log.clear();
                    (self.base, self.base_term) = (index, index_term);
                    (self.committed, self.applied) = (index, index);
                }
                Ok((index.max(self.committed), true))
            }
            _ => Err(self.last()),
        }
    }

    /// Entries that are there already stay; the first that differs ends what was there.
    fn merge(&mut self, before: u64, entries: Vec<Entry>) -> bool {
        let mut writes = false;
        for (index, entry) in (before + 1..).zip(entries) {
            if index <= self.committed || self.term_at(index) == Some(entry.term) {
                continue;
            }
            self.log.truncate((index - self.base - 1) as usize);
            self.log.push(entry);
            writes = true;
        }
        writes
    }

    pub(super) fn appended(&mut self, from: usize, accepted: bool, matched: u64, round: u64) {
        let Role::Leader { peers, .. } = &mut self.role else { return };
        let Some(peer) = peers.iter_mut().find(|peer| peer.node == from) else { return };
        peer.round = peer.round.max(round);
        if accepted {
            peer.matched = peer.matched.max(matched);
            peer.next = peer.next.max(peer.matched + 1);
            self.agree();
        } else {
            let next = (matched + 1).max(peer.matched + 1);
            self.send_from(from, next);
        }
    }

    /// Only entries of its own term are agreed on by counting (section 5.4.2).
    fn agree(&mut self) {
        let Role::Leader { peers, .. } = &self.role else { return };
        let mut matched: Vec<u64> = peers.iter().map(|peer| peer.matched).collect();
        matched.push(self.last());
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let Some(index) = matched.get(self.majority() - 1).copied() else { return };
        if index > self.committed && self.term_at(index) == Some(self.term) {
            self.committed = index;
            self.apply();
        }
    }
}
