//! What breaks, when, and for how long: data that is drawn from a seed before the run begins, so that faults can be left out. Owns the
//! notation and the draw.

use serde::{Deserialize, Serialize};
use tidegate_cluster_sim::NodeId;

use super::land::Land;
use crate::flood::Chance;

/// Nothing breaks before this, in milliseconds: clients need something to lose.
const CALM_MS: u64 = 500;
/// Mean pause between faults, from the wildest seed to the calmest, in milliseconds.
const PAUSE_MS: (f64, f64) = (250.0, 2_500.0);

/// Clocks that drift for a whole run, in parts of a million of the right rate: what the timing of the consensus allows for, so that
/// everything must work with them once all else is healed.
const DRIFT_PPM: (f64, f64) = (800_000.0, 1_250_000.0);
/// Clocks that run wild for a while: nothing that is promised may depend on them.
const WILD_PPM: (f64, f64) = (200_000.0, 5_000_000.0);
/// Share of seeds whose clocks drift from beginning to end.
const DRIFTING: f64 = 0.6;

/// A checkpoint that is to be torn is waited for at least so long, in milliseconds.
const TEAR_MS: u64 = 8_000;

/// Something that breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// When, in milliseconds after the clients began.
    pub(crate) at_ms: u64,
    /// For how long, in milliseconds.
    pub(crate) for_ms: u64,
    /// What.
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(crate) enum What {
    /// Nodes lose their power, and get it back.
    PowerCut {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// A zone loses its power.
    ZoneLoss {
        /// Which.
        zone: String,
    },
    /// What some nodes send does not reach others; `mutual`: nor the other way.
    Cut {
        /// Senders.
        from: Vec<NodeId>,
        /// Who does not hear them.
        to: Vec<NodeId>,
        /// Whether both ways are cut.
        mutual: bool,
    },
    /// The whole network is bad.
    Weather {
        /// Longest way, in milliseconds.
        delay_ms: u64,
        /// Lost, of a thousand.
        loss: u64,
        /// Delivered twice, of a thousand.
        doubled: u64,
        /// Overtaken by later ones, of a thousand.
        late: u64,
    },
    /// Syncs of a disk take up to this long.
    SlowDisk {
        /// Whose.
        node: NodeId,
        /// Milliseconds.
        sync_ms: u64,
    },
    /// A disk has no room, and says so.
    FullDisk {
        /// Whose.
        node: NodeId,
    },
    /// A disk refuses every write: its node ends, and is started again when the disk is well.
    BrokenDisk {
        /// Whose.
        node: NodeId,
    },
    /// The power of a node is cut, and when it comes back a part of what its disk had kept is lost. Nothing is, while another node lacks
    /// something: what no undamaged node has is gone, whatever a cluster does.
    DamagedDisk {
        /// Whose.
        node: NodeId,
    },
    /// The power of a node is cut in the midst of the next checkpoint that it writes, and is back a moment later.
    TornCheckpoint {
        /// Whose.
        node: NodeId,
    },
    /// The wall clock of a node is wrong by this much.
    ClockJump {
        /// Whose.
        node: NodeId,
        /// Seconds.
        seconds: i64,
    },
    /// The monotonic clock of a node, by which its elections, leases and deadlines go, counts so many seconds in a million.
    ClockDrift {
        /// Whose.
        node: NodeId,
        /// Parts of a million.
        rate_ppm: u64,
    },
    /// Leadership of a group is asked to move.
    MoveLeader {
        /// Which of the groups, in order, modulo their number.
        group: usize,
        /// Which of the nodes is asked.
        node: NodeId,
    },
}

impl What {
    /// Its name in counts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PowerCut { .. } => "power-cut",
            Self::ZoneLoss { .. } => "zone-loss",
            Self::Cut { mutual: true, .. } => "partition",
            Self::Cut { mutual: false, .. } => "one-way",
            Self::Weather { .. } => "weather",
            Self::SlowDisk { .. } => "slow-disk",
            Self::FullDisk { .. } => "full-disk",
            Self::BrokenDisk { .. } => "broken-disk",
            Self::DamagedDisk { .. } => "damaged-disk",
            Self::TornCheckpoint { .. } => "torn-checkpoint",
            Self::ClockJump { .. } => "clock-jump",
            Self::ClockDrift { .. } => "clock-drift",
            Self::MoveLeader { .. } => "move-leader",
        }
    }

    /// Whether the cluster has to work in spite of it, so that it stays when all else is healed.
    pub(crate) fn is_allowed_for(&self) -> bool {
        matches!(self, Self::ClockDrift { rate_ppm, .. }
            if (DRIFT_PPM.0..=DRIFT_PPM.1).contains(&(*rate_ppm as f64)))
    }
}

