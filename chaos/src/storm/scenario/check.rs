//! The rules for plain values of a scenario.

use super::{Broken, Layout, Traffic};

/// Name, promise, calm time.
pub(super) fn head(name: &str, promise: &str, calm_s: u64) -> Result<(), Broken> {
    let is_name = !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    rule(is_name, "name", name, "must be 1 to 40 of a-z, 0-9 and -")?;
    let is_promise =
        promise.strip_prefix('P').is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n > 0 && n < 100));
    rule(is_promise, "promise", promise, "must be P and a number, such as P2")?;
    within("calm_s", calm_s, 1, 600)
}

/// Regions, zones, distances.
pub(super) fn layout(layout: &Layout) -> Result<(), Broken> {
    within("layout.regions", layout.regions.into(), 1, 9)?;
    within("layout.azs", layout.azs.into(), 1, 9)?;
    within("layout.wan_rtt_ms", layout.wan_rtt_ms.into(), 0, 1_000)?;
    within("layout.wan_jitter_ms", layout.wan_jitter_ms.into(), 0, 1_000)?;
    within("layout.az_rtt_ms", layout.az_rtt_ms.into(), 0, 100)?;
    within("layout.admitted_per_second", layout.admitted_per_second.into(), 0, 1_000_000)?;
    let is_profile = ["lan", "wan", "geo"].contains(&layout.profile.as_str());
    rule(is_profile, "layout.profile", &layout.profile, "must be lan, wan or geo")
}

/// Rates.
pub(super) fn traffic(traffic: &Traffic) -> Result<(), Broken> {
    within("traffic.requests_per_second", traffic.requests_per_second.into(), 1, 5_000)?;
    within("traffic.post_percent", traffic.post_percent.into(), 0, 100)?;
    within("traffic.writes_per_second", traffic.writes_per_second.into(), 0, 200)?;
    within("traffic.changes_per_second", traffic.changes_per_second.into(), 0, 100)?;
    within("traffic.limited_per_second", traffic.limited_per_second.into(), 0, 1_000)
}

/// Requires a number to be within bounds, both included.
pub(super) fn within(field: &str, value: u64, least: u64, most: u64) -> Result<(), Broken> {
    rule((least..=most).contains(&value), field, &value.to_string(), &format!("must be {least} to {most}"))
}

/// Requires a truth.
pub(super) fn rule(holds: bool, field: &str, value: &str, rule: &str) -> Result<(), Broken> {
    match holds {
        true => Ok(()),
        false => Err((field.to_owned(), format!("{value:?}"), rule.to_owned())),
    }
}
