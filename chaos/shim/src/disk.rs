//! A disk that stands still: `TIDEGATE_SYNC_STALL=EVERY:MILLISECONDS` makes every so-manieth `fsync` or `fdatasync` of a process take
//! that much longer. Without the variable, or with one that cannot be read, none does.
//!
//! JUSTIFICATION: a slow disk below a single process takes a file system of its own, and rights; replacing the C library's entry points
//! takes neither.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use libc::{c_int, c_long};

const VARIABLE: &str = "TIDEGATE_SYNC_STALL";

/// The C library's `fsync`, some time later.
///
/// # Safety
/// None is needed; the C library's has the same signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: c_int) -> c_int {
    sync(libc::SYS_fsync, file)
}

/// The C library's `fdatasync`, some time later.
///
/// # Safety
/// None is needed; the C library's has the same signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    sync(libc::SYS_fdatasync, file)
}

fn sync(call: c_long, file: c_int) -> c_int {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    static STALL: OnceLock<Option<(u64, Duration)>> = OnceLock::new();
    if let Some((every, time)) = STALL.get_or_init(|| parse(&std::env::var(VARIABLE).ok()?)) {
        let number = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(*every) {
            std::thread::sleep(*time);
        }
    }
    // SAFETY: both calls take a descriptor and no pointer.
    unsafe { libc::syscall(call, file) as c_int }
}

fn parse(text: &str) -> Option<(u64, Duration)> {
    let (every, milliseconds) = text.split_once(':')?;
    let every = every.parse().ok().filter(|every| *every > 0)?;
    Some((every, Duration::from_millis(milliseconds.parse().ok()?)))
}
