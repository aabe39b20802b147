//! The compiled shape of VPC links. Kept on disk behind the serving snapshot, so that a node that restarts alone reaches its targets.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest layout of [`LinksV1`] that this program writes and reads.
pub const LINKS_VERSION: u8 = 1;

/// All VPC links of a node, and the methods that call through them.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct LinksV1 {
    /// The links, by id.
    pub links: Vec<LinkV1>,
    /// Methods whose integration goes through a link.
    pub uses: Vec<LinkUseV1>,
}

/// A VPC link.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct LinkV1 {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it leads; nowhere when its tags cannot be read.
    pub targets: Vec<LinkTargetV1>,
    /// What a health check does.
    pub check: LinkCheckV1,
    /// Time between two checks of a target, in seconds.
    pub check_interval_s: u32,
    /// Time that a check may take, in seconds.
    pub check_timeout_s: u32,
    /// How long the first of two tries may take, in milliseconds; 0: half of the call's time.
    pub try_timeout_ms: u32,
}

/// A target, or several behind one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct LinkTargetV1 {
    /// Availability zone; empty where it is not known.
    pub az: String,
    /// As the tag writes it.
    pub entry: String,
}

/// What a health check does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum LinkCheckV1 {
    /// It connects.
    #[default]
    Tcp,
    /// It asks for a path in the clear.
    Http(String),
    /// It asks for a path over TLS.
    Https(String),
}

/// A method that calls through a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct LinkUseV1 {
    /// Id of the REST API.
    pub api: String,
    /// Stage name.
    pub stage: String,
    /// Path of the resource, with braces.
    pub path: String,
    /// Verb as configured, `ANY` included.
    pub verb: String,
    /// Id of the link, stage variables substituted; there may be no such link.
    pub link: String,
}

impl LinksV1 {
    /// Whether there are no links, and no methods that need one.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.uses.is_empty()
    }

    /// The framed bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Links, LINKS_VERSION, &body)
    }

    /// Reads framed bytes.
    ///
    /// # Errors
    /// Any [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Links, LINKS_VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_travel() {
        let target = |az: &str, entry: &str| LinkTargetV1 { az: az.into(), entry: entry.into() };
        let link = LinkV1 {
            id: "abc123".into(),
            name: "orders".into(),
            targets: vec![target("az-a", "10.1.0.7:8080"), target("", "srv:_http._tcp.orders.internal")],
            check: LinkCheckV1::Http("/up".into()),
            check_interval_s: 2,
            check_timeout_s: 1,
            try_timeout_ms: 250,
        };
        let sample = LinksV1 {
            links: vec![link.clone(), LinkV1 { check: LinkCheckV1::Https("/".into()), ..link }],
            uses: vec![LinkUseV1 {
                api: "a".into(),
                stage: "prod".into(),
                path: "/orders/{id}".into(),
                verb: "GET".into(),
                link: "abc123".into(),
            }],
        };
        let bytes = sample.encode().unwrap();
        assert_eq!(LinksV1::decode(&bytes).unwrap(), sample);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            include_str!("../../tests/golden/links-v1.hex").trim(),
            "links-v1 changed on disk: add a version instead of changing this one"
        );
        assert!(!sample.is_empty() && LinksV1::default().is_empty());
    }
}
