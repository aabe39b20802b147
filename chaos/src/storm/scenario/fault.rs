//! The faults a scenario may ask for, and how they are written.

use serde::{Deserialize, Serialize};

use super::{
    Broken, Layout,
    check::{rule, within},
};
use crate::{lab::site::Extent, storm::target::Target};

/// A fault with its time and place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    /// Seconds from the first request.
    pub(crate) at_s: f64,
    /// Seconds until it is undone.
    pub(crate) for_s: f64,
    /// What happens.
    pub(crate) fault: Fault,
    /// To whom.
    pub(crate) target: Target,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// SIGKILL; the process is started again at the end.
    Kill,
    /// SIGSTOP; SIGCONT at the end.
    Pause,
    /// SIGKILL and no packet in or out; perhaps what was not fsynced is gone, and the last write torn.
    PowerLoss { drop_unsynced: bool, tear: bool },
    /// Something on the network.
    Network(NetworkFault),
    /// Something on disks.
    Disk(DiskFault),
    /// Power cuts one after the other, each dropping what was not fsynced.
    PowerCycles { cycles: u32, tear: bool },
    /// The wall clock goes wrong by this much; back and forth each second when it swings.
    ClockJump { offset_s: i64, swings: bool },
    /// No more than this much memory.
    SqueezeMemory { megabytes: u64 },
    /// No more than this share of a processor.
    SqueezeCpu { percent: u32 },
    /// A majority of the voters is killed, no region without a node; one more node is restarted meanwhile.
    ControlGone,
    /// Traffic and leaders are moved off, as an operator does; brought back at the end.
    ZonalShift,
    /// Configurations that are bad in as many ways as there are.
    Poison,
    /// Every node is replaced by another binary, one after the other, and back again.
    Upgrade,
    /// More requests than can be served.
    Overload { times: u32 },
    /// Every node is killed, and started after the given time.
    RestartAll,
}

/// What can happen on the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NetworkFault {
    /// No packet in or out, to nobody; processes live.
    Blackhole,
    /// Nothing from other nodes is heard.
    Deaf,
    /// Nothing is heard by other nodes.
    Mute,
    /// No packet between the target and other nodes; its clients reach it.
    Partition,
    /// No packet between two regions, both of which see all others.
    Between { regions: [u8; 2] },
    /// Between all nodes.
    Rough { loss_percent: f64, jitter_ms: u32, duplicate_percent: f64, reorder_percent: f64 },
    /// Between all nodes, bandwidth of each line.
    Narrow { kilobytes_per_s: u64 },
}

/// What can happen on a disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DiskFault {
    /// Each fsync takes so much longer.
    Slow { delay_ms: u32 },
    /// Nothing comes back until the end.
    Stall,
    /// fsync and writes fail with EIO.
    Broken,
    /// Writes fail with ENOSPC.
    Full,
    /// Bits of files are flipped while the node is down; it is started again at once.
    Flip { bits: u32 },
}

/// A fault as it is written: all fields of all faults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    fault: String,
    at_s: f64,
    for_s: f64,
    short_for_s: Option<f64>,
    target: Option<String>,
    drop_unsynced: Option<bool>,
    tear: Option<bool>,
    between: Option<[String; 2]>,
    loss_percent: Option<f64>,
    jitter_ms: Option<u32>,
    duplicate_percent: Option<f64>,
    reorder_percent: Option<f64>,
    kilobytes_per_s: Option<u64>,
    delay_ms: Option<u32>,
    bits: Option<u32>,
    cycles: Option<u32>,
    offset_s: Option<i64>,
    swings: Option<bool>,
    megabytes: Option<u64>,
    percent: Option<u32>,
    times: Option<u32>,
}

/// Names, in the order of the documentation.
const NAMES: [&str; 25] = [
    "kill",
    "pause",
    "power-loss",
    "blackhole",
    "deaf",
    "mute",
    "partition",
    "between",
    "rough",
    "narrow",
    "slow-disk",
    "stalled-disk",
    "broken-disk",
    "full-disk",
    "flipped-bits",
    "power-cycles",
    "clock-jump",
    "squeeze-memory",
    "squeeze-cpu",
    "control-gone",
    "zonal-shift",
    "poison",
    "upgrade",
    "overload",
    "restart-all",
];

