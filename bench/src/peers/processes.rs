//! What Linux tells about a tree of processes: processor time, memory, who the children are.

use std::{collections::BTreeSet, fs};

use crate::peers::limits::PROCESSES_MAX;

/// A process and all its descendants, parents first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let (mut found, mut seen) = (vec![root], BTreeSet::from([root]));
    let mut at = 0;
    while let Some(pid) = found.get(at).copied().filter(|_| found.len() < PROCESSES_MAX) {
        at += 1;
        for task in tasks(pid) {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap_or_default();
            found.extend(
                text.split_ascii_whitespace().filter_map(|c| c.parse().ok()).filter(|c| seen.insert(*c)),
            );
        }
    }
    found
}

/// Processor time that a tree has used, in nanoseconds. A thread that ended is no longer in it.
pub(crate) fn cpu_ns(root: u32) -> u64 {
    let of_task = |pid: u32, task: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")).ok()?;
        schedstat_ns(&text)
    };
    tree(root)
        .into_iter()
        .flat_map(|pid| tasks(pid).into_iter().filter_map(move |task| of_task(pid, task)))
        .sum()
}

/// Memory of a tree, shared pages divided among those who share them, in bytes.
pub(crate) fn memory_bytes(root: u32) -> u64 {
    let of_process = |pid: u32| pss_bytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?);
    tree(root).into_iter().filter_map(of_process).sum()
}

/// Whether a process runs; one that ended and was not waited for does not.
pub(crate) fn is_running(pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Time that a processor was not idle, in nanoseconds; its resolution is that of the kernel's ticks.
pub(crate) fn busy_ns(processor: usize) -> u64 {
    fs::read_to_string("/proc/stat").ok().and_then(|text| busy_ticks(&text, processor)).unwrap_or(0) * TICK_NS
}

/// The kernel reports in hundredths of a second to all programs, whatever its own tick is.
const TICK_NS: u64 = 10_000_000;

fn tasks(pid: u32) -> Vec<u32> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// First field of `/proc/PID/task/TID/schedstat`: nanoseconds on a processor.
fn schedstat_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn pss_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// User, nice, system, interrupt and soft interrupt ticks; not idle, not waiting, not stolen by a neighbour machine.
fn busy_ticks(text: &str, processor: usize) -> Option<u64> {
    let name = format!("cpu{processor} ");
    let fields: Vec<u64> =
        text.lines().find_map(|line| line.strip_prefix(&name))?.split(' ').flat_map(str::parse).collect();
    Some([0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn kernel_texts_are_read() {
        assert_eq!(schedstat_ns("123456789 42 7\n"), Some(123_456_789));
        assert_eq!(schedstat_ns(""), None);
        assert_eq!(pss_bytes("Rss:  9 kB\nPss:                 120 kB\nPss_Dirty: 4 kB\n"), Some(120 * 1024));
        let text = "cpu  9 9 9 9\ncpu0 1 2 4 100 200 8 16 32 0 0\ncpu1 7 0 0 0 0 0 0\n";
        assert_eq!(
            (busy_ticks(text, 0), busy_ticks(text, 1), busy_ticks(text, 2)),
            (Some(31), Some(7), None)
        );
    }

    #[test]
    fn a_tree_holds_the_children_and_their_work() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        assert!(tree(own).contains(&child.id()));
        assert!(is_running(child.id()));
        child.kill().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_running(child.id()) {
            assert!(Instant::now() < deadline, "a killed process still counts as running");
        }
        child.wait().unwrap();
        assert!(cpu_ns(own) > 0 && memory_bytes(own) > 0);
    }
}
