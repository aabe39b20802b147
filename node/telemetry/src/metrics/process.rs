//! What the operating system knows about this process, read at scrape time. Linux only; elsewhere nothing is reported.
//! These names are shared by all exporters and carry no prefix of ours.

use std::fs;

use super::sample::Encoder;

/// Ticks per second in `/proc/self/stat`: fixed by the kernel's interface, whatever its real timer rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reports what can be read; a missing file leaves its metric out.
pub(super) fn report(encoder: &mut Encoder) {
    if let Some(ticks) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_ticks(&stat)) {
        let help = "Processor time used, user and system";
        encoder.seconds("process_cpu_seconds", help, &[], ticks as f64 / TICKS_PER_SECOND);
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status)) {
        encoder.gauge("process_resident_memory_bytes", "Memory in use", &[], bytes as f64);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        encoder.gauge("process_open_fds", "Open file descriptors", &[], entries.count() as f64);
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| fd_limit(&limits)) {
        encoder.gauge("process_max_fds", "Descriptors this process may open", &[], limit as f64);
    }
}

/// Fields 14 and 15, counted behind the command name, which may hold spaces and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

fn fd_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(resident("VmPeak:\t  10 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        let limits = "Max open files            1024                 524288               files\n";
        assert_eq!(fd_limit(limits), Some(1_024));
        for broken in ["", "12 (a", "VmRSS: x kB", "Max open files unlimited"] {
            assert_eq!(
                (cpu_ticks(broken), resident(broken), fd_limit(broken)),
                (None, None, None),
                "{broken}"
            );
        }
    }
}
