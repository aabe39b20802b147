//! What was found damaged on this node's disk: counted, told, and moved aside for whoever wants to look, a bounded number of each kind.

use crate::limits;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// In the name of what was moved aside.
const ASIDE: &str = ".damaged-";

static FOUND: AtomicU64 = AtomicU64::new(0);

/// Damaged logs and checkpoints that this process has found.
pub(crate) fn count() -> u64 {
    FOUND.load(Ordering::Relaxed)
}

/// Notes one more.
pub(crate) fn note() {
    FOUND.fetch_add(1, Ordering::Relaxed);
}

/// Renames a damaged file or directory, so that nothing reads it again; the oldest of its kind goes.
pub(crate) fn move_aside(path: &Path, kind: &str) -> io::Result<PathBuf> {
    note();
    let dir = path.parent().unwrap_or(Path::new("."));
    let prefix = format!(".{kind}{ASIDE}");
    let mut old: Vec<u64> = fs::read_dir(dir)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok())
        .collect();
    old.sort_unstable();
    let number = old.last().map_or(1, |last| last + 1);
    for gone in old.iter().rev().skip(limits::DAMAGED_KEPT - 1) {
        let gone = dir.join(format!("{prefix}{gone}"));
        if gone.is_dir() { fs::remove_dir_all(gone)? } else { fs::remove_file(gone)? }
    }
    let aside = dir.join(format!("{prefix}{number}"));
    fs::rename(path, &aside)?;
    fs::File::open(dir)?.sync_all()?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_kind_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let before = count();
        for number in 1..=4 {
            let path = dir.path().join("log");
            fs::create_dir(&path).unwrap();
            fs::write(path.join("db"), number.to_string()).unwrap();
            move_aside(&path, "log").unwrap();
        }
        assert!(count() >= before + 4);
        let mut kept: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path().join("db")).unwrap())
            .collect();
        kept.sort();
        assert_eq!(kept, ["3", "4"]);
    }
}
