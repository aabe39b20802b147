//! What nodes tell each other about cached answers. Owns those shapes and their version; who asks whom, and what for, is decided in `edge`.
//!
//! Every message may be lost, repeated or late: what is lost costs a call of an upstream, never a request.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest version of the messages that this program writes and reads.
pub const MESSAGE_VERSION: u8 = 1;

/// What nodes of a region say to each other about cached answers.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum MessageV1 {
    /// Asks whether a node is there.
    Hello,
    /// Arrived; says nothing about what became of it.
    Taken,
    /// Asks the owner of a key for its answer, before an upstream is asked.
    Ask {
        /// The key, or that of a variant, which begins with it.
        key: Vec<u8>,
        /// How much of it is the key of all variants, in bytes.
        primary_bytes: u32,
        /// Whether the owner shall hold its reply for a while when somebody else is about to fill the key.
        waits: bool,
    },
    /// Replies with an answer.
    Found {
        /// Whether it is for those who ask later, and not only for those who wait now.
        is_kept: bool,
        /// The answer.
        entry: Box<EntryV1>,
    },
    /// Replies that the key has an answer per variant: ask again with the key of one.
    Variants {
        /// Names of the headers of requests that choose among them, sorted.
        names: Vec<String>,
    },
    /// Replies that the asker shall call the upstream, and tell what came of it.
    Fill {
        /// Names this duty.
        ticket: u64,
    },
    /// Replies that somebody else is about to fill the key: ask again.
    Busy,
    /// Replies that answers of the key are not fit for storing.
    Unfit {
        /// For how long that is taken for granted, in milliseconds.
        for_ms: u64,
    },
    /// Replies that the asker shall call the upstream by itself.
    Alone,
    /// Tells the owner what came of a call.
    Put {
        /// The duty; 0 for a call that was made without one.
        ticket: u64,
        /// The key that was asked for.
        asked: Vec<u8>,
        /// The key of all variants together.
        primary: Vec<u8>,
        /// Whether it is for those who ask later, and not only for those who wait now.
        is_kept: bool,
        /// The answer.
        entry: Box<EntryV1>,
    },
    /// Tells the owner that a call brought nothing for others.
    Drop {
        /// The duty; 0 for a call that was made without one.
        ticket: u64,
        /// The key that was asked for.
        asked: Vec<u8>,
        /// Why.
        reason: DropV1,
    },
    /// Tells that the answers of some keys are not valid any more.
    Forget {
        /// The keys, each with all its variants.
        keys: Vec<Vec<u8>>,
    },
}

/// Why a call brought nothing for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum DropV1 {
    /// The answer is not fit for storing.
    Unfit,
    /// There was none.
    Failed,
    /// Whoever called is gone, or the answer cannot travel.
    Lost,
}

/// An answer on its way from one node to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct EntryV1 {
    /// Whole key, the variant's part included.
    pub key: Vec<u8>,
    /// Status.
    pub status: u16,
    /// Header lines in order.
    pub headers: Vec<HeaderV1>,
    /// Body.
    pub body: Vec<u8>,
    /// Time since the answer was asked for, on the sender's clock when it was sent, in nanoseconds.
    pub resident_ns: u64,
    /// What it may be used for.
    pub terms: TermsV1,
    /// Where it comes from.
    pub origin: OriginV1,
    /// The newest purge of its stage that it is known to have survived.
    pub sequence: u64,
}

/// A header line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct HeaderV1 {
    /// Name in lower case.
    pub name: String,
    /// Value.
    pub value: Vec<u8>,
}

/// What an answer may be used for; times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TermsV1 {
    /// Its age when it arrived from the upstream.
    pub age_s: u64,
    /// The age at which it becomes stale.
    pub lifetime_s: u64,
    /// For how long after that it may be used while it is validated.
    pub stale_while_revalidate_s: u64,
    /// For how long after that it may be used while the upstream fails; `None` if the answer does not say.
    pub stale_if_error_s: Option<u64>,
    /// Whether it must not be used when it is stale.
    pub must_revalidate: bool,
    /// Whether it must be validated before each use.
    pub validate_always: bool,
    /// Whether the upstream can be asked if it changed.
    pub has_validator: bool,
    /// Names of the headers of requests that it depends on, sorted.
    pub vary: Vec<String>,
}

/// Where an answer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OriginV1 {
    /// Verb of the request.
    pub verb: String,
    /// Path of the resource, with braces.
    pub resource: String,
    /// The path after the stage, as it came.
    pub path: String,
    /// What the upstream tagged it with.
    pub tags: Vec<String>,
}

impl MessageV1 {
    /// The framed bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::CacheMessage, MESSAGE_VERSION, &body)
    }

    /// Reads framed bytes.
    ///
    /// # Errors
    /// Any [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::CacheMessage, MESSAGE_VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> EntryV1 {
        EntryV1 {
            key: b"key-de".to_vec(),
            status: 200,
            headers: vec![HeaderV1 { name: "content-type".into(), value: b"text/plain".to_vec() }],
            body: b"hi".to_vec(),
            resident_ns: 1_500_000_000,
            terms: TermsV1 {
                age_s: 1,
                lifetime_s: 60,
                stale_while_revalidate_s: 5,
                stale_if_error_s: Some(6),
                must_revalidate: true,
                validate_always: false,
                has_validator: true,
                vary: vec!["accept-language".into()],
            },
            origin: OriginV1 {
                verb: "GET".into(),
                resource: "/pets/{id}".into(),
                path: "/pets/1".into(),
                tags: vec!["pets".into()],
            },
            sequence: 7,
        }
    }

    #[test]
    fn messages_travel_and_keep_their_bytes() {
        let (key, asked, primary) = (b"key".to_vec(), b"key".to_vec(), b"key".to_vec());
        let all = [
            MessageV1::Hello,
            MessageV1::Taken,
            MessageV1::Ask { key: key.clone(), primary_bytes: 2, waits: true },
            MessageV1::Found { is_kept: true, entry: Box::new(entry()) },
            MessageV1::Variants { names: vec!["accept-language".into()] },
            MessageV1::Fill { ticket: 9 },
            MessageV1::Busy,
            MessageV1::Unfit { for_ms: 10 },
            MessageV1::Alone,
            MessageV1::Put {
                ticket: 9,
                asked: asked.clone(),
                primary,
                is_kept: true,
                entry: Box::new(entry()),
            },
            MessageV1::Drop { ticket: 9, asked: asked.clone(), reason: DropV1::Unfit },
            MessageV1::Drop { ticket: 9, asked: asked.clone(), reason: DropV1::Failed },
            MessageV1::Drop { ticket: 9, asked, reason: DropV1::Lost },
            MessageV1::Forget { keys: vec![key, b"other".to_vec()] },
        ];
        let mut hex = String::new();
        for message in all {
            let bytes = message.encode().unwrap();
            assert_eq!(MessageV1::decode(&bytes).unwrap(), message);
            bytes.iter().for_each(|byte| hex.push_str(&format!("{byte:02x}")));
            hex.push('\n');
        }
        assert_eq!(
            hex,
            include_str!("../tests/golden/cache-message-v1.hex"),
            "cache-message-v1 changed on the wire: add a version instead of changing this one"
        );
        assert!(MessageV1::decode(b"x").is_err());
    }
}
