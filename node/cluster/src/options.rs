//! What an operator may set: names, places, addresses and the timing profile. Pure values; reads nothing itself.

use crate::{Error, GroupScope, limits};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Settings of one node's cluster service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Name of the cluster; part of every certificate.
    pub cluster_name: String,
    /// This node's id, the one in its certificate.
    pub node: crate::NodeId,
    /// Region of this node.
    pub region: String,
    /// Availability zone of this node.
    pub az: String,
    /// Directory of the log and the checkpoints; one process per directory.
    pub data_dir: PathBuf,
    /// UDP address to listen on.
    pub listen: SocketAddr,
    /// `host:port` under which other nodes reach this one; empty means the address that was bound.
    #[serde(default)]
    pub advertise: String,
    /// Timing for the distance between voters.
    #[serde(default)]
    pub profile: Profile,
    /// Single values that differ from the profile.
    #[serde(default)]
    pub tuning: Tuning,
}

/// Timing by distance between voters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Round trips under 5 ms: one region.
    #[default]
    Lan,
    /// Round trips up to 80 ms: neighbouring regions.
    Wan,
    /// Round trips up to 200 ms: continents.
    Geo,
}

/// Overrides of single values; `None` and empty take the profile's value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Heartbeat interval; must be over 1.4 times the worst round trip.
    pub heartbeat_ms: Option<u64>,
    /// Shortest election timeout; the longest one is twice this.
    pub election_ms: Option<u64>,
    /// A checkpoint is taken after this many log entries.
    pub checkpoint_entries: Option<u64>,
    /// Log entries kept below the newest checkpoint, for followers that are a little behind.
    pub log_entries_kept: Option<u64>,
    /// Fastest pace of a checkpoint on its way to a follower.
    pub checkpoint_bytes_per_second_max: Option<u64>,
    /// Room on disk below which this node takes nothing in and leads nothing, in bytes; 64 MiB when absent.
    pub disk_reserve_bytes: Option<u64>,
    /// Use BBR congestion control, for lossy links between regions.
    pub bbr: bool,
    /// Region where the leader should be; it moves there when a voter of it is ready.
    pub leader_region: Option<String>,
    /// Leave voters and learners alone; only explicit commands change the membership.
    pub manual_placement: bool,
}

/// The resolved timing of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) heartbeat: Duration,
    pub(crate) election_min: Duration,
    pub(crate) election_max: Duration,
    pub(crate) quorum_probe: Duration,
    pub(crate) idle: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) initial_rtt: Duration,
}

impl Options {
    /// Checks what cannot be checked by types.
    ///
    /// # Errors
    /// [`Error::Option`] names the field.
    pub fn validate(&self) -> Result<(), Error> {
        let fail = |field, reason: &str| Err(Error::Option { field, reason: reason.to_owned() });
        if !is_cluster_name(&self.cluster_name) {
            return fail("cluster_name", "1 to 63 letters a-z, digits and dashes");
        }
        if self.node == 0 || self.node > limits::NODE_ID_MAX {
            return fail("node", "must be 1 to 16777215");
        }
        for (field, value) in [("region", &self.region), ("az", &self.az)] {
            if value.is_empty() || value.len() > limits::NAME_BYTES_MAX {
                return fail(field, "1 to 253 bytes");
            }
        }
        if self.advertise.len() > limits::NAME_BYTES_MAX {
            return fail("advertise", "at most 253 bytes");
        }
        let timing = self.timing();
        if timing.heartbeat.is_zero() || timing.heartbeat * 2 >= timing.election_min {
            return fail("tuning.heartbeat_ms", "must be over 0 and under half of the election timeout");
        }
        if self.tuning.checkpoint_entries == Some(0) {
            return fail("tuning.checkpoint_entries", "must be over 0");
        }
        Ok(())
    }

    pub(crate) fn timing(&self) -> Timing {
        self.profile.timing_with(self.tuning.heartbeat_ms, self.tuning.election_ms)
    }

    /// The timing of a group: one region is near, however far apart the regions of the cluster are.
    pub(crate) fn group_timing(&self, scope: GroupScope) -> Timing {
        match scope {
            GroupScope::Cluster => self.timing(),
            GroupScope::Region { .. } => {
                Profile::Lan.timing_with(self.tuning.heartbeat_ms, self.tuning.election_ms)
            }
        }
    }
}

impl Profile {
    #[cfg(not(feature = "sim"))]
    pub(crate) fn timing(self) -> Timing {
        self.timing_with(None, None)
    }

    fn timing_with(self, heartbeat_ms: Option<u64>, election_ms: Option<u64>) -> Timing {
        let (heartbeat, election, idle, keep_alive, rtt) = match self {
            Self::Lan => (100, 300, 2_000, 500, 5),
            Self::Wan => (200, 600, 4_000, 1_000, 80),
            Self::Geo => (400, 1_200, 6_000, 1_500, 200),
        };
        let heartbeat = heartbeat_ms.unwrap_or(heartbeat);
        let election = election_ms.unwrap_or(election);
        let ms = Duration::from_millis;
        Timing {
            heartbeat: ms(heartbeat),
            election_min: ms(election),
            election_max: ms(election.saturating_mul(2)),
            quorum_probe: ms(election.saturating_mul(4)),
            idle: ms(idle),
            keep_alive: ms(keep_alive),
            initial_rtt: ms(rtt),
        }
    }
}

/// A cluster name is one DNS label, because it is part of the name in every certificate.
pub(crate) fn is_cluster_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            cluster_name: "prod".into(),
            node: 1,
            region: "eu-west-1".into(),
            az: "eu-west-1a".into(),
            data_dir: "data".into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            advertise: String::new(),
            profile: Profile::Lan,
            tuning: Tuning::default(),
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        type Break = fn(&mut Options);
        let table: &[(&str, Break)] = &[
            ("cluster_name", |o| o.cluster_name = "No Good".into()),
            ("cluster_name", |o| o.cluster_name = String::new()),
            ("node", |o| o.node = 0),
            ("node", |o| o.node = 1 << 24),
            ("region", |o| o.region.clear()),
            ("az", |o| o.az = "x".repeat(300)),
            ("advertise", |o| o.advertise = "x".repeat(300)),
            ("tuning.heartbeat_ms", |o| o.tuning.heartbeat_ms = Some(200)),
            ("tuning.checkpoint_entries", |o| o.tuning.checkpoint_entries = Some(0)),
        ];
        assert_eq!(options().validate(), Ok(()));
        for (want, spoil) in table {
            let mut options = options();
            spoil(&mut options);
            match options.validate() {
                Err(Error::Option { field, .. }) => assert_eq!(field, *want),
                other => panic!("{want}: {other:?}"),
            }
        }
    }

    #[test]
    fn profiles_keep_the_heartbeat_rule() {
        for (profile, rtt_ms) in [(Profile::Lan, 5), (Profile::Wan, 80), (Profile::Geo, 200)] {
            let timing = Options { profile, ..options() }.timing();
            assert!(timing.heartbeat.as_millis() * 10 > rtt_ms * 14, "{profile:?}");
            assert!(timing.quorum_probe >= timing.election_max * 2);
            let regional = Options { profile, ..options() }.group_timing(GroupScope::Region { spread: 0 });
            assert_eq!(regional, options().timing(), "{profile:?}");
        }
    }
}
