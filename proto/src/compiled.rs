//! The compiled shape of one stage: what the data plane reads in place, from an archive.
//!
//! `gateway` builds and reads these; this module only fixes their layout. Every id is an index, so that the request
//! path follows numbers and compares bytes, and never hashes a string.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

pub mod caches;
pub mod limits;
pub mod links;

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest layout this program writes and reads.
pub const VERSION: u8 = 2;
/// Marks an absent index.
pub const NONE: u32 = u32::MAX;
/// Newest layout of [`CertificatesV1`] that this program writes and reads.
pub const CERTIFICATES_VERSION: u8 = 1;
/// Verbs in the order of the bits of [`NodeV1::verbs`]; `ANY` is last.
pub const VERBS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"];

/// A stage with its stage variables already substituted.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct StageV1 {
    /// Id of the REST API.
    pub api: String,
    /// Name of the REST API.
    pub api_name: String,
    /// Stage name.
    pub stage: String,
    /// Deployment that was compiled.
    pub deployment: String,
    /// Whether calls on the generated host name are refused.
    pub execute_api_disabled: bool,
    /// Media types handled as bytes.
    pub binary_media_types: Vec<String>,
    /// Stage variables, sorted by name.
    pub variables: Vec<(String, String)>,
    /// The path tree; index 0 is `/`.
    pub nodes: Vec<NodeV1>,
    /// First eight bytes of each edge after the prefix that its siblings share, big-endian, filled up with zeros.
    pub edge_heads: Vec<u64>,
    /// Static children, parallel to `edge_heads`: those of a node side by side and sorted by their texts.
    pub edges: Vec<EdgeV1>,
    /// Methods of the nodes that have several, those of a node side by side in the order of [`VERBS`].
    pub node_methods: Vec<u32>,
    /// Segment bytes, each segment once.
    pub text: String,
    /// Methods.
    pub methods: Vec<MethodV1>,
    /// Mapping template sources; parsed once when the stage is loaded.
    pub templates: Vec<String>,
    /// Selection patterns; compiled once when the stage is loaded.
    pub patterns: Vec<String>,
}

/// The serving snapshot on disk: this head, then one stage frame per length.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct SnapshotV1 {
    /// Configuration revision.
    pub revision: u64,
    /// Last log index that went into it.
    pub applied: u64,
    /// Region name.
    pub region: String,
    /// 12-digit account.
    pub account: String,
    /// Bytes of each stage frame that follows.
    pub stage_bytes: Vec<u64>,
}

/// What follows the stages in a serving snapshot on disk, when there is something to say: the data plane's certificates.
#[derive(Clone, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CertificatesV1 {
    /// What session-ticket keys are derived from: 32 bytes, or none.
    pub ticket_secret: Option<[u8; 32]>,
    /// All certificates, by name.
    pub certificates: Vec<CertificateV1>,
}

/// A certificate with its private key.
#[derive(Clone, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CertificateV1 {
    /// Name of its record.
    pub name: String,
    /// DNS names in lower case, `*.` ones included.
    pub dns_names: Vec<String>,
    /// The chain, PEM, leaf first.
    pub chain_pem: String,
    /// Private key of the leaf, PEM.
    pub key_pem: String,
    /// End of validity, in seconds since the Unix epoch.
    pub not_after_s: i64,
    /// When it was stored, in seconds since the Unix epoch.
    pub stored_s: i64,
}

impl std::fmt::Debug for CertificatesV1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificatesV1").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CertificateV1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateV1").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One path segment of the tree.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct NodeV1 {
    /// First static child among the edges.
    pub edges_start: u32,
    /// Number of static children.
    pub edges_len: u32,
    /// Child of `{name}`, or [`NONE`].
    pub parameter: u32,
    /// Child of `{name+}`, or [`NONE`].
    pub greedy: u32,
    /// Its method where it has one; where it has several, the place of the first among those of all nodes.
    pub methods: u32,
    /// Bytes that all static children share at their start.
    pub prefix_len: u16,
    /// A bit for each verb that has a method, in the order of [`VERBS`].
    pub verbs: u8,
}

/// A segment that has to be met as it is, and where it leads.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct EdgeV1 {
    /// Where the whole segment starts in the text.
    pub text_start: u32,
    /// Bytes of the whole segment.
    pub text_len: u32,
    /// The node.
    pub node: u32,
}

/// A method, ready to be called.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct MethodV1 {
    /// Id of the resource.
    pub resource: String,
    /// Path of the resource, with braces.
    pub resource_path: String,
    /// Verb as configured, `ANY` included.
    pub verb: String,
    /// Names of path parameters, in path order.
    pub path_parameters: Vec<String>,
    /// Whether a call needs an API key.
    pub api_key_required: bool,
    /// What is called.
    pub integration: IntegrationV1,
}

