//! What is written is read, and what is wrong is named with its place, its value and its rule.

use super::*;
use crate::{
    lab::site::Site,
    storm::{
        catalog::{SCENARIOS, SHORT},
        target::Target,
    },
};

const GOOD: &str = r#"
name = "one"
promise = "P2"
summary = "s"
description = "d"
[[fault]]
at_s = 9
for_s = 60
short_for_s = 10
fault = "power-loss"
target = "az:r2b"
drop_unsynced = true
[[fault]]
at_s = 2
for_s = 5
fault = "rough"
loss_percent = 10
[[expect]]
measure = "write-gap-ms"
from_s = 2
at_most = 3000
"#;

#[test]
fn a_scenario_is_read() {
    let scenario = Scenario::parse("f", GOOD, false).unwrap();
    let [first, second] = scenario.faults.as_slice() else { panic!("{:?}", scenario.faults) };
    assert_eq!((first.fault.name(), first.target), ("rough", Target::All));
    assert_eq!(second.fault, Fault::PowerLoss { drop_unsynced: true, tear: false });
    assert_eq!((second.target, second.for_s), (Target::Az(Site::Az { region: 1, az: 1 }), 60.0));
    assert!(scenario.needs_disks() && !scenario.needs_clocks());
    assert_eq!(scenario.traffic, Traffic::default());
    let expectation = &scenario.expectations[0];
    assert_eq!((expectation.promise.as_str(), expectation.scope), ("P2", Scope::Elsewhere));
    assert_eq!(Scenario::parse("f", GOOD, true).unwrap().faults[1].for_s, 10.0);
}

#[test]
fn errors_name_field_value_and_rule() {
    for (from, to, told) in [
        ("name = \"one\"", "name = \"One\"", "name = \"One\": must be 1 to 40 of a-z, 0-9 and -"),
        ("\"P2\"", "\"2\"", "promise = \"2\": must be P and a number"),
        ("[[expect]]", "[[expects]]", "unknown field `expects`"),
        ("at_s = 9", "at_s = 0", "fault 1: at_s = \"0\": must be 0.5 to 3600"),
        ("\"power-loss\"", "\"flood\"", "fault 1: fault = \"flood\": must be one of kill, pause"),
        ("az:r2b", "az:r9a", "fault 1: target = \"az:r9a\": there is no such zone; there are r1a to r3c"),
        ("target = \"az:r2b\"", "", "fault 1: target = nothing: must be given for power-loss"),
        ("drop_unsynced = true", "delay_ms = 5", "fault 1: delay_ms = given: power-loss has no such setting"),
        ("drop_unsynced = true", "drop = true", "unknown field `drop`"),
        ("loss_percent = 10", "loss_percent = 101", "fault 2: loss_percent = \"101\": must be 0 to 100"),
        ("\"rough\"", "\"between\"", "fault 2: between = [\"\", \"\"]: must be two different regions"),
        (
            "\"rough\"\nloss_percent = 10",
            "\"narrow\"",
            "fault 2: kilobytes_per_s = nothing: must be given, 1 to",
        ),
        ("\"write-gap-ms\"", "\"gap\"", "unknown variant `gap`"),
        ("at_most = 3000", "", "expect 1: at_most, at_least = None, None: exactly one"),
        ("from_s = 2", "from_s = 2\nto_s = 1", "expect 1: to_s = \"1\": must be over from_s"),
        ("summary", "[layout]\nregions = 10\n[x]\nsummary", "unknown field"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Scenario::parse("my.toml", &GOOD.replacen(from, to, 1), false).unwrap_err().to_string();
        assert!(error.starts_with("my.toml: ") && error.contains(told), "{from} -> {to}: {error}");
    }
    for (section, told) in [
        ("[layout]\nregions = 10\n", "layout.regions = \"10\": must be 1 to 9"),
        ("[layout]\nprofile = \"moon\"\n", "layout.profile = \"moon\": must be lan, wan or geo"),
        ("[traffic]\nrequests_per_second = 0\n", "traffic.requests_per_second = \"0\": must be 1 to 5000"),
    ] {
        let error = Scenario::parse("f", &format!("{GOOD}{section}"), false).unwrap_err().to_string();
        assert!(error.contains(told), "{section}: {error}");
    }
}

#[test]
fn what_is_built_in_can_be_run() {
    for (name, text) in SCENARIOS {
        for short in [false, true] {
            let scenario = Scenario::parse(name, text, short).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, name);
        }
    }
    assert!(SHORT.iter().all(|short| SCENARIOS.iter().any(|(name, _)| name == short)));
    let promises: std::collections::BTreeSet<String> =
        SCENARIOS.iter().map(|(name, text)| Scenario::parse(name, text, false).unwrap().promise).collect();
    let missing: Vec<String> = (1..=19).map(|n| format!("P{n}")).filter(|p| !promises.contains(p)).collect();
    assert!(missing.is_empty(), "no scenario for {missing:?}");
}

#[test]
fn the_short_part_takes_at_most_ten_minutes() {
    let seconds: f64 = SHORT
        .iter()
        .map(|name| {
            let (_, text) = SCENARIOS.iter().find(|(own, _)| own == name).unwrap();
            let scenario = Scenario::parse(name, text, true).unwrap();
            let end = scenario.faults.iter().map(|f| f.at_s + f.for_s).fold(scenario.lasts_s, f64::max);
            // Founding and reading back take their time as well.
            end + scenario.calm_s as f64 + 40.0
        })
        .sum();
    assert!(seconds <= 600.0, "{seconds} s");
}
