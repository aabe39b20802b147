//! How a voter becomes leader: it asks whether it would be elected, then to be elected. Owns who gets a vote.

use super::{ELECTION_NS, Entry, Message, Peer, Role, Voter};

impl Voter {
    /// Looks whether there is a leader. `patience_ns` is how long to wait after a candidacy.
    pub(in super::super) fn look(&mut self, now: u64, patience_ns: u64) {
        if self.leads() || now < self.heard_ns + self.patience_ns {
            return;
        }
        (self.heard_ns, self.patience_ns) = (now, patience_ns);
        self.stand(now, true);
    }

    /// Leads from the beginning, as if elected.
    pub(in super::super) fn appoint(&mut self, now: u64) {
        self.follow(self.term + 1);
        self.voted_for = Some(self.node);
        self.lead(now);
    }

    fn stand(&mut self, now: u64, is_trial: bool) {
        if !is_trial {
            self.follow(self.term + 1);
            self.voted_for = Some(self.node);
        }
        self.role = Role::Candidate { votes: vec![self.node], is_trial };
        let term = if is_trial { self.term + 1 } else { self.term };
        for peer in self.peers.clone() {
            let ask = Message::Ask { term, last: self.last(), last_term: self.last_term(), is_trial };
            self.write(peer, ask, !is_trial);
        }
        self.count(now);
    }

    /// `last` is the term and index of the candidate's last entry.
    pub(super) fn asked(&mut self, now: u64, from: usize, term: u64, last: (u64, u64), is_trial: bool) {
        let is_current = last >= (self.last_term(), self.last());
        let has_leader =
            self.leads() || now < self.heard_ns + ELECTION_NS && self.patience_ns <= 2 * ELECTION_NS;
        let granted = if is_trial {
            term > self.term && is_current && !has_leader
        } else {
            let is_free = self.voted_for.is_none_or(|voted| voted == from);
            term == self.term && is_current && is_free && !self.leads()
        };
        if granted && !is_trial {
            self.voted_for = Some(from);
            self.heard_ns = now;
        }
        let term = if granted { term } else { self.term };
        self.write(from, Message::Vote { term, granted, is_trial }, granted && !is_trial);
    }

    pub(super) fn voted(&mut self, now: u64, from: usize, term: u64, granted: bool, is_trial: bool) {
        let expected = if is_trial { self.term + 1 } else { self.term };
        let Role::Candidate { votes, is_trial: stands_on_trial } = &mut self.role else { return };
        if *stands_on_trial == is_trial && term == expected && granted && !votes.contains(&from) {
            votes.push(from);
            self.count(now);
        }
    }

    fn count(&mut self, now: u64) {
        let Role::Candidate { votes, is_trial } = &self.role else { return };
        if votes.len() < self.majority() {
            return;
        }
        if *is_trial { self.stand(now, false) } else { self.lead(now) }
    }

    fn lead(&mut self, now: u64) {
        let next = self.last() + 1;
        let peers = self.peers.iter().map(|node| Peer { node: *node, next, matched: 0, round: 0 }).collect();
        self.role = Role::Leader { peers, began_at: next };
        self.heard_ns = now;
        self.log.push(Entry { term: self.term, command: None });
        self.spread();
    }
}
