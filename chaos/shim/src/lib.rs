//! Preloaded into a process under test (`LD_PRELOAD`): shifts its wall clock by an offset that a storm writes into a file, and lets its
//! disk stand still now and then ([`disk`]).
//!
//! `CLOCK_REALTIME`, `gettimeofday` and `time` are shifted; monotonic clocks are left alone. Without the file, or while it is empty,
//! every clock is right.
//!
//! JUSTIFICATION: a process has one wall clock, the system's, and the system's belongs to everybody on the machine. Replacing the C
//! library's entry points is the one way to give a single process another one, and they speak raw pointers.
#![allow(unsafe_code)]

pub mod disk;

use std::{
    ffi::{CStr, CString},
    os::unix::ffi::OsStringExt,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use libc::{c_int, c_long, c_void, clockid_t, time_t, timespec, timeval};

/// Environment variable with the path of the file; its first eight bytes are the offset in nanoseconds, native byte order.
const VARIABLE: &CStr = c"TIDEGATE_CLOCK_OFFSET";
const SECOND_NS: i64 = 1_000_000_000;

/// The C library's `clock_gettime` with `CLOCK_REALTIME` shifted.
///
/// # Safety
/// As the C library's: `time` points to a writable `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's pointer goes on unchanged to the system call behind the replaced function.
    let outcome = unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), time) };
    if outcome != 0 {
        return -1;
    }
    if matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: the system call succeeded, so it has just written to this place.
        let time = unsafe { &mut *time };
        let whole = i128::from(time.tv_sec) * i128::from(SECOND_NS) + i128::from(time.tv_nsec);
        let shifted = whole + i128::from(offset_ns());
        time.tv_sec = shifted.div_euclid(i128::from(SECOND_NS)) as time_t;
        time.tv_nsec = shifted.rem_euclid(i128::from(SECOND_NS)) as c_long;
    }
    0
}

/// The C library's `gettimeofday`, shifted.
///
/// # Safety
/// As the C library's: `time` is null or points to a writable `timeval`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a local value, `time` is the caller's and checked.
    unsafe {
        if clock_gettime(libc::CLOCK_REALTIME, &raw mut now) != 0 {
            return -1;
        }
        if !time.is_null() {
            *time = timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1_000 };
        }
    }
    0
}

/// The C library's `time`, shifted.
///
/// # Safety
/// As the C library's: `time` is null or points to a writable `time_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut time_t) -> time_t {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a local value, `time` is the caller's and checked.
    unsafe {
        clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
        if !time.is_null() {
            *time = now.tv_sec;
        }
    }
    now.tv_sec
}

fn offset_ns() -> i64 {
    static PAGE: OnceLock<Option<&'static AtomicI64>> = OnceLock::new();
    PAGE.get_or_init(map).map_or(0, |offset| offset.load(Ordering::Relaxed))
}

/// Maps the file for reading, for the life of the process.
fn map() -> Option<&'static AtomicI64> {
    let path = std::env::var_os(VARIABLE.to_str().ok()?)?;
    let path = CString::new(path.into_vec()).ok()?;
    // SAFETY: `path` ends with a zero byte; the mapping is checked, aligned to a page, never unmapped, and its file holds at least the
    // eight bytes that are read, which `fstat` has just said.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return None;
        }
        let mut stat: libc::stat = std::mem::zeroed();
        let is_long = libc::fstat(file, &raw mut stat) == 0 && stat.st_size >= 8;
        let page = match is_long {
            true => libc::mmap(ptr::null_mut(), 8, libc::PROT_READ, libc::MAP_SHARED, file, 0),
            false => libc::MAP_FAILED,
        };
        libc::close(file);
        (page != libc::MAP_FAILED).then(|| &*page.cast::<AtomicI64>())
    }
}
