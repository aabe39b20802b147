//! tokio's `watch` as far as this crate uses it, for simulations: tokio's wakes those who wait in an order that it draws by chance on each
//! thread, this one in the order in which receivers were made.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, Waker},
};

/// The sender is gone.
#[derive(Debug)]
pub struct Closed;

/// The sending side.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// A receiving side.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    id: u64,
    seen: u64,
}

#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    turn: Mutex<Turn>,
    receivers: AtomicU64,
}

#[derive(Debug, Default)]
struct Turn {
    version: u64,
    is_closed: bool,
    waiting: BTreeMap<u64, Waker>,
}

/// A value and the first who follows it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// A value that nobody follows yet.
    pub fn new(value: T) -> Self {
        let (value, turn) = (RwLock::new(value), Mutex::default());
        Self(Arc::new(Shared { value, turn, receivers: AtomicU64::new(0) }))
    }

    /// Somebody who follows it from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::of(&self.0, self.0.turn().version)
    }

    /// The value.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.0.read()
    }

    /// Replaces the value; returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        let mut value = value;
        self.send_modify(|place| std::mem::swap(place, &mut value));
        value
    }

    /// Changes the value.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value; nobody is told where `modify` says that it did not.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let is_modified = modify(&mut self.0.value.write().unwrap_or_else(PoisonError::into_inner));
        if is_modified {
            self.0.wake(|turn| turn.version += 1);
        }
        is_modified
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.wake(|turn| turn.is_closed = true);
    }
}

impl<T> Receiver<T> {
    fn of(shared: &Arc<Shared<T>>, seen: u64) -> Self {
        Self { shared: shared.clone(), id: shared.receivers.fetch_add(1, Relaxed), seen }
    }

    /// The value.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.shared.read()
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        self.seen = self.shared.turn().version;
        self.shared.read()
    }

    /// Waits until there is a value that was not seen.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn changed(&mut self) -> Result<(), Closed> {
        poll_fn(|task| {
            let mut turn = self.shared.turn();
            if turn.version != self.seen {
                self.seen = turn.version;
                return Poll::Ready(Ok(()));
            }
            if turn.is_closed {
                return Poll::Ready(Err(Closed));
            }
            turn.waiting.insert(self.id, task.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until the value is as wanted.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<RwLockReadGuard<'_, T>, Closed> {
        while !wanted(&self.borrow_and_update()) {
            self.changed().await?;
        }
        Ok(self.shared.read())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::of(&self.shared, self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.turn().waiting.remove(&self.id);
    }
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, change: impl FnOnce(&mut Turn)) {
        let waiting = {
            let mut turn = self.turn();
            change(&mut turn);
            std::mem::take(&mut turn.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }
}
