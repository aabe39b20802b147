//! From replicated state to serving snapshot: compile what changed off the request threads, swap, keep a copy on disk.
//!
//! A stage that does not compile on this node keeps its last good table; the others are not held back by it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tidegate_gateway::{Caches, Limits, Links, Snapshot, StageTable, holders};
use tidegate_proto::{
    compiled::{CertificateV1, caches::CachesV1, limits::LimitsV1, links::LinksV1},
    document::{Certificate, Deployment, Stage, TicketSecret},
    key::{self, Key},
};
use tidegate_state::{Change, State};
use tidegate_throttle::Holders;
use tokio::sync::watch;

use crate::{caches, limits::compile, replica::Replica, upstreams};

/// File name of the serving snapshot in the data directory.
const SNAPSHOT_FILE: &str = "serving.snapshot";

/// What the publisher counts, for metrics and status.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Whether the data plane has a configuration of the cluster, from disk or from the log.
    pub(crate) serving: watch::Sender<bool>,
    /// Snapshots handed to the data plane.
    pub(crate) swaps: AtomicU64,
    /// Stages and certificates that kept their last good version because the new one cannot be used here.
    pub(crate) compile_failures: AtomicU64,
    /// Snapshot files that could not be written.
    pub(crate) persist_failures: AtomicU64,
}

/// Where snapshots go.
pub(crate) type Publish = Box<dyn Fn(Arc<Snapshot>) + Send>;
/// Resolves limits for stages; when it returns, requests may be held against them.
pub(crate) type Resolve = Box<dyn Fn(LimitsV1, &[Arc<StageTable>]) -> Arc<Limits> + Send>;

type Tables = BTreeMap<(String, String), Arc<StageTable>>;
type Certificates = BTreeMap<String, Arc<CertificateV1>>;

/// Turns applied states into snapshots, one at a time, newest wins.
pub(crate) struct Publisher {
    replica: Replica,
    place: Place,
    tables: Tables,
    certificates: Certificates,
    ticket_secret: Option<[u8; 32]>,
    /// The state that these were made from.
    seen: State,
    counters: Arc<Counters>,
    publish: Publish,
    resolve: Resolve,
    limits: Limited,
    /// What is cached, and whether it must be compiled again.
    caches: (Arc<CachesV1>, bool),
    /// Where methods call through VPC links, and whether it must be compiled again.
    links: (Arc<LinksV1>, bool),
    persist: watch::Sender<Option<Arc<Snapshot>>>,
}

/// What limits callers.
struct Limited {
    /// Who shares them.
    holders: watch::Receiver<Holders>,
    compiled: LimitsV1,
    /// Whether it must be compiled again.
    is_stale: bool,
}

impl Limited {
    /// Limits among another number of nodes are other limits, whoever noticed the change.
    fn count(&mut self, now: Holders) {
        self.is_stale |= holders(&self.compiled) != now;
    }
}

/// What every snapshot of this node carries.
struct Place {
    region: String,
    account: String,
}

impl Publisher {
    /// Goes on from `first`, the snapshot that is served already, and gets ready to follow the replica.
    pub(crate) fn new(
        replica: Replica,
        first: &Snapshot,
        folder: &Path,
        counters: Arc<Counters>,
        holders: watch::Receiver<Holders>,
        resolve: Resolve,
        publish: Publish,
    ) -> Self {
        let named =
            |table: &Arc<StageTable>| ((table.api().to_owned(), table.name().to_owned()), table.clone());
        let tables = first.stages().iter().map(named).collect();
        let certificates = first.certificates().iter().map(|one| (one.name.clone(), one.clone())).collect();
        let ticket_secret = first.ticket_secret().copied();
        let place = Place { region: first.region().to_owned(), account: first.account().to_owned() };
        let persist = watch::Sender::new(None);
        tokio::spawn(keep_on_disk(folder.to_owned(), persist.subscribe(), counters.clone()));
        let seen = State::default();
        let compiled = LimitsV1::clone(first.limits().compiled());
        let limits = Limited { holders, compiled, is_stale: true };
        let caches = (first.caches().compiled().clone(), true);
        let links = (first.links().compiled().clone(), true);
        Self {
            replica,
            place,
            tables,
            certificates,
            ticket_secret,
            seen,
            counters,
            publish,
            resolve,
            limits,
            caches,
            links,
            persist,
        }
    }

