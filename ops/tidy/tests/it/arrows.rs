//! Which crate may use which: the failure text is the sentence of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::tree::{report, root};

const PURE: [&str; 9] =
    ["proto", "iam", "template", "state", "throttle", "cache", "upstream", "gateway", "publish"];
const ACTING: [&str; 8] =
    ["tokio", "hyper", "quinn", "openraft", "sled", "rustls", "tokio-rustls", "socket2"];

/// What each crate may use of ours.
const ALLOWED: [(&str, &[&str]); 16] = [
    ("proto", &[]),
    ("iam", &[]),
    ("template", &[]),
    ("telemetry", &["proto"]),
    ("listener", &["proto"]),
    ("cluster", &[]),
    ("cluster-sim", &[]),
    ("state", &["proto"]),
    ("throttle", &["proto"]),
    ("cache", &["proto"]),
    ("upstream", &["proto"]),
    ("gateway", &["proto", "iam", "template", "throttle", "cache"]),
    ("publish", &["proto", "state", "throttle", "gateway"]),
    ("edge", &["proto", "gateway", "throttle", "cache", "upstream", "listener", "telemetry"]),
    ("control", &["proto", "iam", "state", "gateway", "listener", "telemetry"]),
    ("cli", &["proto", "iam"]),
];

/// Which heavy crates only some of ours may see.
const ENCLOSED: [(&str, &[&str]); 5] = [
    ("fuser", &["chaos"]),
    ("openraft", &["cluster", "cluster-sim"]),
    ("sled", &["cluster"]),
    ("quinn", &["cluster", "listener"]),
    ("tracing-opentelemetry", &["telemetry"]),
];

/// Normal dependencies by crate, our prefix stripped.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo metadata");
    let short = |name: &str| name.strip_prefix("tidegate-").unwrap_or(name).to_owned();
    metadata
        .packages
        .iter()
        .map(|package| {
            let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
            (short(&package.name), normal.map(|d| short(&d.name)).collect())
        })
        .collect()
}

#[test]
fn pure_crates_cannot_act() {
    let all = dependencies();
    let mut complaints = Vec::new();
    for crate_name in PURE {
        for heavy in ACTING.iter().filter(|heavy| all[crate_name].contains(**heavy)) {
            complaints.push(format!("{crate_name} is pure and must not depend on {heavy}"));
        }
    }
    report("A pure crate decides; it cannot do IO or read a clock.", &complaints);
}

#[test]
fn arrows_point_down() {
    let all = dependencies();
    let ours: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    let mut complaints = Vec::new();
    for (crate_name, allowed) in ALLOWED {
        for used in all[crate_name].iter().filter(|d| ours.contains(d.as_str())) {
            if !allowed.contains(&used.as_str()) {
                complaints.push(format!("{crate_name} must not use {used}; allowed are {allowed:?}"));
            }
        }
    }
    report(
        "edge, control and cluster never know each other; arrows point from volatile to stable.",
        &complaints,
    );
}

#[test]
fn heavy_crates_are_enclosed() {
    let all = dependencies();
    let mut complaints = Vec::new();
    for (heavy, homes) in ENCLOSED {
        for (crate_name, used) in &all {
            if used.contains(heavy) && !homes.contains(&crate_name.as_str()) {
                complaints.push(format!("{crate_name} uses {heavy}, which only {homes:?} may see"));
            }
        }
    }
    report("Each heavy dependency has one home.", &complaints);
}

#[test]
fn every_member_has_a_place_in_the_table() {
    let named: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let tops = ["node", "bench", "chaos", "chaos-shim", "fuzz", "tidy", "console"];
    let complaints: Vec<String> = dependencies()
        .keys()
        .filter(|name| !named.contains(name.as_str()) && !tops.contains(&name.as_str()))
        .map(|name| format!("{name} is in no row of the arrow table"))
        .collect();
    report("A new crate needs a row in the arrow table.", &complaints);
}

#[test]
fn versions_are_exact_and_in_one_place() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("root manifest");
    let mut complaints = Vec::new();
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("workspace dependencies");
    for line in section.lines().take_while(|line| !line.starts_with('[')) {
        let external = line.contains('=') && !line.contains("path = ") && !line.trim_start().starts_with('#');
        if external && !line.contains("\"=") {
            complaints.push(format!("not an exact version: {line}"));
        }
    }
    for source in crate::tree::sources(&["toml"]) {
        if source.path.ends_with("/Cargo.toml") && !source.path.contains("libfuzzer/") {
            for line in source
                .text
                .lines()
                .filter(|line| line.contains("version = \"") && !line.contains("workspace"))
            {
                complaints.push(format!("{}: version outside the workspace table: {line}", source.path));
            }
        }
    }
    report("Every dependency has one exact version in the workspace table.", &complaints);
}
