//! One target on one shard: its idle connections, the calls under way to it, and what they say of it.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

use tidegate_upstream::{Cause, Ejection, Target, Targets};

use super::{
    connect::Counted,
    pool::{House, Idle},
    source::Source,
    wire::Wire,
};

/// The idle connections to one target.
#[derive(Debug)]
pub(crate) struct Shelf {
    target: Arc<Target>,
    source: Arc<Source>,
    /// The newest list with this target in it.
    targets: RefCell<Arc<Targets>>,
    /// Its place there.
    index: Cell<usize>,
    /// Calls under way.
    busy: Cell<u32>,
    /// How many of them the target was told.
    told: Cell<u32>,
    idle: RefCell<Vec<Idle>>,
    house: Rc<House>,
}

/// The place of one call at a target, counted while it lives.
#[derive(Debug)]
pub(crate) struct Seat(Rc<Shelf>);

impl Shelf {
    pub(super) fn new(target: Arc<Target>, source: &Arc<Source>, house: &Rc<House>) -> Rc<Self> {
        Rc::new(Self {
            target,
            source: Arc::clone(source),
            targets: RefCell::default(),
            index: Cell::new(0),
            busy: Cell::new(0),
            told: Cell::new(0),
            idle: RefCell::default(),
            house: Rc::clone(house),
        })
    }

    /// Takes its place in a list.
    pub(super) fn stand(&self, targets: &Arc<Targets>, index: usize) {
        self.index.set(index);
        *self.targets.borrow_mut() = Arc::clone(targets);
    }

    pub(super) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.target.address()
    }

    /// Its availability zone, where that is known.
    pub(crate) fn az(&self) -> Option<&str> {
        self.target.az()
    }

    pub(super) fn index(&self) -> usize {
        self.index.get()
    }

    pub(super) fn busy(&self) -> u32 {
        self.busy.get()
    }

    /// Notes an answer: server errors count as failures.
    #[inline]
    pub(crate) fn answered(&self, status: u16) {
        let targets = self.targets.borrow();
        if !targets.has_alternatives() {
            return;
        }
        if status < 500 {
            targets.succeeded(self.index.get());
        } else {
            self.judge(&targets, Cause::Answer, &format!("it answered {status}"));
        }
    }

    /// Notes that it did not answer as it should.
    #[cold]
    pub(crate) fn failed(&self, cause: Cause, why: &str) {
        self.judge(&self.targets.borrow(), cause, why);
    }

    #[cold]
    fn judge(&self, targets: &Targets, cause: Cause, why: &str) {
        let counts = &self.source.counts;
        match targets.failed(self.index.get(), cause, why, self.source.now_ms()) {
            Ejection::None => {}
            Ejection::Ejected(for_ms) => {
                counts.ejections.increment();
                self.source.want_resolution();
                let (upstream, target) = (&*self.source.name, self.address());
                tracing::warn!(upstream, %target, for_ms, why, "target is ejected");
            }
            Ejection::Capped if targets.has_alternatives() => counts.capped.increment(),
            Ejection::Capped => {}
        }
    }

    /// The connection that became idle last, if one still seems alive.
    pub(super) fn pop(&self) -> Option<(Wire, Counted)> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut wire, counted, .. }) = idle.pop() {
            self.house.subtract(1);
            if wire.is_quiet() {
                return Some((wire, counted));
            }
        }
        None
    }

    /// Keeps a connection whose exchange has ended on the wire.
    pub(super) fn put(&self, wire: Wire, counted: Counted) {
        let mut idle = self.idle.borrow_mut();
        if self.house.has_room(idle.len()) {
            self.house.add(1);
            idle.push(Idle { wire, counted, since_s: self.house.seconds() });
        }
    }

    /// Closes what was idle for too long, and everything where the target is out. True while there are connections.
    pub(super) fn sweep(&self) -> bool {
        let busy = self.busy.get();
        self.target.note_outstanding(self.told.replace(busy), busy);
        let is_out = self.targets.borrow().is_out(self.index.get());
        let oldest_s = self.house.oldest_s();
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain_mut(|one| !is_out && one.since_s >= oldest_s && one.wire.is_quiet());
        self.house.subtract(before - idle.len());
        !idle.is_empty() || busy > 0
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.target.note_outstanding(self.told.get(), 0);
        self.house.subtract(self.idle.borrow().len());
    }
}

impl Seat {
    pub(super) fn take(shelf: &Rc<Shelf>) -> Self {
        shelf.busy.set(shelf.busy.get() + 1);
        Self(Rc::clone(shelf))
    }

    /// The target, for whoever remembers where a call went.
    pub(crate) fn shelf(&self) -> &Rc<Shelf> {
        &self.0
    }
}

impl Deref for Seat {
    type Target = Shelf;

    fn deref(&self) -> &Shelf {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get().saturating_sub(1));
    }
}
