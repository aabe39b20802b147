//! Keeps the tables of a node up to date with a state: compiles what changed, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tidegate_gateway::{Caches, Limits, Links, Snapshot, StageTable, holders};
use tidegate_proto::{
    compiled::{CertificateV1, caches::CachesV1, limits::LimitsV1, links::LinksV1},
    document::{Certificate, Deployment, TicketSecret},
    key::{self, Key},
};
use tidegate_state::{Change, State};
use tidegate_throttle::Holders;

use crate::{caches, limits, links};

/// Resolves limits for stages; when it returns, requests may be held against them.
pub type Resolve<'a> = dyn Fn(LimitsV1, &[Arc<StageTable>]) -> Arc<Limits> + 'a;

/// API and stage.
type Slot = (String, String);

/// One node's compiled configuration on its way to the next snapshot.
pub struct Composer {
    region: String,
    account: String,
    az: String,
    tables: BTreeMap<Slot, Arc<StageTable>>,
    certificates: BTreeMap<String, Arc<CertificateV1>>,
    ticket_secret: Option<[u8; 32]>,
    /// The state that these were made from.
    seen: State,
    limits: LimitsV1,
    caches: Arc<CachesV1>,
    links: Arc<LinksV1>,
    is_stale: Stale,
    /// Stages whose newest version cannot be used here.
    failing: BTreeSet<Slot>,
    has_composed: bool,
    /// Of the snapshot that it goes on from.
    first_revision: u64,
}

/// What must be compiled again.
struct Stale {
    limits: bool,
    caches: bool,
    links: bool,
}

/// What a state means on this node.
pub struct Composed {
    /// To be served.
    pub snapshot: Arc<Snapshot>,
    /// Stages and certificates that kept their last good version this time.
    pub failures: u64,
}

impl Composer {
    /// Goes on from `first`, the snapshot that is served already, in availability zone `az`.
    pub fn new(first: &Snapshot, az: &str) -> Self {
        let named =
            |table: &Arc<StageTable>| ((table.api().to_owned(), table.name().to_owned()), table.clone());
        Self {
            region: first.region().to_owned(),
            account: first.account().to_owned(),
            az: az.to_owned(),
            tables: first.stages().iter().map(named).collect(),
            certificates: first.certificates().iter().map(|one| (one.name.clone(), one.clone())).collect(),
            ticket_secret: first.ticket_secret().copied(),
            seen: State::default(),
            limits: LimitsV1::clone(first.limits().compiled()),
            caches: first.caches().compiled().clone(),
            links: first.links().compiled().clone(),
            is_stale: Stale { limits: true, caches: true, links: true },
            failing: BTreeSet::new(),
            has_composed: false,
            first_revision: first.revision(),
        }
    }

    /// The snapshot of `state`, which is what the log made up to `index`, with limits shared among `holders`; `None` when the last one
    /// is that snapshot, or while the log has not caught up with what a restarted node serves from its disk: which entries are committed
    /// is not as durable as the entries, so for a moment, and without a quorum for longer, the log looks older than it was.
    pub fn compose(
        &mut self,
        index: u64,
        state: &State,
        holders_now: Holders,
        resolve: &Resolve<'_>,
    ) -> Option<Composed> {
        if state.revision() < self.first_revision {
            return None;
        }
        self.is_stale.limits |= holders(&self.limits) != holders_now;
        if self.has_composed && self.seen.revision() == state.revision() && !self.is_stale.limits {
            return None;
        }
        if self.seen.revision() == 0 {
            // What came from disk and is gone from the log must not be served on.
            self.tables.retain(|(api, stage), _| state.get(&key::stage(api, stage)).is_some());
            self.certificates.retain(|name, _| state.get(&key::certificate(name)).is_some());
        }
        let mut failures = 0;
        for change in state.changes_since(&self.seen) {
            failures += u64::from(!self.take(state, &change));
        }
        self.seen = state.clone();
        self.has_composed = true;
        let tables: Vec<Arc<StageTable>> = self.tables.values().cloned().collect();
        let snapshot = Snapshot::new(state.revision(), index, &self.region, &self.account, tables);
        if std::mem::take(&mut self.is_stale.limits) {
            self.limits = limits::compile(state, holders_now, &self.region, &self.az);
        }
        // Stages may have other methods now, so places are resolved again in any case.
        let limits = resolve(self.limits.clone(), snapshot.stages());
        if std::mem::take(&mut self.is_stale.caches) {
            self.caches = Arc::new(caches::compile(state, &self.region, &self.az));
        }
        let caches = Arc::new(Caches::build(self.caches.clone(), snapshot.stages()));
        if std::mem::take(&mut self.is_stale.links) {
            self.links = Arc::new(links::compile(state, &self.region, &self.az));
        }
        let links = Arc::new(Links::build(self.links.clone(), snapshot.stages()));
        let certificates = self.certificates.values().cloned().collect();
        let snapshot = snapshot.with_certificates(certificates, self.ticket_secret);
        let snapshot = Arc::new(snapshot.with_limits(limits).with_caches(caches).with_links(links));
        Some(Composed { snapshot, failures })
    }

