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
}
