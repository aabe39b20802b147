//! When this node started without having been asked to end before: the memory of the crash-loop breaker, one line per start in a file of
//! the data directory, which a proper end removes.

use std::{fs, io, io::Write, path::Path};

use tidegate_publish::{CRASHES, Hold};

/// The file.
const FILE: &str = "starts";
/// Lines that are looked at; more say nothing more.
const STARTS_MAX: usize = 4 * CRASHES;

/// Notes a start at `now_s`, seconds since the Unix epoch, and judges it with those before it; `served` is the revision that the node
/// served last. A file that cannot be read or written breaks no loop, and stops nobody.
pub(crate) fn begin(folder: &Path, now_s: u64, served: Option<u64>) -> Hold {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let starts: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let recent = starts.get(starts.len().saturating_sub(STARTS_MAX)..).unwrap_or_default();
    let hold = Hold::judge(recent, now_s, served);
    let lines: String = recent.iter().chain([&now_s]).map(|start| format!("{start}\n")).collect();
    if let Err(error) = write(&path, &lines) {
        tracing::warn!(path = %path.display(), %error, "this start is not noted; a crash loop would not be noticed");
    }
    if hold != Hold::No {
        tracing::error!(
            starts = recent.len(),
            "the node kept crashing; it serves the last configuration that it ran with for a while"
        );
    }
    hold
}

/// The node ends because it was asked to.
pub(crate) fn end(folder: &Path) {
    match fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the next start will look as if this one had crashed");
        }
        _ => {}
    }
}

/// Durable, because what follows may end the machine; replaced as a whole, because a torn line would be another time.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = fs::File::create(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_that_nobody_asked_to_end_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |now_s| begin(folder.path(), now_s, Some(5));
        for now_s in [100, 101, 102] {
            assert_eq!(begin(now_s), Hold::No, "{now_s}");
        }
        assert_eq!(begin(103), Hold::Proven { revision: Some(5) });
        end(folder.path());
        assert_eq!(begin(104), Hold::No);
        end(folder.path());
        end(folder.path());
    }

    #[test]
    fn damage_and_length_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "100\nx\n\n101\n102").unwrap();
        assert_eq!(begin(folder.path(), 103, None), Hold::Proven { revision: None });
        for now_s in 104..200 {
            begin(folder.path(), now_s, None);
        }
        let kept = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(kept.lines().count(), STARTS_MAX + 1);
    }
}
