//! From the certificates of a snapshot to what TLS listeners serve. Keys are loaded here, off the request threads; one that
//! cannot be used on this node leaves its last good version in place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rand::RngCore;
use tidegate_gateway::Snapshot;
use tidegate_listener::tls::{Certificates, Identity, Settings, Table, Tickets};
use tidegate_proto::compiled::CertificateV1;

/// Name of the certificate that also answers clients that name no known host.
const DEFAULT: &str = "default";

/// Keeps the TLS settings of all shards equal to the newest snapshot.
pub(crate) struct Keeper {
    settings: Settings,
    /// Publishers only; a handshake never takes it.
    served: Mutex<Served>,
}

/// What the settings were made from.
#[derive(Default)]
struct Served {
    certificates: BTreeMap<String, Loaded>,
    ticket_secret: Option<[u8; 32]>,
}

/// A certificate with its key in usable form.
#[derive(Clone)]
struct Loaded {
    source: Arc<CertificateV1>,
    identity: Identity,
}

impl Keeper {
    /// Settings that follow `first`. Until the cluster has a ticket secret, tickets are good for this process alone.
    pub(crate) fn new(first: &Snapshot) -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let tickets = Tickets::new(&secret, first.region());
        let settings = Settings { certificates: Certificates::default(), tickets };
        let keeper = Self { settings, served: Mutex::default() };
        keeper.follow(first);
        keeper
    }

    /// What listeners are given; it follows along.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Serves what `snapshot` says from the next handshake on.
    pub(crate) fn follow(&self, snapshot: &Snapshot) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) =
            snapshot.ticket_secret().filter(|new| served.ticket_secret.as_ref() != Some(*new))
        {
            self.settings.tickets.replace(secret);
            served.ticket_secret = Some(*secret);
        }
        let wanted = snapshot.certificates();
        let is_served = |new: &Arc<CertificateV1>| {
            served.certificates.get(&new.name).is_some_and(|have| have.source == *new)
        };
        if wanted.len() == served.certificates.len() && wanted.iter().all(is_served) {
            return;
        }
        let loaded = wanted.iter().filter_map(|new| load(new, served.certificates.get(&new.name)));
        let certificates = loaded.map(|loaded| (loaded.source.name.clone(), loaded)).collect();
        self.settings.certificates.replace(table(&certificates));
        served.certificates = certificates;
    }
}

/// The usable form of a certificate, or its last good version.
fn load(new: &Arc<CertificateV1>, last: Option<&Loaded>) -> Option<Loaded> {
    if let Some(last) = last.filter(|last| last.source == *new) {
        return Some(last.clone());
    }
    match Identity::from_pem(new.chain_pem.as_bytes(), new.key_pem.as_bytes()) {
        Ok(identity) => Some(Loaded { source: Arc::clone(new), identity }),
        Err(error) => {
            tracing::error!(certificate = new.name, %error, "certificate cannot be served here; its last good version stays");
            last.cloned()
        }
    }
}

/// Of two certificates for one host name the one stored later is served.
fn table(certificates: &BTreeMap<String, Loaded>) -> Table {
    let mut table = Table::default();
    let mut by_age: Vec<&Loaded> = certificates.values().collect();
    by_age.sort_by_key(|loaded| loaded.source.stored_s);
    for loaded in by_age {
        for name in &loaded.source.dns_names {
            table.insert(name, &loaded.identity);
        }
    }
    if let Some(loaded) = certificates.get(DEFAULT) {
        table.set_default(&loaded.identity);
    }
    table
}
