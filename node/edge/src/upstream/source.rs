//! Where the targets of an upstream come from: an address, a name, or what a VPC link lists. Shared by all shards; owns the rule that
//! the last good list stays until there is a better one.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tidegate_proto::{
    compiled::links::{LinkCheckV1, LinkV1},
    document::TargetEntry,
    limits::{RESOLUTION_INTERVAL_MS, UPSTREAM_FORGOTTEN_MS},
};
use tidegate_telemetry::metrics::Counter;
use tidegate_upstream::{Resolution, Targets, Zones, adopt};

use super::resolve::Resolver;

/// What an upstream is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Host and port.
    Host(Box<str>, u16),
    /// Id of a VPC link.
    Link(Box<str>),
}

/// Where this node stands.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) az: Box<str>,
    pub(crate) zones: Zones,
    /// Origin of the clock.
    pub(crate) origin: Instant,
    pub(crate) resolver: Resolver,
    /// Zones that traffic is shifted away from.
    pub(crate) avoided: Mutex<Vec<String>>,
}

/// The targets of an upstream.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// As it is told: host and port, or the id of the link.
    pub(crate) name: Box<str>,
    /// Whether configuration names it; what requests name is not metered.
    pub(crate) is_configured: AtomicBool,
    /// Whether its link has gone: whoever calls through a link of this name gets another source.
    pub(crate) is_gone: AtomicBool,
    pub(crate) counts: Counts,
    place: Arc<Place>,
    targets: ArcSwap<Targets>,
    generation: AtomicU64,
    plan: Mutex<Plan>,
    try_timeout_ms: AtomicU32,
    /// Held while the resolver is asked.
    resolving: tokio::sync::Mutex<()>,
    resolve_at_ms: AtomicU64,
    resolved_ms: AtomicU64,
    used_ms: AtomicU64,
}

/// What calls to one upstream met.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) retries: Counter,
    pub(crate) unpaid: Counter,
    pub(crate) panics: Counter,
    pub(crate) spilled: Counter,
    pub(crate) ejections: Counter,
    pub(crate) capped: Counter,
    pub(crate) unresolved: Counter,
}

/// What it is made of.
#[derive(Debug, Default)]
struct Plan {
    link_name: String,
    entries: Vec<Entry>,
    check: Option<Check>,
    /// Why the last question to the resolver had no answer.
    unresolved: Option<String>,
}

/// How the health of its targets is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) kind: LinkCheckV1,
    pub(crate) interval: Duration,
    pub(crate) patience: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    az: String,
    entry: TargetEntry,
    /// What it led to last.
    known: Vec<SocketAddr>,
}

