//! Keep-alive connections of one stream, used in turn and replaced after a while.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use crate::{
    exchange::{Fault, Sender, connect},
    limits::{CONNECTIONS, REQUESTS_PER_CONNECTION},
};

/// A connection and what is left of its life.
pub(super) struct Link {
    pub(super) sender: Sender,
    requests_left: u32,
}

/// Idle connections to one address.
pub(super) struct Pool {
    address: SocketAddr,
    idle: Mutex<VecDeque<Link>>,
}

impl Pool {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::new(VecDeque::new()) }
    }

    /// The connection that rested longest, or a new one while there are few or `fresh` asks for it.
    pub(super) async fn take(&self, fresh: bool) -> Result<Link, Fault> {
        if !fresh && let Some(link) = self.rested() {
            return Ok(link);
        }
        Ok(Link { sender: connect(self.address).await?, requests_left: REQUESTS_PER_CONNECTION })
    }

    /// Keeps a connection whose answer was read to the end.
    pub(super) fn give_back(&self, mut link: Link) {
        link.requests_left = link.requests_left.saturating_sub(1);
        if link.requests_left > 0 && !link.sender.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(link);
        }
    }

    fn rested(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| !link.sender.is_closed());
        (idle.len() >= CONNECTIONS).then(|| idle.pop_front()).flatten()
    }
}