    /// API and stage of those whose newest version cannot be used here, so that an older one is served.
    pub fn failing(&self) -> &BTreeSet<(String, String)> {
        &self.failing
    }

    /// Takes one change in; `false` when the last good version stays.
    fn take(&mut self, state: &State, change: &Change) -> bool {
        let (name, is_put) = match change {
            Change::Put { key, .. } => (key, true),
            Change::Delete { key } => (key, false),
        };
        self.is_stale.limits |= limits::concerns(name);
        self.is_stale.caches |= caches::concerns(name);
        self.is_stale.links |= links::concerns(name);
        match Key::parse(name) {
            Key::Stage { api, stage } if is_put => return self.compile(state, api, stage),
            Key::Stage { api, stage } => {
                let slot = (api.to_owned(), stage.to_owned());
                self.tables.remove(&slot);
                self.failing.remove(&slot);
            }
            Key::Certificate { name } if is_put => return self.load_certificate(state, name),
            Key::Certificate { name } => drop(self.certificates.remove(name)),
            Key::Cluster if **name == *key::TICKET_SECRET => {
                // An unreadable one changes nothing: tickets of the last good one stay valid.
                let read = state.read::<TicketSecret>(key::TICKET_SECRET).ok().flatten();
                self.ticket_secret = read.and_then(|read| read.document.secret()).or(self.ticket_secret);
            }
            _ => {}
        }
        true
    }

    fn load_certificate(&mut self, state: &State, name: &str) -> bool {
        match state.read::<Certificate>(&key::certificate(name)) {
            Ok(None) => drop(self.certificates.remove(name)),
            Ok(Some(read)) => {
                let Certificate { chain_pem, key_pem, dns_names, not_after, stored_date, .. } = read.document;
                let compiled = CertificateV1 {
                    name: name.to_owned(),
                    dns_names,
                    chain_pem,
                    key_pem,
                    not_after_s: not_after,
                    stored_s: stored_date,
                };
                self.certificates.insert(name.to_owned(), Arc::new(compiled));
            }
            Err(error) => {
                tracing::error!(%error, "certificate is not readable here; its last good version stays");
                return false;
            }
        }
        true
    }

    fn compile(&mut self, state: &State, api: &str, stage: &str) -> bool {
        let slot = (api.to_owned(), stage.to_owned());
        // A defect that one configuration meets must not keep the others from being served.
        let compiled = catch_unwind(AssertUnwindSafe(|| compiled(state, api, stage, &self.region, &self.az)));
        let reason = match compiled {
            Ok(Ok(Some(table))) => {
                self.tables.insert(slot.clone(), Arc::new(table));
                self.failing.remove(&slot);
                return true;
            }
            Ok(Ok(None)) => {
                self.tables.remove(&slot);
                self.failing.remove(&slot);
                return true;
            }
            Ok(Err(reason)) => reason,
            Err(_) => "compiling it panicked".to_owned(),
        };
        self.failing.insert(slot);
        tracing::error!(api, stage, reason, "stage does not compile here; its last good table stays");
        false
    }
}

fn compiled(
    state: &State,
    api: &str,
    stage: &str,
    region: &str,
    az: &str,
) -> Result<Option<StageTable>, String> {
    let text = |error: tidegate_state::table::Corrupt| error.to_string();
    let Some(stage) = state.stage(api, stage).map_err(text)? else { return Ok(None) };
    let stage = stage.document.served_in(region, az);
    let deployment = state.deployment(api, &stage.deployment_id).map_err(text)?;
    let deployment: Deployment =
        deployment.ok_or_else(|| format!("deployment {} does not exist", stage.deployment_id))?.document;
    StageTable::compile(&deployment.definition, &stage).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