impl Place {
    /// Milliseconds since the origin.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn avoided(&self) -> Vec<String> {
        self.avoided.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source {
    /// An upstream without targets.
    fn empty(origin: Origin, name: Box<str>, place: &Arc<Place>) -> Self {
        let now_ms = place.now_ms();
        Self {
            origin,
            name,
            is_configured: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            counts: Counts::default(),
            place: Arc::clone(place),
            targets: ArcSwap::default(),
            generation: AtomicU64::new(0),
            plan: Mutex::default(),
            try_timeout_ms: AtomicU32::new(0),
            resolving: tokio::sync::Mutex::default(),
            resolve_at_ms: AtomicU64::new(0),
            resolved_ms: AtomicU64::new(0),
            used_ms: AtomicU64::new(now_ms),
        }
    }

    /// The addresses of a host.
    pub(crate) fn of_host(host: &str, port: u16, place: &Arc<Place>) -> Self {
        let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let source = Self::empty(Origin::Host(host.into(), port), name.into(), place);
        let entry = match host.parse::<IpAddr>() {
            Ok(address) => TargetEntry::Address(SocketAddr::new(address, port)),
            Err(_) => TargetEntry::Name { host: host.to_owned(), port },
        };
        source.set_entries(vec![(String::new(), entry)]);
        source
    }

    /// The targets of a VPC link, which are set by [`Self::follow`].
    pub(crate) fn of_link(id: &str, place: &Arc<Place>) -> Self {
        Self::empty(Origin::Link(id.into()), id.into(), place)
    }

    /// Takes on what a link lists.
    pub(crate) fn follow(&self, link: &LinkV1) {
        let entry = |target: &tidegate_proto::compiled::links::LinkTargetV1| {
            Some((target.az.clone(), target.entry.parse().ok()?))
        };
        let check = Check {
            kind: link.check.clone(),
            interval: Duration::from_secs(link.check_interval_s.max(1).into()),
            patience: Duration::from_secs(link.check_timeout_s.max(1).into()),
        };
        {
            let mut plan = self.plan();
            plan.link_name.clone_from(&link.name);
            plan.check = Some(check);
        }
        self.try_timeout_ms.store(link.try_timeout_ms, Relaxed);
        self.set_entries(link.targets.iter().filter_map(entry).collect());
    }

    /// Entries that stay keep what they led to.
    fn set_entries(&self, entries: Vec<(String, TargetEntry)>) {
        let mut plan = self.plan();
        let before = std::mem::take(&mut plan.entries);
        let entry = |(az, entry): (String, TargetEntry)| {
            let known = match &entry {
                TargetEntry::Address(address) => vec![*address],
                _ => before
                    .iter()
                    .find(|one| one.entry == entry)
                    .map(|one| one.known.clone())
                    .unwrap_or_default(),
            };
            Entry { az, entry, known }
        };
        plan.entries = entries.into_iter().map(entry).collect();
        if plan.entries != before {
            self.resolve_at_ms.store(0, Relaxed);
            self.rebuild(&plan);
        }
    }

    /// Makes a new list of what is known.
    fn rebuild(&self, plan: &Plan) {
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for entry in &plan.entries {
            for address in entry.known.iter().filter(|address| seen.insert(**address)) {
                let az = match entry.az.as_str() {
                    "" => self.place.zones.find(address.ip()),
                    az => az,
                };
                list.push((*address, az.to_owned()));
            }
        }
        let now_ms = self.place.now_ms();
        let targets = Arc::new(Targets::new(&self.place.az, &list, Some(&self.targets.load()), now_ms));
        targets.avoid(&self.place.avoided());
        self.targets.store(Arc::clone(&targets));
        // A shift that came meanwhile has found the list before.
        targets.avoid(&self.place.avoided());
        self.generation.fetch_add(1, AcqRel);
    }

    /// Asks the resolver for what is not known or old. One question at a time; whoever comes meanwhile takes part in its answer.
    ///
    /// # Errors
    /// Why there is no address at all.
    pub(crate) async fn resolve(&self) -> Result<(), String> {
        let asked_ms = self.place.now_ms();
        let _alone = self.resolving.lock().await;
        if self.resolved_ms.load(Acquire) > asked_ms {
            return self.known();
        }
        let wanted: Vec<TargetEntry> = self.plan().entries.iter().map(|one| one.entry.clone()).collect();
        let (mut last, mut is_new) = (None, false);
        for entry in wanted {
            let answer = match &entry {
                TargetEntry::Address(_) => continue,
                TargetEntry::Name { host, port } => self.place.resolver.host(host, *port).await,
                TargetEntry::Service(name) => self.place.resolver.service(name).await,
            };
            let found = answer.map_err(|error| last = Some(error)).ok();
            let mut plan = self.plan();
            let Some(known) = plan.entries.iter_mut().find(|one| one.entry == entry) else { continue };
            match adopt(&known.known, found) {
                Resolution::Same => {}
                Resolution::New(addresses) => (known.known, is_new) = (addresses, true),
                Resolution::Stale => {
                    self.counts.unresolved.increment();
                    last.get_or_insert_with(|| format!("cannot resolve {}: no address", self.name));
                }
            }
        }
        {
            let mut plan = self.plan();
            plan.unresolved = last;
            if is_new {
                self.rebuild(&plan);
            }
        }
        let now_ms = self.place.now_ms();
        self.resolved_ms.store(now_ms, Release);
        self.resolve_at_ms.store(now_ms + RESOLUTION_INTERVAL_MS, Relaxed);
        self.known()
    }

    /// Whether there are targets now, and why not.
    fn known(&self) -> Result<(), String> {
        if !self.targets.load().all().is_empty() {
            return Ok(());
        }
        let why = self.plan().unresolved.clone();
        Err(why.unwrap_or_else(|| format!("cannot resolve {}: no address", self.name)))
    }

    /// Whether nothing is known of it, and nobody can be asked.
    pub(crate) fn leads_nowhere(&self) -> bool {
        self.plan().entries.is_empty()
    }

    /// Whether it is time to ask the resolver: for those that are called.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.resolve_at_ms.load(Relaxed)
            && (matches!(self.origin, Origin::Link(_)) || !self.is_forgotten(now_ms))
            && self.plan().entries.iter().any(|one| !matches!(one.entry, TargetEntry::Address(_)))
    }

    /// Puts the next question off, as one is under way.
    pub(crate) fn put_off(&self, now_ms: u64) {
        self.resolve_at_ms.store(now_ms + RESOLUTION_INTERVAL_MS, Relaxed);
    }

    /// Has the resolver asked soon, as targets are not what they were.
    pub(crate) fn want_resolution(&self) {
        let soon_ms = self.resolved_ms.load(Relaxed) + 1_000;
        self.resolve_at_ms.fetch_min(soon_ms, Relaxed);
    }

    /// Counts the lists.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// The list.
    pub(crate) fn targets(&self) -> Arc<Targets> {
        self.targets.load_full()
    }

    /// Now, on the clock of ejections.
    pub(crate) fn now_ms(&self) -> u64 {
        self.place.now_ms()
    }

    /// It was called.
    pub(crate) fn note_use(&self) {
        self.used_ms.store(self.place.now_ms(), Relaxed);
    }

    /// Whether nobody has called it for long.
    pub(crate) fn is_forgotten(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.used_ms.load(Relaxed)) > UPSTREAM_FORGOTTEN_MS
    }

    /// How long the first of two tries may take, where that is set.
    pub(crate) fn try_timeout_ms(&self) -> Option<u32> {
        Some(self.try_timeout_ms.load(Relaxed)).filter(|ms| *ms > 0)
    }

    /// How its targets are checked, where they are.
    pub(crate) fn check(&self) -> Option<Check> {
        self.plan().check.clone()
    }

    /// Name of its link.
    pub(crate) fn link_name(&self) -> String {
        self.plan().link_name.clone()
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
