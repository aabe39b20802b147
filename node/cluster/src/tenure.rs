//! Who leads a group, for those who follow it: the leader's number, and the term in which this node may act as leader. A
//! hint that is one wake-up old; what must be certain is asked of a majority (`raft::term`).

use crate::runtime::watch;
use crate::{
    NodeId,
    raft::{group::Group, term::number, types::ServerMetrics},
};
use futures_util::future::{Either, select};
use openraft::ServerState;
use openraft_rt::watch::WatchReceiver as _;
use std::{pin::pin, sync::Arc};

/// What others follow.
pub(crate) struct Tenure {
    term: watch::Sender<Option<u64>>,
    leader: watch::Sender<Option<NodeId>>,
}

impl Default for Tenure {
    fn default() -> Self {
        Self { term: watch::Sender::new(None), leader: watch::Sender::new(None) }
    }
}

impl Tenure {
    /// The term in which this node leads and has applied everything before it.
    pub(crate) fn term(&self) -> watch::Receiver<Option<u64>> {
        self.term.subscribe()
    }

    /// The leader as this node knows it.
    pub(crate) fn leader(&self) -> watch::Receiver<Option<NodeId>> {
        self.leader.subscribe()
    }

    /// This node stops.
    pub(crate) fn end(&self) {
        set(&self.term, None);
        set(&self.leader, None);
    }
}

/// Runs for as long as the group does.
pub(crate) async fn run(group: Arc<Group>) {
    let mut states = group.raft.server_metrics();
    loop {
        let led = {
            let state = states.borrow_and_update();
            set(&group.tenure.leader, state.current_leader);
            led_term(&state)
        };
        let held = *group.tenure.term.borrow();
        if held != led {
            set(&group.tenure.term, None);
        }
        let next = async {
            match led {
                None => std::future::pending().await,
                Some(_) if held == led => group.quorum_lost().await,
                Some(term) => group.take_up(term).await,
            }
        };
        match select(pin!(states.changed()), pin!(next)).await {
            Either::Left((Ok(()), _)) => {}
            Either::Left((Err(_), _)) => return group.tenure.end(),
            Either::Right(((), _)) => set(&group.tenure.term, if held == led { None } else { led }),
        }
    }
}

/// The term that this node leads, by a vote that a majority has granted.
fn led_term(state: &ServerMetrics) -> Option<u64> {
    (state.state == ServerState::Leader && state.vote.is_committed()).then(|| number(state.vote.leader_id))
}

/// Tells followers only of changes.
fn set<T: PartialEq>(place: &watch::Sender<T>, value: T) {
    place.send_if_modified(|now| {
        let is_new = *now != value;
        *now = value;
        is_new
    });
}
