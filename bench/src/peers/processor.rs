//! Which processor a process runs on, and how readily. Children inherit both from the thread that starts them.

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

/// Gives this process, and what it starts from now on, another niceness; below 0 needs privileges.
pub(crate) fn prioritise(nice: i32) -> io::Result<()> {
    Ok(rustix::process::setpriority_process(None, nice)?)
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