impl Written {
    /// Checks everything and decides what it means.
    pub(super) fn plan(mut self, place: &str, layout: &Layout, short: bool) -> Result<Planned, Broken> {
        let sane = |value: f64, least: f64| value.is_finite() && (least..=3_600.0).contains(&value);
        rule(sane(self.at_s, 0.5), &format!("{place}: at_s"), &self.at_s.to_string(), "must be 0.5 to 3600")?;
        let for_s = match (short, self.short_for_s) {
            (true, Some(short_for_s)) => short_for_s,
            _ => self.for_s,
        };
        rule(sane(for_s, 0.0), &format!("{place}: for_s"), &for_s.to_string(), "must be 0 to 3600")?;
        let extent = Extent { regions: layout.regions, azs: layout.azs };
        let name = self.fault.clone();
        let fault = self.take(place, &name, extent)?;
        let target = match self.target.take() {
            Some(text) => Target::parse(&text, extent)
                .map_err(|told| (format!("{place}: target"), format!("{text:?}"), told))?,
            None if fault.strikes_all() => Target::All,
            None => {
                let told = format!("must be given for {name}; {}", Target::RULE);
                return Err((format!("{place}: target"), "nothing".into(), told));
            }
        };
        self.nothing_left(place, &name)?;
        Ok(Planned { at_s: self.at_s, for_s, fault, target })
    }

    fn take(&mut self, place: &str, name: &str, extent: Extent) -> Result<Fault, Broken> {
        Ok(match name {
            "kill" => Fault::Kill,
            "pause" => Fault::Pause,
            "power-loss" => Fault::PowerLoss {
                drop_unsynced: self.drop_unsynced.take().unwrap_or_default(),
                tear: self.tear.take().unwrap_or_default(),
            },
            "power-cycles" => Fault::PowerCycles {
                cycles: bounded(place, "cycles", self.cycles.take(), 1, 1_000)?,
                tear: self.tear.take().unwrap_or_default(),
            },
            "clock-jump" => Fault::ClockJump {
                offset_s: self.offset_s.take().unwrap_or(3_600),
                swings: self.swings.take().unwrap_or_default(),
            },
            "squeeze-memory" => Fault::SqueezeMemory {
                megabytes: bounded(place, "megabytes", self.megabytes.take(), 8, 65_536)?,
            },
            "squeeze-cpu" => {
                Fault::SqueezeCpu { percent: bounded(place, "percent", self.percent.take(), 1, 100)? }
            }
            "control-gone" => Fault::ControlGone,
            "zonal-shift" => Fault::ZonalShift,
            "poison" => Fault::Poison,
            "upgrade" => Fault::Upgrade,
            "overload" => Fault::Overload { times: bounded(place, "times", self.times.take(), 2, 100)? },
            "restart-all" => Fault::RestartAll,
            _ => match (self.take_disk(place, name)?, self.take_network(place, name, extent)?) {
                (Some(fault), _) => Fault::Disk(fault),
                (_, Some(fault)) => Fault::Network(fault),
                _ => {
                    let known = NAMES.join(", ");
                    return Err((
                        format!("{place}: fault"),
                        format!("{name:?}"),
                        format!("must be one of {known}"),
                    ));
                }
            },
        })
    }

    fn take_disk(&mut self, place: &str, name: &str) -> Result<Option<DiskFault>, Broken> {
        Ok(Some(match name {
            "slow-disk" => {
                DiskFault::Slow { delay_ms: bounded(place, "delay_ms", self.delay_ms.take(), 1, 60_000)? }
            }
            "stalled-disk" => DiskFault::Stall,
            "broken-disk" => DiskFault::Broken,
            "full-disk" => DiskFault::Full,
            "flipped-bits" => DiskFault::Flip { bits: bounded(place, "bits", self.bits.take(), 1, 10_000)? },
            _ => return Ok(None),
        }))
    }

    fn take_network(
        &mut self,
        place: &str,
        name: &str,
        extent: Extent,
    ) -> Result<Option<NetworkFault>, Broken> {
        Ok(Some(match name {
            "blackhole" => NetworkFault::Blackhole,
            "deaf" => NetworkFault::Deaf,
            "mute" => NetworkFault::Mute,
            "partition" => NetworkFault::Partition,
            "between" => {
                let names = self.between.take().unwrap_or_default();
                let regions = names.clone().map(|name| extent.region(&name));
                match regions {
                    [Some(one), Some(other)] if one != other => {
                        NetworkFault::Between { regions: [one, other] }
                    }
                    _ => {
                        let told = "must be two different regions, such as [\"r1\", \"r3\"]";
                        return Err((format!("{place}: between"), format!("{names:?}"), told.into()));
                    }
                }
            }
            "rough" => NetworkFault::Rough {
                loss_percent: percent(place, "loss_percent", self.loss_percent.take())?,
                jitter_ms: self.jitter_ms.take().unwrap_or_default(),
                duplicate_percent: percent(place, "duplicate_percent", self.duplicate_percent.take())?,
                reorder_percent: percent(place, "reorder_percent", self.reorder_percent.take())?,
            },
            "narrow" => {
                let kilobytes_per_s =
                    bounded(place, "kilobytes_per_s", self.kilobytes_per_s.take(), 1, 1_000_000)?;
                NetworkFault::Narrow { kilobytes_per_s }
            }
            _ => return Ok(None),
        }))
    }

