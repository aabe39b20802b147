//! Where the checkout is and which files it tracks.

use std::path::{Path, PathBuf};

/// A text file of the checkout.
pub(crate) struct Source {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// Contents.
    pub(crate) text: String,
}

/// Root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the crate sits two levels below the root")
}

/// All files below the root with one of `extensions`, without build output, data directories and environments.
pub(crate) fn sources(extensions: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable folder").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let skipped =
                    name == ".git" || name.starts_with("target") || name == ".venv" || name.starts_with(".t");
                if !skipped && name != "node_modules" {
                    folders.push(path);
                }
            } else if extensions.iter().any(|e| name.ends_with(&format!(".{e}"))) {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let path =
                    path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 3, "found only {} files with {extensions:?}: the walk is broken", found.len());
    found
}

/// Fails with all complaints at once, so that one run shows the whole list.
pub(crate) fn report(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}\n  {}", complaints.join("\n  "));
}
