//! What only the leader of one term may do: propose in exactly that term, and have a majority confirm that it still leads.
//! Never asks another node to do it, and never trusts a lease: a lease is the word of this node's clock alone. A term here
//! is one number of Raft's term and the node: Raft's alone can be led by two nodes, one after the other.

use super::{
    group::{Group, stopped},
    types::{Command, LeaderId},
};
use crate::{Applied, Error, limits, runtime};
use bytes::Bytes;
use openraft::{
    LinearizerOption, ReadPolicy,
    errors::{ClientWriteError, LinearizableReadError, RaftError},
    impls::ProgressResponder,
    vote::RaftLeaderId as _,
};
use openraft_rt::watch::WatchReceiver as _;
use std::time::Duration;

const NODE_BITS: u32 = limits::NODE_ID_MAX.count_ones();

/// The number of a leader's term; of two leaders of a group, the later one has the greater number.
pub(crate) fn number(leader: LeaderId) -> u64 {
    leader.term << NODE_BITS | leader.node_id
}

fn leader(number: u64) -> LeaderId {
    LeaderId::new(number >> NODE_BITS, number & limits::NODE_ID_MAX)
}

impl Group {
    /// Proposes only if this node leads in `term`, which is checked where the entry is appended.
    pub(crate) async fn propose_in(
        &self,
        term: u64,
        command: Bytes,
        time: Duration,
    ) -> Result<Applied, Error> {
        if self.is_full() {
            return Err(Error::NoRoom { node: self.node });
        }
        let uncertain = |reason: String| Error::Uncertain { reason };
        let proposing = async {
            let (responder, answer) = ProgressResponder::complete_only();
            let write = self.raft.write(Command(command)).with_leader(leader(term));
            write.responder(responder).await.map_err(|fatal| uncertain(fatal.to_string()))?;
            answer.await.map_err(|_| uncertain("the group has stopped".to_owned()))
        };
        match runtime::timeout(time, proposing).await {
            None => Err(uncertain("no answer before the deadline".to_owned())),
            Some(Err(error)) => Err(error),
            Some(Ok(Ok(written))) => Ok(Applied { index: written.log_id.index, outcome: written.data.0 }),
            Some(Ok(Err(ClientWriteError::ForwardToLeader(_)))) => {
                Err(Error::NotLeading { group: self.id, term })
            }
            Some(Ok(Err(error))) => Err(uncertain(error.to_string())),
        }
    }

    /// Has a majority confirm that this node leads in `term`: every answer that counts is to a message sent after this
    /// call began. Returns the index that everything of earlier terms lies below.
    pub(crate) async fn confirm(&self, term: u64, time: Duration) -> Result<u64, Error> {
        let not_leading = Err(Error::NotLeading { group: self.id, term });
        let fresh_round = LinearizerOption::from(ReadPolicy::ReadIndex).with_wait_timeout(time);
        match runtime::timeout(time, self.raft.get_read_linearizer(fresh_round)).await {
            None => Err(Error::Deadline),
            Some(Ok(linearizer)) => {
                let point = linearizer.read_log_id();
                if number(*point.committed_leader_id()) == term { Ok(point.index()) } else { not_leading }
            }
            Some(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_)))) => not_leading,
            Some(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => Err(Error::Deadline),
            Some(Err(RaftError::Fatal(fatal))) => Err(stopped(&fatal)),
        }
    }

    /// Returns once a majority has confirmed `term` and everything of earlier terms is applied here.
    pub(crate) async fn take_up(&self, term: u64) {
        let (mut pause, pause_max) = limits::RETRY_PAUSE;
        loop {
            if let Ok(index) = self.confirm(term, self.timing.election_max).await
                && self.wait_applied(index, limits::ADMIN_TIMEOUT).await.is_ok()
            {
                return;
            }
            // A leader that has just been elected refuses until its first heartbeat is answered.
            runtime::sleep(pause).await;
            pause = (pause * 2).min(pause_max);
        }
    }

    /// Returns once no majority has answered this leader for the time of its lease; it can commit nothing then. A single
    /// voter never loses itself.
    pub(crate) async fn quorum_lost(&self) {
        loop {
            if self.is_only_voter() {
                return std::future::pending().await;
            }
            runtime::sleep(self.timing.election_max / 2).await;
            let answered = self.raft.metrics().borrow_watched().last_quorum_acked;
            let lease_ms = u64::try_from(self.timing.election_max.as_millis()).unwrap_or(u64::MAX);
            if answered.is_none_or(|at| runtime::elapsed_ms(*at) > lease_ms) {
                return;
            }
        }
    }

    fn is_only_voter(&self) -> bool {
        let states = self.raft.server_metrics();
        let state = states.borrow_watched();
        state.membership_config.membership().voter_ids().eq([self.node])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_leaders_have_greater_numbers() {
        let most = limits::NODE_ID_MAX;
        let order =
            [(0, 1), (1, 1), (1, 2), (1, most), (2, 1), (2, 7), (1 << 28, 1), (u64::MAX >> NODE_BITS, most)];
        let numbers: Vec<_> = order.iter().map(|(term, node)| number(LeaderId::new(*term, *node))).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for ((term, node), number) in order.into_iter().zip(numbers) {
            assert_eq!(leader(number), LeaderId::new(term, node));
        }
    }
}
