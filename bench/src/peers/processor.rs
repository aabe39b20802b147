//! Which processor a process runs on, and how readily. What it starts inherits both.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Binds this thread, and what it starts from now on, to one processor.
pub(crate) fn pin(processor: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    if processor >= CpuSet::MAX_CPU {
        return Err(io::Error::other(format!("there is no processor {processor}")));
    }
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

/// Makes this process the first of a session: signals from the terminal no longer reach it, and the kernel, which shares
/// processors among sessions first, lets it have a niceness of its own.
pub(crate) fn separate(nice: Option<i32>) -> io::Result<()> {
    rustix::process::setsid()?;
    if let Some(nice) = nice {
        rustix::process::setpriority_process(None, nice)?;
        // Only where the kernel groups processes by session is there such a file.
        match std::fs::write("/proc/self/autogroup", nice.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Processors this thread may use, lowest first.
pub(crate) fn usable() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_processor() {
        let last = *usable().unwrap().last().unwrap();
        let pinned = std::thread::spawn(move || {
            pin(last).unwrap();
            usable().unwrap()
        });
        assert_eq!(pinned.join().unwrap(), [last]);
        assert!(pin(CpuSet::MAX_CPU).is_err());
    }
}