/// The three integration types of this version.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum IntegrationV1 {
    /// Answers from the templates alone.
    Mock {
        /// Chooses the response.
        request: BodyV1,
        /// Responses in match order; the default is last.
        responses: Vec<ResponseV1>,
    },
    /// Calls upstream and passes its answer through.
    HttpProxy {
        /// The call.
        call: CallV1,
    },
    /// Calls upstream and maps request and response.
    Http {
        /// The call.
        call: CallV1,
        /// Body of the call.
        request: BodyV1,
        /// Responses in match order; the default is last.
        responses: Vec<ResponseV1>,
    },
}

/// An upstream call.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct CallV1 {
    /// Verb, or empty to pass the client's verb (`ANY`).
    pub verb: String,
    /// Whether the upstream speaks TLS.
    pub tls: bool,
    /// Whether the upstream's certificate is taken unverified.
    pub tls_unverified: bool,
    /// Host and port when they are constant, else empty.
    pub authority: String,
    /// Path and query; the whole URI when the authority is not constant.
    pub uri: Vec<PartV1>,
    /// Whole time for the call, in milliseconds.
    pub timeout_ms: u32,
    /// Parameters set on the call.
    pub parameters: Vec<MappingV1>,
}

/// A piece of a URI.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum PartV1 {
    /// Bytes as they are.
    Literal(String),
    /// The value of a path parameter of the method, by its position in `path_parameters`.
    PathParameter(u32),
    /// The value of a path parameter of the call, by its position in `parameters`.
    Mapped(u32),
}

/// Sets one parameter of a call or a response.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct MappingV1 {
    /// Where the value goes.
    pub place: PlaceV1,
    /// Name there.
    pub name: String,
    /// Where the value comes from.
    pub source: SourceV1,
}

/// Where a mapped value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum PlaceV1 {
    /// A `{name}` of the URI.
    Path,
    /// The query string.
    Query,
    /// A header.
    Header,
    /// A header no mapping may set: a value for it fails the call.
    ForbiddenHeader,
}

/// Where a mapped value comes from.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum SourceV1 {
    /// `method.request.path.name`: position in `path_parameters`.
    Path(u32),
    /// `method.request.querystring.name`: the last value.
    Query(String),
    /// `method.request.multivaluequerystring.name`: all values.
    MultiQuery(String),
    /// `method.request.header.name` or `integration.response.header.name`: the last value.
    Header(String),
    /// The multi-value form: all values, joined by commas.
    MultiHeader(String),
    /// The whole body.
    Body,
    /// A JSONPath into the body.
    BodyPath(String),
    /// A constant, stage variables included.
    Constant(String),
    /// `context.path`.
    Variable(String),
}

/// How a body is made.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct BodyV1 {
    /// Content type → template index.
    pub templates: Vec<(String, u32)>,
    /// What happens without a matching template.
    pub passthrough: PassthroughV1,
}

/// AWS: `passthroughBehavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum PassthroughV1 {
    /// Passes the body when no template matches.
    WhenNoMatch,
    /// Passes the body only when there is no template at all.
    WhenNoTemplates,
    /// Never passes the body.
    Never,
}

/// An integration response.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct ResponseV1 {
    /// Selection pattern index, or [`NONE`] on the default.
    pub pattern: u32,
    /// Status sent to the client.
    pub status: u16,
    /// Headers set on the response.
    pub parameters: Vec<MappingV1>,
    /// Content type → template index; [`NONE`] passes the body through.
    pub templates: Vec<(String, u32)>,
}

impl CertificatesV1 {
    /// The framed bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Certificates, CERTIFICATES_VERSION, &body)
    }

    /// Reads framed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Certificates, CERTIFICATES_VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_certificates() {
        let certificate = CertificateV1 {
            name: "default".into(),
            dns_names: vec!["a.example.com".into(), "*.b.example.com".into()],
            chain_pem: "chain".into(),
            key_pem: "key".into(),
            not_after_s: 1_900_000_000,
            stored_s: 1_700_000_000,
        };
        let sample = CertificatesV1 { ticket_secret: Some([7; 32]), certificates: vec![certificate] };
        let bytes = sample.encode().unwrap();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            include_str!("../tests/golden/certificates-v1.hex").trim(),
            "certificates-v1 changed on disk: add a version instead of changing this one"
        );
        assert_eq!(CertificatesV1::decode(&bytes).unwrap(), sample);
        let shown = format!("{sample:?}");
        assert!(shown.contains("default") && !shown.contains("chain") && !shown.contains('7'), "{shown}");
    }
}
