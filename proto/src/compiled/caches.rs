//! The compiled shape of the caches of stages. Kept on disk behind the serving snapshot, beside the limits, so that a node that
//! restarts alone knows which stored answers were flushed.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest layout of [`CachesV1`] that this program writes and reads.
pub const CACHES_VERSION: u8 = 1;

/// All caches of a node.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CachesV1 {
    /// Stages that cache something, by API and name.
    pub stages: Vec<StageCacheV1>,
}

/// The cache of a stage.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct StageCacheV1 {
    /// Id of the REST API.
    pub api: String,
    /// Stage name.
    pub stage: String,
    /// Bytes that the nodes of an availability zone may hold of it together.
    pub bytes_max: u64,
    /// Counts flushes of everything.
    pub epoch: u64,
    /// Number of the newest purge.
    pub sequence: u64,
    /// Purges of a part, oldest first.
    pub purges: Vec<PurgeV1>,
    /// Whether stored answers are served while the node cannot know whether they were flushed.
    pub serves_isolated: bool,
    /// Whether every answer says what the cache did.
    pub tells_always: bool,
    /// Whether answers that set cookies are shared.
    pub shares_cookies: bool,
    /// Headers of requests that no answer depends on, in lower case.
    pub unkeyed_headers: Vec<String>,
    /// Methods that are cached.
    pub methods: Vec<MethodCacheV1>,
}

/// A part of a cache that was taken out: what fits every field that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct PurgeV1 {
    /// Answers that were stored under a smaller number are concerned.
    pub sequence: u64,
    /// Verb of the method.
    pub verb: String,
    /// Path of the resource, with braces.
    pub resource: String,
    /// Start of the path after the stage, as it came.
    pub prefix: String,
    /// A tag of the answer.
    pub tag: String,
}

/// How the answers of a method are cached.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct MethodCacheV1 {
    /// Path of the resource, with braces.
    pub path: String,
    /// Verb as configured, `ANY` included.
    pub verb: String,
    /// By which rules.
    pub mode: CacheModeV1,
    /// Life of an answer in [`CacheModeV1::Aws`], in seconds; at least 1.
    pub ttl_s: u32,
    /// Whether stored answers are encrypted on disk.
    pub is_encrypted: bool,
    /// Namespace of the keys.
    pub namespace: String,
    /// What of a request makes its key, besides its path, in [`CacheModeV1::Aws`].
    pub parameters: Vec<KeyParameterV1>,
    /// Who may have a stored answer replaced.
    pub refresh: RefreshV1,
}

/// By which rules answers are cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum CacheModeV1 {
    /// API Gateway's.
    #[default]
    Aws,
    /// Those of HTTP (RFC 9111).
    Http,
}

/// A parameter that belongs to the key.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum KeyParameterV1 {
    /// A parameter of the query, decoded name.
    Query(String),
    /// A header, in lower case.
    Header(String),
}

/// Who may have a stored answer replaced with `Cache-Control: max-age=0`, and what others get. AWS:
/// `requireAuthorizationForCacheControl`, `unauthorizedCacheControlHeaderStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum RefreshV1 {
    /// Everybody.
    Anyone,
    /// Signed callers; others are refused.
    SignedOrRefused,
    /// Signed callers; others get the stored answer and a warning.
    #[default]
    SignedOrWarned,
    /// Signed callers; others get the stored answer.
    SignedOrIgnored,
}

impl CachesV1 {
    /// Whether nothing is cached.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The framed bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Caches, CACHES_VERSION, &body)
    }

    /// Reads framed bytes.
    ///
    /// # Errors
    /// Any [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Caches, CACHES_VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_travel() {
        let method = MethodCacheV1 {
            path: "/pets/{id}".into(),
            verb: "GET".into(),
            mode: CacheModeV1::Aws,
            ttl_s: 300,
            is_encrypted: true,
            namespace: "abc123".into(),
            parameters: vec![KeyParameterV1::Query("page".into()), KeyParameterV1::Header("accept".into())],
            refresh: RefreshV1::SignedOrRefused,
        };
        let purge = PurgeV1 {
            sequence: 8,
            verb: "GET".into(),
            resource: "/pets/{id}".into(),
            prefix: "/pets".into(),
            tag: "t".into(),
        };
        let sample = CachesV1 {
            stages: vec![StageCacheV1 {
                api: "a".into(),
                stage: "prod".into(),
                bytes_max: 500_000_000,
                epoch: 4,
                sequence: 9,
                purges: vec![purge],
                serves_isolated: true,
                tells_always: false,
                shares_cookies: true,
                unkeyed_headers: vec!["x-tenant".into()],
                methods: vec![
                    method.clone(),
                    MethodCacheV1 { mode: CacheModeV1::Http, refresh: RefreshV1::Anyone, ..method },
                ],
            }],
        };
        let bytes = sample.encode().unwrap();
        assert_eq!(CachesV1::decode(&bytes).unwrap(), sample);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            include_str!("../../tests/golden/caches-v1.hex").trim(),
            "caches-v1 changed on disk: add a version instead of changing this one"
        );
        assert!(!sample.is_empty() && CachesV1::default().is_empty());
    }
}
