//! Counts the starts of a node, so that what was granted to an earlier one is never taken for granted to this one.

use std::{fs, io::Write, path::Path};

use crate::node::NodeError;

/// File name of the count in the data directory.
const FILE: &str = "incarnation";

/// The number of this start: 1 for the first one. It is on disk when this returns.
pub(super) fn next(folder: &Path) -> Result<u64, NodeError> {
    let path = folder.join(FILE);
    let fail = |reason| NodeError::File { path: path.clone(), reason };
    let before = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().map_err(|error| {
            fail(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!(
                    "{error}; it holds the number of starts of this node, and writing a higher one repairs it"
                ),
            ))
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(fail(error)),
    };
    let (number, partial) = (before.saturating_add(1), path.with_extension("partial"));
    let write = || {
        let mut file = fs::File::create(&partial)?;
        writeln!(file, "{number}")?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(fail)?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!([1, 2, 3].map(|_| next(folder.path()).unwrap()), [1, 2, 3]);
        fs::write(folder.path().join(FILE), "x").unwrap();
        let error = next(folder.path()).unwrap_err().to_string();
        assert!(error.contains("incarnation") && error.contains("writing a higher one"), "{error}");
    }
}
