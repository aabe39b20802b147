//! Cases that are kept: what once broke something, as files that are replayed for ever.

use std::path::{Path, PathBuf};

use super::case::Case;

/// The cases in a file or a folder, by name.
///
/// # Errors
/// What cannot be read or is not a case.
pub(crate) fn kept(path: &Path) -> Result<Vec<(PathBuf, Case)>, String> {
    let fail = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| fail(path, &error))?;
        files = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
    }
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).map_err(|error| fail(&file, &error))?;
        let case = toml::from_str(&text).map_err(|error| fail(&file, &error))?;
        Ok((file, case))
    };
    files.into_iter().map(read).collect()
}
