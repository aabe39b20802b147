//! Everything a node serves at one revision: immutable, shared by all shards, kept on disk as the last good state.

#[cfg(test)]
mod tests;

use std::{cmp::Ordering, sync::Arc};

use rkyv::rancor;
use tidegate_proto::{
    compiled::{
        ArchivedSnapshotV1, CertificateV1, CertificatesV1, SnapshotV1, VERSION, caches::CachesV1,
        limits::LimitsV1, links::LinksV1,
    },
    frame::{self, FrameError, HEADER_BYTES, Kind},
};

use crate::{Caches, Limits, Links, LoadError, StageTable, router};

/// The compiled configuration of a node. Unchanged stages are shared between snapshots.
pub struct Snapshot {
    revision: u64,
    applied: u64,
    region: String,
    account: String,
    /// First eight bytes of the API id, sorted, parallel to `stages`.
    heads: Box<[u64]>,
    stages: Box<[Arc<StageTable>]>,
    certificates: Box<[Arc<CertificateV1>]>,
    ticket_secret: Option<[u8; 32]>,
    limits: Arc<Limits>,
    caches: Arc<Caches>,
    links: Arc<Links>,
}

impl Snapshot {
    /// A snapshot of `stages`, at configuration revision `revision`, after log index `applied`.
    pub fn new(
        revision: u64,
        applied: u64,
        region: impl Into<String>,
        account: impl Into<String>,
        mut stages: Vec<Arc<StageTable>>,
    ) -> Self {
        stages.sort_by(|a, b| (a.api(), a.name()).cmp(&(b.api(), b.name())));
        stages.dedup_by(|a, b| (a.api(), a.name()) == (b.api(), b.name()));
        Self {
            revision,
            applied,
            region: region.into(),
            account: account.into(),
            heads: stages.iter().map(|stage| head_of(stage.api().as_bytes())).collect(),
            stages: stages.into_boxed_slice(),
            certificates: Box::default(),
            ticket_secret: None,
            limits: Arc::default(),
            caches: Arc::default(),
            links: Arc::default(),
        }
    }

    /// The same snapshot with limits, which must have been built for [`Self::stages`].
    #[must_use]
    pub fn with_limits(mut self, limits: Arc<Limits>) -> Self {
        self.limits = limits;
        self
    }

    /// Who may call how much.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// The same snapshot with caches, which must have been built for [`Self::stages`].
    #[must_use]
    pub fn with_caches(mut self, caches: Arc<Caches>) -> Self {
        self.caches = caches;
        self
    }

    /// Which answers may come from a cache.
    pub fn caches(&self) -> &Arc<Caches> {
        &self.caches
    }

    /// The same snapshot with VPC links, which must have been built for [`Self::stages`].
    #[must_use]
    pub fn with_links(mut self, links: Arc<Links>) -> Self {
        self.links = links;
        self
    }

    /// Where methods call that call through a VPC link.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// The same snapshot with the certificates of the data plane, and the secret behind its session tickets.
    #[must_use]
    pub fn with_certificates(
        mut self,
        mut certificates: Vec<Arc<CertificateV1>>,
        ticket_secret: Option<[u8; 32]>,
    ) -> Self {
        certificates.sort_by(|a, b| a.name.cmp(&b.name));
        self.certificates = certificates.into_boxed_slice();
        self.ticket_secret = ticket_secret;
        self
    }

    /// A snapshot without any API.
    pub fn empty(region: impl Into<String>, account: impl Into<String>) -> Self {
        Self::new(0, 0, region, account, Vec::new())
    }

    /// Revision of the configuration.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Last log index that went into it.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Region name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// 12-digit account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The stages, sorted by API and name.
    pub fn stages(&self) -> &[Arc<StageTable>] {
        &self.stages
    }

    /// The certificates, sorted by name.
    pub fn certificates(&self) -> &[Arc<CertificateV1>] {
        &self.certificates
    }

    /// What the keys of session tickets are derived from, once the cluster has it.
    pub fn ticket_secret(&self) -> Option<&[u8; 32]> {
        self.ticket_secret.as_ref()
    }

    /// The stage of an API; `index` is its place in [`Self::stages`].
    pub fn stage(&self, api: impl AsRef<[u8]>, stage: &str) -> Option<(usize, &Arc<StageTable>)> {
        let api = api.as_ref();
        let wanted = head_of(api);
        let (mut low, mut high) = (0, self.stages.len());
        while low < high {
            let middle = low.midpoint(high);
            let order = self.heads.get(middle)?.cmp(&wanted);
            let order = match order {
                Ordering::Equal => {
                    let have = self.stages.get(middle)?;
                    let (id, name) = (have.api().as_bytes(), have.name());
                    let is_it =
                        router::is_same(id, api) && router::is_same(name.as_bytes(), stage.as_bytes());
                    if is_it { Ordering::Equal } else { (id, name).cmp(&(api, stage)) }
                }
                decided => decided,
            };
            match order {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return self.stages.get(middle).map(|have| (middle, have)),
            }
        }
        None
    }