    /// Follows the replica until the task is dropped.
    pub(crate) async fn run(mut self) {
        let (mut changes, mut holders) = (self.replica.changes(), self.limits.holders.clone());
        loop {
            changes.borrow_and_update();
            self.limits.count(*holders.borrow_and_update());
            let applied = self.replica.load();
            if applied.index > 0 {
                self = match tokio::task::spawn_blocking(move || self.follow(applied.index, &applied.state))
                    .await
                {
                    Ok(this) => this,
                    Err(_) => return,
                };
            }
            let is_over = tokio::select! {
                changed = changes.changed() => changed.is_err(),
                changed = holders.changed() => changed.is_err(),
            };
            if is_over {
                return;
            }
        }
    }

    fn follow(mut self, index: u64, state: &State) -> Self {
        let is_same = self.seen.revision() == state.revision() && !self.limits.is_stale;
        if is_same && self.counters.swaps.load(Ordering::Relaxed) > 0 {
            return self;
        }
        let first = self.seen.revision() == 0;
        if first {
            // What came from disk and is gone from the log must not be served on.
            self.tables.retain(|(api, stage), _| state.get(&key::stage(api, stage)).is_some());
            self.certificates.retain(|name, _| state.get(&key::certificate(name)).is_some());
        }
        for change in state.changes_since(&self.seen) {
            self.take(state, &change);
        }
        self.seen = state.clone();
        let tables: Vec<Arc<StageTable>> = self.tables.values().cloned().collect();
        let Place { region, account } = &self.place;
        let snapshot = Snapshot::new(state.revision(), index, region, account, tables);
        let certificates = self.certificates.values().cloned().collect();
        if std::mem::take(&mut self.limits.is_stale) {
            self.limits.compiled = compile::compile(state, *self.limits.holders.borrow());
        }
        // Stages may have other methods now, so places are resolved again in any case.
        let limits = (self.resolve)(self.limits.compiled.clone(), snapshot.stages());
        let (caches, is_stale) = &mut self.caches;
        if std::mem::take(is_stale) {
            *caches = Arc::new(caches::compile::compile(state));
        }
        let caches = Arc::new(Caches::build(caches.clone(), snapshot.stages()));
        let links = self.links(state, &snapshot);
        let snapshot = snapshot.with_certificates(certificates, self.ticket_secret);
        let snapshot = snapshot.with_limits(limits).with_caches(caches).with_links(links);
        let snapshot = Arc::new(snapshot);
        (self.publish)(snapshot.clone());
        self.counters.swaps.fetch_add(1, Ordering::Relaxed);
        self.counters.serving.send_replace(true);
        self.persist.send_replace(Some(snapshot));
        self
    }

    fn links(&mut self, state: &State, snapshot: &Snapshot) -> Arc<Links> {
        let (links, is_stale) = &mut self.links;
        if std::mem::take(is_stale) {
            *links = Arc::new(upstreams::compile(state));
        }
        Arc::new(Links::build(links.clone(), snapshot.stages()))
    }

    fn take(&mut self, state: &State, change: &Change) {
        let (name, is_put) = match change {
            Change::Put { key, .. } => (key, true),
            Change::Delete { key } => (key, false),
        };
        self.limits.is_stale |= compile::concerns(name);
        self.caches.1 |= caches::compile::concerns(name);
        self.links.1 |= upstreams::concerns(name);
        match Key::parse(name) {
            Key::Stage { api, stage } if is_put => self.compile(state, api, stage),
            Key::Stage { api, stage } => drop(self.tables.remove(&(api.to_owned(), stage.to_owned()))),
            Key::Certificate { name } if is_put => self.load_certificate(state, name),
            Key::Certificate { name } => drop(self.certificates.remove(name)),
            Key::Cluster if **name == *key::TICKET_SECRET => {
                // An unreadable one changes nothing: tickets of the last good one stay valid.
                let read = state.read::<TicketSecret>(key::TICKET_SECRET).ok().flatten();
                self.ticket_secret = read.and_then(|read| read.document.secret()).or(self.ticket_secret);
            }
            _ => {}
        }
    }

