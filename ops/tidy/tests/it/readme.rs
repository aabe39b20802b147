//! README and ARCHITECTURE.md against the tree they describe.

use std::collections::BTreeSet;

use cargo_metadata::MetadataCommand;

use crate::tree::{report, root};

const README_LINES_MAX: usize = 250;

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn readme_is_short() {
    let lines = page("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, the ceiling is {README_LINES_MAX}");
}

/// The tree block lists one path per line, followed by what it is.
fn tree_paths() -> Vec<String> {
    let text = page("README.md");
    let block = text
        .split("```tree\n")
        .nth(1)
        .expect("README.md has a ```tree block")
        .split("```")
        .next()
        .unwrap_or("");
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut paths = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        parents.retain(|(depth, _)| *depth < indent);
        let name = line.split_whitespace().next().unwrap_or("").trim_end_matches('/').to_owned();
        let path =
            parents.iter().map(|(_, p)| p.as_str()).chain([name.as_str()]).collect::<Vec<_>>().join("/");
        parents.push((indent, name));
        paths.push(path);
    }
    paths
}

#[test]
fn readme_tree_is_the_real_tree() {
    let listed = tree_paths();
    let mut complaints: Vec<String> = listed
        .iter()
        .filter(|path| !root().join(path).exists())
        .map(|path| format!("listed but absent: {path}"))
        .collect();
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo metadata");
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    for package in &metadata.packages {
        let folder =
            package.manifest_path.parent().expect("folder").strip_prefix(root()).expect("below the root");
        if !listed.contains(folder.as_str()) {
            complaints.push(format!("crate not listed: {folder}"));
        }
    }
    for entry in std::fs::read_dir(root()).expect("root").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir()
            && !name.starts_with('.')
            && !name.starts_with("target")
            && !listed.contains(name.as_str())
        {
            complaints.push(format!("folder not listed: {name}"));
        }
    }
    report("The README's tree is the real tree.", &complaints);
}

#[test]
fn every_invariant_names_its_check() {
    let text = page("ARCHITECTURE.md");
    let section = text.split("## Invariants").nth(1).expect("ARCHITECTURE.md has invariants");
    let section = section.split("\n## ").next().unwrap_or("");
    let rows: Vec<&str> =
        section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    assert!(rows.len() >= 10, "found {} invariants, expected at least 10", rows.len());
    let mut complaints = Vec::new();
    for row in rows.iter().filter(|row| !row.starts_with("|--") && !row.starts_with("| --")) {
        let check = row.trim_end_matches('|').rsplit('|').next().unwrap_or("");
        let named: Vec<&str> = check.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            complaints.push(format!("no check: {row}"));
        }
        for path in named.iter().filter(|name| name.contains('/') && !name.contains(' ')) {
            let file = path.split("::").next().unwrap_or(path);
            if !root().join(file).exists() {
                complaints.push(format!("check does not exist: {path}"));
            }
        }
    }
    report("Every invariant names the check that guards it.", &complaints);
}