    /// The snapshot as bytes for disk: a head frame, then one frame per stage, then one of certificates when there is
    /// something in it. The bytes hold private keys.
    pub fn encode(&self) -> Result<Vec<u8>, LoadError> {
        let frames = self.stages.iter().map(|stage| stage.frame()).collect::<Result<Vec<_>, _>>()?;
        let head = SnapshotV1 {
            revision: self.revision,
            applied: self.applied,
            region: self.region.clone(),
            account: self.account.clone(),
            stage_bytes: frames.iter().map(|frame| frame.len() as u64).collect(),
        };
        let mut out = frame::seal(Kind::Snapshot, VERSION, &rkyv::to_bytes::<rancor::Error>(&head)?)?;
        frames.iter().for_each(|frame| out.extend_from_slice(frame));
        let limits = self.limits.compiled();
        let (caches, links) = (self.caches.compiled(), self.links.compiled());
        // What stands last may be absent; whatever stands before it may not.
        let has_caches = !caches.is_empty() || !links.is_empty();
        let has_limits = !limits.is_empty() || has_caches;
        if self.ticket_secret.is_some() || !self.certificates.is_empty() || has_limits {
            let certificates = self.certificates.iter().map(|certificate| CertificateV1::clone(certificate));
            let ticket_secret = self.ticket_secret;
            out.extend(CertificatesV1 { ticket_secret, certificates: certificates.collect() }.encode()?);
        }
        if has_limits {
            out.extend(limits.encode()?);
        }
        if has_caches {
            out.extend(caches.encode()?);
        }
        if !links.is_empty() {
            out.extend(links.encode()?);
        }
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote: the snapshot without limits, and what they are to be built from.
    pub fn decode(bytes: &[u8]) -> Result<(Self, LimitsV1), LoadError> {
        let (head, mut rest) = split_frame(bytes)?;
        let head = frame::open(Kind::Snapshot, VERSION, head)?;
        let head = rkyv::access::<ArchivedSnapshotV1, rancor::Error>(&head)?;
        let mut stages = Vec::with_capacity(head.stage_bytes.len());
        for length in head.stage_bytes.iter() {
            let length = usize::try_from(length.to_native()).unwrap_or(usize::MAX);
            let (frame, after) = rest.split_at_checked(length).ok_or_else(|| short(length, rest.len()))?;
            stages.push(Arc::new(StageTable::from_frame(frame)?));
            rest = after;
        }
        let (certificates, rest) = match rest {
            [] => (CertificatesV1::default(), rest),
            more => {
                let (frame, rest) = split_frame(more)?;
                (CertificatesV1::decode(frame)?, rest)
            }
        };
        let CertificatesV1 { ticket_secret, certificates } = certificates;
        let (limits, rest) = match rest {
            [] => (LimitsV1::default(), rest),
            more => {
                let (frame, rest) = split_frame(more)?;
                (LimitsV1::decode(frame)?, rest)
            }
        };
        let (caches, rest) = match rest {
            [] => (CachesV1::default(), rest),
            more => {
                let (frame, rest) = split_frame(more)?;
                (CachesV1::decode(frame)?, rest)
            }
        };
        let links = if rest.is_empty() { LinksV1::default() } else { LinksV1::decode(rest)? };
        let (revision, applied) = (head.revision.to_native(), head.applied.to_native());
        let snapshot = Self::new(revision, applied, head.region.as_str(), head.account.as_str(), stages);
        let certificates = certificates.into_iter().map(Arc::new).collect();
        let caches = Arc::new(Caches::build(Arc::new(caches), snapshot.stages()));
        let links = Arc::new(Links::build(Arc::new(links), snapshot.stages()));
        let snapshot = snapshot.with_certificates(certificates, ticket_secret);
        Ok((snapshot.with_caches(caches).with_links(links), limits))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { revision, stages, certificates, .. } = self;
        f.debug_struct("Snapshot")
            .field("revision", revision)
            .field("stages", &stages.len())
            .field("certificates", certificates)
            .finish_non_exhaustive()
    }
}

/// What an API id is searched by.
fn head_of(api: &[u8]) -> u64 {
    router::head(api, 0, api.len())
}

/// The first frame of some bytes, and what follows.
fn split_frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), LoadError> {
    let length = bytes.get(4..12).and_then(|field| field.try_into().ok()).map_or(0, u64::from_le_bytes);
    let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(HEADER_BYTES);
    bytes.split_at_checked(length).ok_or_else(|| short(length, bytes.len()))
}

fn short(want: usize, have: usize) -> LoadError {
    LoadError::Frame(FrameError::Short { have, want })
}
