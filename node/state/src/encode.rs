//! The whole state as one frame: what a checkpoint holds and what a new node receives.

use std::sync::Arc;

use rkyv::{Archive, Deserialize, Serialize, rancor};
use tidegate_proto::frame::{self, FrameError, Kind};

use crate::{Record, State};

const VERSION: u8 = 1;

#[derive(Archive, Serialize, Deserialize)]
struct StateV1 {
    revision: u64,
    hash: u128,
    records: Vec<(String, u64, Vec<u8>)>,
}

/// Why bytes are not a whole state.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The envelope is damaged or of another version.
    #[error("state checkpoint: {0}")]
    Frame(#[from] FrameError),
    /// The records do not add up to the recorded hash.
    #[error("state checkpoint: hash of the records is {computed:032x}, the writer recorded {recorded:032x}")]
    Hash {
        /// Over the records read.
        computed: u128,
        /// By the writer.
        recorded: u128,
    },
}

impl State {
    /// The framed bytes of the whole state.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let records = self
            .records
            .iter()
            .map(|(key, record)| (key.to_string(), record.revision, record.bytes.to_vec()))
            .collect();
        let image = StateV1 { revision: self.revision, hash: self.hash(), records };
        let body = rkyv::to_bytes::<rancor::Error>(&image).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::State, VERSION, &body)
    }

    /// Reads the framed bytes of a whole state.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body = frame::open(Kind::State, VERSION, bytes)?;
        let image = rkyv::from_bytes::<StateV1, rancor::Error>(&body)
            .map_err(|e| FrameError::Invalid(e.to_string()))?;
        let mut state = Self { revision: image.revision, ..Self::default() };
        for (key, revision, bytes) in image.records {
            state.put(Arc::from(key), Record { revision, bytes: Arc::from(bytes) });
        }
        match state.hash() == image.hash {
            true => Ok(state),
            false => Err(DecodeError::Hash { computed: state.hash(), recorded: image.hash }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::transaction::{PutV1, TransactionV1};

    #[test]
    fn round_trip_and_damage() {
        let mut state = State::default();
        for i in 0..100 {
            let put = PutV1 { key: format!("k/{i}"), bytes: vec![i as u8; i] };
            state.apply(TransactionV1 { puts: vec![put], ..Default::default() });
        }
        let bytes = state.encode().unwrap();
        let back = State::decode(&bytes).unwrap();
        assert_eq!((back.hash(), back.revision(), back.len()), (state.hash(), 100, 100));
        assert_eq!(back.changes_since(&state), []);
        for at in [0, 2, 5, 13, 40, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(State::decode(&damaged).is_err(), "byte {at}");
        }
        assert!(State::decode(&bytes[..bytes.len() - 3]).is_err());
    }
}