/// The schedule of a seed: faults that begin within `length_ms`.
pub(crate) fn draw(seed: u64, length_ms: u64, land: &Land) -> Vec<Fault> {
    let mut draft = Draft { chance: Chance::new(seed, "faults"), ids: land.ids(), zones: land.zones() };
    let pause_ms = PAUSE_MS.0 * (PAUSE_MS.1 / PAUSE_MS.0).powf(draft.chance.fraction());
    let mut faults = draft.drifts(length_ms);
    let mut at_ms = CALM_MS as f64 + draft.chance.exponential(pause_ms);
    while (at_ms as u64) < length_ms {
        let (for_ms, what) = (draft.length_ms(), draft.what());
        // Nothing happens before a checkpoint is due.
        let for_ms = if matches!(what, What::TornCheckpoint { .. }) { TEAR_MS + for_ms } else { for_ms };
        faults.push(Fault { at_ms: at_ms as u64, for_ms, what });
        at_ms += 20.0 + draft.chance.exponential(pause_ms);
    }
    faults
}

struct Draft {
    chance: Chance,
    ids: Vec<NodeId>,
    zones: Vec<String>,
}

impl Draft {
    /// Mostly a moment, sometimes longer than any election and any lease.
    fn length_ms(&mut self) -> u64 {
        match self.chance.happens(0.2) {
            true => self.chance.between(2_000.0, 5_000.0) as u64,
            false => 50 + self.chance.exponential(600.0) as u64,
        }
    }

    /// Clocks that run apart for as long as the run lasts.
    fn drifts(&mut self, length_ms: u64) -> Vec<Fault> {
        if !self.chance.happens(DRIFTING) {
            return Vec::new();
        }
        let ids = self.ids.clone();
        let drift = |node: NodeId| {
            let what = What::ClockDrift { node, rate_ppm: self.rate_ppm(DRIFT_PPM) };
            Fault { at_ms: 0, for_ms: length_ms + 1, what }
        };
        ids.into_iter().map(drift).collect()
    }

    /// As often too fast as too slow, by as much.
    fn rate_ppm(&mut self, (slowest, fastest): (f64, f64)) -> u64 {
        (slowest * (fastest / slowest).powf(self.chance.fraction())) as u64
    }

    fn what(&mut self) -> What {
        match self.chance.below(19) {
            0..=2 => What::PowerCut { nodes: self.some() },
            3 => What::ZoneLoss { zone: self.zones[self.chance.below(self.zones.len())].clone() },
            4..=5 => self.isolation(true),
            6..=7 => self.isolation(false),
            8 => self.pair(),
            9..=10 => What::Weather {
                delay_ms: 2 + self.chance.exponential(10.0) as u64,
                loss: self.chance.below(100) as u64,
                doubled: self.chance.below(100) as u64,
                late: self.chance.below(200) as u64,
            },
            11 => What::SlowDisk { node: self.one(), sync_ms: 20 + self.chance.exponential(200.0) as u64 },
            12 => What::FullDisk { node: self.one() },
            13 => What::BrokenDisk { node: self.one() },
            14 => What::ClockJump {
                node: self.one(),
                seconds: self.chance.between(-100_000.0, 100_000.0) as i64,
            },
            15 => What::ClockDrift { node: self.one(), rate_ppm: self.rate_ppm(WILD_PPM) },
            16 => What::DamagedDisk { node: self.one() },
            17 => What::TornCheckpoint { node: self.one() },
            _ => What::MoveLeader { group: self.chance.below(16), node: self.one() },
        }
    }

    fn one(&mut self) -> NodeId {
        self.ids[self.chance.below(self.ids.len())]
    }

    /// One node, half of the time; else any number, all of them included.
    fn some(&mut self) -> Vec<NodeId> {
        let mut ids = self.ids.clone();
        self.chance.shuffle(&mut ids);
        let count = if self.chance.happens(0.5) { 1 } else { 1 + self.chance.below(ids.len()) };
        ids.truncate(count);
        ids.sort_unstable();
        ids
    }

    /// Some nodes against the others.
    fn isolation(&mut self, mutual: bool) -> What {
        let mut from = self.some();
        if from.len() == self.ids.len() {
            from.pop();
        }
        let mut to: Vec<NodeId> = self.ids.iter().copied().filter(|id| !from.contains(id)).collect();
        if self.chance.happens(0.5) {
            std::mem::swap(&mut from, &mut to);
        }
        What::Cut { from, to, mutual }
    }

    /// Two nodes do not see each other; both see the others.
    fn pair(&mut self) -> What {
        let mut ids = self.ids.clone();
        self.chance.shuffle(&mut ids);
        What::Cut { from: vec![ids[0]], to: vec![ids[1]], mutual: true }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sim::case::Case;

    #[test]
    fn schedules_repeat_survive_their_file_and_have_every_fault() {
        let mut names = BTreeSet::new();
        for seed in 0..200 {
            let land = Land::of(seed);
            let faults = draw(seed, 20_000, &land);
            assert_eq!(faults, draw(seed, 20_000, &land));
            names.extend(faults.iter().map(|fault| fault.what.name()));
            let case = Case { faults: Some(faults), ..Case::of(seed, 20) };
            assert_eq!(toml::from_str::<Case>(&case.text()).unwrap(), case, "{}", case.text());
        }
        assert_eq!(names.len(), 13, "{names:?}");
    }
}