    fn load_certificate(&mut self, state: &State, name: &str) {
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
                self.counters.compile_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "certificate is not readable here; its last good version stays");
            }
        }
    }

    fn compile(&mut self, state: &State, api: &str, stage: &str) {
        let slot = (api.to_owned(), stage.to_owned());
        match compiled(state, api, stage) {
            Ok(Some(table)) => drop(self.tables.insert(slot, Arc::new(table))),
            Ok(None) => drop(self.tables.remove(&slot)),
            Err(reason) => {
                self.counters.compile_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(api, stage, reason, "stage does not compile here; its last good table stays");
            }
        }
    }
}

fn compiled(state: &State, api: &str, stage: &str) -> Result<Option<StageTable>, String> {
    let text = |error: tidegate_state::table::Corrupt| error.to_string();
    let Some(stage) = state.stage(api, stage).map_err(text)? else { return Ok(None) };
    let stage: Stage = stage.document;
    let deployment = state.deployment(api, &stage.deployment_id).map_err(text)?;
    let deployment: Deployment =
        deployment.ok_or_else(|| format!("deployment {} does not exist", stage.deployment_id))?.document;
    StageTable::compile(&deployment.definition, &stage).map(Some).map_err(|error| error.to_string())
}

/// The snapshot kept on disk, when there is one that this version reads.
pub(crate) fn load(folder: &Path) -> Option<(Snapshot, LimitsV1)> {
    let path = folder.join(SNAPSHOT_FILE);
    let bytes = std::fs::read(&path).ok()?;
    match Snapshot::decode(&bytes) {
        Ok((snapshot, limits)) => {
            tracing::info!(
                revision = snapshot.revision(),
                stages = snapshot.stages().len(),
                "serving the snapshot on disk"
            );
            Some((snapshot, limits))
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the snapshot on disk is not usable; waiting for the log");
            None
        }
    }
}

/// Writes the newest snapshot; ones that are overtaken meanwhile are skipped.
async fn keep_on_disk(
    folder: PathBuf,
    mut newest: watch::Receiver<Option<Arc<Snapshot>>>,
    counters: Arc<Counters>,
) {
    while newest.changed().await.is_ok() {
        let Some(snapshot) = newest.borrow_and_update().clone() else { continue };
        let folder = folder.clone();
        let written = tokio::task::spawn_blocking(move || write(&folder, &snapshot)).await;
        if let Ok(Err(reason)) = written {
            counters.persist_failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(reason, "the serving snapshot is not on disk; a restart would wait for the log");
        }
    }
}

/// Durable replacement: partial file, fsync, rename, fsync of the directory.
fn write(folder: &Path, snapshot: &Snapshot) -> Result<(), String> {
    let bytes = snapshot.encode().map_err(|error| error.to_string())?;
    let path = folder.join(SNAPSHOT_FILE);
    let partial = path.with_extension("partial");
    let store = || -> std::io::Result<()> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        // The file holds private keys; a partial one of an earlier version may be open to others, so it is not reused.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, &path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    store().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limits_follow_the_number_of_nodes_once_a_change_was_waited_for() {
        let (sender, mut holders) = watch::channel(Holders::from(1));
        let compiled = LimitsV1 { holders: 1, ..LimitsV1::default() };
        let mut limits = Limited { holders: holders.clone(), compiled, is_stale: false };
        limits.count(*holders.borrow_and_update());
        assert!(!limits.is_stale);
        sender.send_replace(Holders::from(3));
        holders.changed().await.unwrap();
        limits.count(*holders.borrow_and_update());
        assert!(limits.is_stale);
    }
}
