//! Idle upstream connections of one shard, newest first: the newest is the least likely to have been closed by its peer.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

use hyper::client::conn::http1::SendRequest;
use tidegate_proto::limits::{
    UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_PER_AUTHORITY_MAX, UPSTREAM_IDLE_TIMEOUT_MS, UPSTREAM_SETTLE_MS_MAX,
};

use crate::body::Sending;

/// How a connection is secured; connections of different kinds are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Verified,
    Unverified,
}

impl Kind {
    pub(super) fn of(tls: bool, unverified: bool) -> Self {
        match (tls, unverified) {
            (false, _) => Self::Plain,
            (true, false) => Self::Verified,
            (true, true) => Self::Unverified,
        }
    }
}

/// The idle connections.
#[derive(Debug, Default)]
pub(crate) struct Pool(RefCell<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    plain: Shelf,
    verified: Shelf,
    unverified: Shelf,
    count: usize,
}

type Shelf = HashMap<Box<str>, VecDeque<Idle>>;

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Sending>,
    since: Instant,
}

impl Idle {
    fn is_usable(&self) -> bool {
        self.since.elapsed() < Duration::from_millis(UPSTREAM_IDLE_TIMEOUT_MS) && self.sender.is_ready()
    }
}

impl Shelves {
    fn of(&mut self, kind: Kind) -> &mut Shelf {
        match kind {
            Kind::Plain => &mut self.plain,
            Kind::Verified => &mut self.verified,
            Kind::Unverified => &mut self.unverified,
        }
    }
}

impl Pool {
    /// The connection that became idle last, if it still seems alive.
    pub(super) fn take(&self, kind: Kind, authority: &str) -> Option<SendRequest<Sending>> {
        let mut shelves = self.0.borrow_mut();
        while let Some(idle) = shelves.of(kind).get_mut(authority).and_then(VecDeque::pop_back) {
            shelves.count -= 1;
            if idle.is_usable() {
                return Some(idle.sender);
            }
        }
        None
    }

    /// Drops what is closed or was idle for too long.
    pub(super) fn sweep(&self) {
        let mut shelves = self.0.borrow_mut();
        let mut count = 0;
        for kind in [Kind::Plain, Kind::Verified, Kind::Unverified] {
            shelves.of(kind).retain(|_, shelf| {
                shelf.retain(Idle::is_usable);
                count += shelf.len();
                !shelf.is_empty()
            });
        }
        shelves.count = count;
    }

    fn put(&self, kind: Kind, authority: Box<str>, sender: SendRequest<Sending>) {
        let mut shelves = self.0.borrow_mut();
        let has_room = shelves.count < UPSTREAM_IDLE_MAX;
        let shelf = shelves.of(kind).entry(authority).or_default();
        let is_full = shelf.len() >= UPSTREAM_IDLE_PER_AUTHORITY_MAX || !has_room;
        let replaced = is_full && shelf.pop_front().is_some();
        if has_room || replaced {
            shelf.push_back(Idle { sender, since: Instant::now() });
            shelves.count += usize::from(!replaced);
        }
    }
}

/// A connection in use. Released it may serve again; dropped it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: SendRequest<Sending>,
    pool: Rc<Pool>,
    kind: Kind,
    authority: Box<str>,
}

impl Lease {
    pub(super) fn new(sender: SendRequest<Sending>, pool: Rc<Pool>, kind: Kind, authority: Box<str>) -> Self {
        Self { sender, pool, kind, authority }
    }

    /// Gives the connection back once its exchange has ended on the wire.
    pub(crate) fn release(self) {
        if self.sender.is_ready() {
            self.pool.put(self.kind, self.authority, self.sender);
            return;
        }
        if self.sender.is_closed() {
            return;
        }
        tokio::task::spawn_local(async move {
            let Self { mut sender, pool, kind, authority } = self;
            if let Ok(Ok(())) =
                tokio::time::timeout(Duration::from_millis(UPSTREAM_SETTLE_MS_MAX), sender.ready()).await
            {
                pool.put(kind, authority, sender);
            }
        });
    }
}
