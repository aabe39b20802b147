//! What every source file looks like from outside.

use crate::tree::{report, root, sources};

const FILE_LINES_MAX: usize = 600;
/// Modules that may hold `unsafe`, each with its measured reason beside it.
const UNSAFE_HOMES: [&str; 4] = [
    "node/gateway/src/archive.rs",
    "chaos/src/lab/kernel.rs",
    "chaos/shim/src/lib.rs",
    "chaos/shim/src/disk.rs",
];
const PURE: [&str; 9] = [
    "proto",
    "node/iam",
    "node/template",
    "node/state",
    "node/throttle",
    "node/cache",
    "node/upstream",
    "node/gateway",
    "node/publish",
];

#[test]
fn every_file_says_what_it_owns() {
    let complaints: Vec<String> =
        sources(&["rs"]).iter().filter(|s| !s.text.starts_with("//!")).map(|s| s.path.clone()).collect();
    report("Every file starts with `//!` and says what it owns.", &complaints);
}

#[test]
fn no_file_is_too_long() {
    let mut complaints = Vec::new();
    for source in sources(&["rs", "py", "js"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{}: {lines} lines, the ceiling is {FILE_LINES_MAX}", source.path));
        }
    }
    report("One idea per file.", &complaints);
}

#[test]
fn no_mod_rs() {
    let complaints: Vec<String> =
        sources(&["rs"]).iter().filter(|s| s.path.ends_with("/mod.rs")).map(|s| s.path.clone()).collect();
    report("Modules are `foo.rs` and `foo/`.", &complaints);
}

#[test]
fn unsafe_has_a_home() {
    let marks = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code"];
    let mut complaints = Vec::new();
    for source in sources(&["rs"]) {
        let used =
            marks.iter().any(|mark| source.text.contains(mark)) && !source.path.starts_with("ops/tidy");
        if used && !UNSAFE_HOMES.contains(&source.path.as_str()) {
            complaints.push(source.path);
        } else if used && !(source.text.contains("// SAFETY") && source.text.contains("JUSTIFICATION")) {
            complaints.push(format!("{}: states no SAFETY and JUSTIFICATION", source.path));
        }
    }
    report("`unsafe` only in a named module, with the measured gain and a SAFETY comment.", &complaints);
}

#[test]
fn pure_crates_repeat_the_root_bans() {
    let bans = |path: &str| -> Vec<String> {
        let text = std::fs::read_to_string(root().join(path)).expect(path);
        text.lines().filter(|line| line.contains("path = ")).map(|line| line.trim().to_owned()).collect()
    };
    let base = bans("clippy.toml");
    let mut complaints = Vec::new();
    for home in PURE {
        let own = bans(&format!("{home}/clippy.toml"));
        complaints.extend(
            base.iter().filter(|ban| !own.contains(ban)).map(|ban| format!("{home}/clippy.toml lacks {ban}")),
        );
        if !own.iter().any(|ban| ban.contains("Instant::now")) {
            complaints.push(format!("{home}/clippy.toml does not ban the clock"));
        }
    }
    report("Clippy reads only the nearest clippy.toml, so pure crates repeat the root bans.", &complaints);
}
