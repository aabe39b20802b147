//! The `bench` binary from outside, without any peer.

use std::{
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_bench");
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Process ids of the descendants of `root`, by their parents in `/proc`.
fn descendants(root: u32) -> Vec<u32> {
    let children = |pid: u32| -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let texts =
            tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
        texts.flat_map(|t| t.split(' ').filter_map(|c| c.parse().ok()).collect::<Vec<u32>>()).collect()
    };
    let mut found = children(root);
    let mut at = 0;
    while at < found.len() {
        found.extend(children(found[at]));
        at += 1;
    }
    found
}

fn within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "{what} took longer than {deadline:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_floor_is_measured_without_any_peer() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let scenarios = "proxy-128,proxy-10k,proxy-1m,post-4k,local,latency";
    let arguments = [
        "peers",
        "--gateway",
        "floor",
        "--scenario",
        scenarios,
        "--rounds",
        "1",
        "--seconds",
        "0.3",
        "--json",
    ];
    let output = bench(&[&arguments[..], &["--out", out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let comparisons = results["scenarios"].as_array().unwrap();
    assert_eq!(comparisons.len(), 6, "{results:#}");
    for comparison in comparisons {
        let measured = &comparison["rows"][0]["measured"]["Ok"];
        assert!(measured.is_object(), "{comparison:#}");
        let name = &comparison["name"];
        assert!(measured["figure"]["median"].as_f64().unwrap() > 0.1, "{name}: {comparison:#}");
        assert!(measured["rounds"][0]["answered"].as_u64().unwrap() > 0, "{name}: {comparison:#}");
        assert_eq!(measured["rounds"][0]["errors"], serde_json::json!({}), "{name}");
        assert!(out.join(format!("{}.svg", name.as_str().unwrap())).is_file(), "{name}");
    }
    let gates = results["gates"].as_array().unwrap();
    assert!(gates.iter().all(|gate| gate["verdict"]["not-measured"].is_string()), "{gates:#?}");
    assert!(out.join("report.md").is_file());
}

#[test]
fn an_absent_tidegate_is_an_error_that_says_how_to_build_it() {
    let output = bench(&["peers", "--gateway", "tidegate", "--tidegate", "nowhere/tidegate"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("cargo build --profile dist -p tidegate-node"), "{error}");
}

#[test]
fn the_list_names_scenarios_gateways_and_gates() {
    let output = bench(&["peers", "--list"]);
    let list = text(&output.stdout);
    for part in ["handshake", "varnish", "proxy-128: CPU <= 0.78 x nginx", "idle: <= 2048 B"] {
        assert!(list.contains(part), "{part} is not in\n{list}");
    }
    let wrong = bench(&["peers", "--scenario", "everything"]);
    assert!(text(&wrong.stderr).contains("there are: proxy-128, "), "{}", text(&wrong.stderr));
}

#[test]
fn nothing_is_left_behind_when_the_runner_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let mut runner = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["peers", "--gateway", "floor", "--scenario", "local", "--seconds", "30", "--out"])
        .arg(&out)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The load process, the holder, and the floor below it.
    let mut found = Vec::new();
    within(Duration::from_secs(20), "the start", || {
        found = descendants(runner.id());
        found.len() >= 3
    });
    let cmdline = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = found
        .iter()
        .flat_map(|pid| cmdline(pid).split('\0').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let at = words.iter().position(|word| word == "--folder").unwrap();
    let folder = std::path::PathBuf::from(&words[at + 1]);
    assert!(folder.is_dir(), "{folder:?}");
    runner.kill().unwrap();
    runner.wait().unwrap();
    let is_gone = |pid: &u32| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    within(Duration::from_secs(20), "the end of all processes", || found.iter().all(is_gone));
    let base = |folder: &std::path::Path| {
        folder.parent().is_some_and(|p| p.exists() && p.to_string_lossy().contains("tidegate-bench-"))
    };
    assert!(!folder.exists() && !base(&folder), "{folder:?} is left");
    assert!(!out.exists());
}
