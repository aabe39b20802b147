//! The scenarios that are built in: the files of `chaos/scenarios`.

/// Name and text of each, in the order of their promises.
pub(crate) const SCENARIOS: [(&str, &str); 1] = [
    ("az-power-loss", include_str!("../../scenarios/az-power-loss.toml")),
];

/// Those of `storm short`, which together take at most ten minutes.
pub(crate) const SHORT: [&str; 1] = ["az-power-loss"];
