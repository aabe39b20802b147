//! A small number for the current thread, so that threads write to memory of their own without being told who they are.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::limits::SLOTS;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The slot of the threads that came too late for one of their own.
const SHARED: usize = SLOTS - 1;

/// The slot of the current thread, below [`SLOTS`]; its own for the first threads that ask, a shared one for the rest.
pub(crate) fn index() -> usize {
    SLOT.with(|slot| {
        if slot.get() == usize::MAX {
            slot.set(NEXT.fetch_add(1, Relaxed).min(SHARED));
        }
        slot.get()
    })
}

/// Adds to a cell of the current thread's slot. In a slot of its own nobody else writes, so no bus lock is needed.
pub(crate) fn add(cell: &AtomicU64, count: u64) {
    if index() == SHARED {
        cell.fetch_add(count, Relaxed);
    } else {
        cell.store(cell.load(Relaxed).wrapping_add(count), Relaxed);
    }
}

/// A value on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[cfg(test)]
mod tests {
    use super::*;
    use std::array;

    #[test]
    fn nothing_is_lost_however_many_threads_count() {
        const EACH: u64 = 20_000;
        let cells: [AtomicU64; SLOTS] = array::from_fn(|_| AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 * SLOTS {
                scope.spawn(|| (0..EACH).for_each(|_| add(&cells[index()], 1)));
            }
        });
        let sum: u64 = cells.iter().map(|cell| cell.load(Relaxed)).sum();
        assert_eq!(sum, 2 * SLOTS as u64 * EACH);
    }
}
