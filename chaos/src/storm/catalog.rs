//! The scenarios that are built in: the files of `chaos/scenarios`.

/// Name and text of each, in the order of their promises.
pub(crate) const SCENARIOS: [(&str, &str); 24] = [
    ("control-plane-gone", include_str!("../../scenarios/control-plane-gone.toml")),
    ("az-power-loss", include_str!("../../scenarios/az-power-loss.toml")),
    ("az-blackhole", include_str!("../../scenarios/az-blackhole.toml")),
    ("zonal-shift", include_str!("../../scenarios/zonal-shift.toml")),
    ("squeeze", include_str!("../../scenarios/squeeze.toml")),
    ("leader-kill", include_str!("../../scenarios/leader-kill.toml")),
    ("leader-kill-region", include_str!("../../scenarios/leader-kill-region.toml")),
    ("region-loss", include_str!("../../scenarios/region-loss.toml")),
    ("one-way", include_str!("../../scenarios/one-way.toml")),
    ("non-transitive", include_str!("../../scenarios/non-transitive.toml")),
    ("packet-loss", include_str!("../../scenarios/packet-loss.toml")),
    ("disk-full", include_str!("../../scenarios/disk-full.toml")),
    ("disk-broken", include_str!("../../scenarios/disk-broken.toml")),
    ("disk-slow", include_str!("../../scenarios/disk-slow.toml")),
    ("disk-stall", include_str!("../../scenarios/disk-stall.toml")),
    ("power-cuts", include_str!("../../scenarios/power-cuts.toml")),
    ("flipped-bits", include_str!("../../scenarios/flipped-bits.toml")),
    ("clock-jump", include_str!("../../scenarios/clock-jump.toml")),
    ("leader-pause", include_str!("../../scenarios/leader-pause.toml")),
    ("config-churn", include_str!("../../scenarios/config-churn.toml")),
    ("poison", include_str!("../../scenarios/poison.toml")),
    ("rolling-upgrade", include_str!("../../scenarios/rolling-upgrade.toml")),
    ("overload", include_str!("../../scenarios/overload.toml")),
    ("cold-start", include_str!("../../scenarios/cold-start.toml")),
];

/// Those of `storm short`, which together take at most ten minutes.
pub(crate) const SHORT: [&str; 7] = [
    "control-plane-gone",
    "az-power-loss",
    "leader-kill-region",
    "disk-broken",
    "power-cuts",
    "leader-pause",
    "cold-start",
];