    /// Fields of other faults are errors, as they would do nothing.
    fn nothing_left(&self, place: &str, name: &str) -> Result<(), Broken> {
        let left = [
            ("drop_unsynced", self.drop_unsynced.is_some()),
            ("tear", self.tear.is_some()),
            ("between", self.between.is_some()),
            ("loss_percent", self.loss_percent.is_some()),
            ("jitter_ms", self.jitter_ms.is_some()),
            ("duplicate_percent", self.duplicate_percent.is_some()),
            ("reorder_percent", self.reorder_percent.is_some()),
            ("kilobytes_per_s", self.kilobytes_per_s.is_some()),
            ("delay_ms", self.delay_ms.is_some()),
            ("bits", self.bits.is_some()),
            ("cycles", self.cycles.is_some()),
            ("offset_s", self.offset_s.is_some()),
            ("swings", self.swings.is_some()),
            ("megabytes", self.megabytes.is_some()),
            ("percent", self.percent.is_some()),
            ("times", self.times.is_some()),
        ];
        match left.into_iter().find(|(_, is_left)| *is_left) {
            Some((field, _)) => Err((
                format!("{place}: {field}"),
                "given".into(),
                format!("{name} has no such setting; leave it out"),
            )),
            None => Ok(()),
        }
    }
}

impl Fault {
    /// Name in scenarios and reports.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::PowerLoss { .. } => "power-loss",
            Self::PowerCycles { .. } => "power-cycles",
            Self::ClockJump { .. } => "clock-jump",
            Self::SqueezeMemory { .. } => "squeeze-memory",
            Self::SqueezeCpu { .. } => "squeeze-cpu",
            Self::ControlGone => "control-gone",
            Self::ZonalShift => "zonal-shift",
            Self::Poison => "poison",
            Self::Upgrade => "upgrade",
            Self::Overload { .. } => "overload",
            Self::RestartAll => "restart-all",
            Self::Network(fault) => match fault {
                NetworkFault::Blackhole => "blackhole",
                NetworkFault::Deaf => "deaf",
                NetworkFault::Mute => "mute",
                NetworkFault::Partition => "partition",
                NetworkFault::Between { .. } => "between",
                NetworkFault::Rough { .. } => "rough",
                NetworkFault::Narrow { .. } => "narrow",
            },
            Self::Disk(fault) => match fault {
                DiskFault::Slow { .. } => "slow-disk",
                DiskFault::Stall => "stalled-disk",
                DiskFault::Broken => "broken-disk",
                DiskFault::Full => "full-disk",
                DiskFault::Flip { .. } => "flipped-bits",
            },
        }
    }

    /// Whether it needs no target.
    fn strikes_all(&self) -> bool {
        match self {
            Self::ControlGone | Self::Poison | Self::Upgrade | Self::Overload { .. } | Self::RestartAll => {
                true
            }
            Self::Network(fault) => matches!(
                fault,
                NetworkFault::Between { .. } | NetworkFault::Rough { .. } | NetworkFault::Narrow { .. }
            ),
            _ => false,
        }
    }

    /// Whether it needs disks that can fail.
    pub(super) fn needs_disks(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::PowerCycles { .. } | Self::PowerLoss { drop_unsynced: true, .. })
    }
}

fn bounded<T: TryFrom<u64> + Into<u64> + Copy>(
    place: &str,
    field: &str,
    value: Option<T>,
    least: u64,
    most: u64,
) -> Result<T, Broken> {
    let field = format!("{place}: {field}");
    let Some(value) = value else {
        return Err((field, "nothing".into(), format!("must be given, {least} to {most}")));
    };
    within(&field, value.into(), least, most).map(|()| value)
}

fn percent(place: &str, field: &str, value: Option<f64>) -> Result<f64, Broken> {
    let value = value.unwrap_or_default();
    let sane = value.is_finite() && (0.0..=100.0).contains(&value);
    rule(sane, &format!("{place}: {field}"), &value.to_string(), "must be 0 to 100").map(|()| value)
}
