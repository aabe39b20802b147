//! Opaque messages between nodes that are not consensus: what one node tells or asks another.

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest peer message version this program writes and reads.
pub const VERSION: u8 = 1;

/// A question or an answer between two nodes.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum MessageV1 {
    /// Asks a node to describe itself.
    Describe,
    /// Answers [`MessageV1::Describe`].
    Description(NodeReportV1),
    /// Asks what a node has cached, the most used answers first.
    CacheTop(CacheTopV1),
    /// Answers [`MessageV1::CacheTop`].
    CacheHeld(CacheHeldV1),
    /// Asks for the stored answers to GET of one path.
    CacheLook(CacheLookV1),
    /// Answers [`MessageV1::CacheLook`].
    CacheFound(Vec<CacheEntryV1>),
    /// Asks what stages answered, for the watch over their rollouts.
    StageCounts(Vec<StageNameV1>),
    /// Answers [`MessageV1::StageCounts`], in its order.
    StageCounted(Vec<StageCountV1>),
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub struct StageNameV1 {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
}

/// What a node answered for a stage since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct StageCountV1 {
    /// Requests answered.
    pub requests: u64,
    /// Of these, with a status of 500 or above.
    pub errors: u64,
    /// Whether the newest version does not compile on the node.
    pub is_failing: bool,
    /// Whether the node kept crashing, and serves what was proven before.
    pub is_held: bool,
}

/// Which cached answers are asked for.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CacheTopV1 {
    /// How many at most.
    pub count: u32,
    /// Only of this API; empty for all.
    pub api: String,
    /// Only of stages of this name; empty for all.
    pub stage: String,
}

/// The request whose stored answers are asked for.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CacheLookV1 {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// Path after the stage.
    pub path: String,
    /// Query without its question mark; empty for the answers to all of them.
    pub query: String,
}

/// What a node has cached.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CacheHeldV1 {
    /// Stages that cache something.
    pub stages: Vec<CacheStageV1>,
    /// Most used first.
    pub entries: Vec<CacheEntryV1>,
}

/// What the cache of a stage holds and did on one node, since the node started or first served the stage.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CacheStageV1 {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// Answers held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Requests that a living stored answer was sent for.
    pub hits: u64,
    /// Requests that went to the integration because nothing was stored for them.
    pub misses: u64,
    /// Requests that a stored answer was sent for although its life was over.
    pub stale: u64,
    /// Requests that were sent the answer of another one that they had waited for.
    pub coalesced: u64,
    /// Requests that went to the integration whatever was stored.
    pub bypassed: u64,
}

/// One stored answer on one node.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CacheEntryV1 {
    /// The same on all nodes for what is stored under the same key.
    pub key: u64,
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// Verb of the request.
    pub verb: String,
    /// Path of the resource, with braces.
    pub resource: String,
    /// Path after the stage, as it came.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes it takes.
    pub bytes: u64,
    /// Seconds since it was made.
    pub age_s: u64,
    /// Seconds that are left of its life; negative when it is over.
    pub ttl_s: i64,
    /// Requests that it was sent for.
    pub hits: u64,
    /// Its tags, by which it can be purged.
    pub tags: Vec<String>,
}

/// What a node serves right now; status is built from these, never from intent.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct NodeReportV1 {
    /// Version of the binary.
    pub version: String,
    /// Revision of the configuration that the data plane serves.
    pub serving_revision: u64,
    /// Applied index of the configuration log.
    pub applied_index: u64,
    /// Hash over the replicated state at `applied_index`, hexadecimal.
    pub state_hash: String,
    /// Whether the data plane is ready.
    pub ready: bool,
    /// Whether the node is drained.
    pub draining: bool,
    /// Address of the control listener.
    pub control_address: String,
    /// Address of the data-plane listener.
    pub gateway_address: String,
    /// Seconds since the process started.
    pub uptime_s: u64,
}

impl MessageV1 {
    /// The framed bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Peer, VERSION, &body)
    }

    /// Reads framed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Peer, VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_travel() {
        let message = MessageV1::Description(NodeReportV1 {
            version: "0.1.0".into(),
            serving_revision: 4,
            ..Default::default()
        });
        assert_eq!(MessageV1::decode(&message.encode().unwrap()).unwrap(), message);
    }

    /// An older node finds the end of a message by its size.
    #[test]
    fn what_is_asked_about_caches_does_not_make_messages_larger() {
        assert_eq!(size_of::<ArchivedMessageV1>(), size_of::<ArchivedNodeReportV1>() + size_of::<u64>());
    }
}
