//! The upstreams of a node, shared by its shards: which there are, and what an operator sees of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

use tidegate_gateway::Links;
use tidegate_proto::{
    limits::UPSTREAMS_MAX,
    status::{UpstreamStatus, UpstreamTarget},
};
use tidegate_telemetry::metrics::{Counter, Encoder};
use tidegate_upstream::{Health, TargetView};

use super::source::{Counts, Origin, Place, Source};

/// All upstreams of a node.
#[derive(Debug)]
pub(crate) struct Upstreams {
    place: Arc<Place>,
    /// Shards come here once per upstream and snapshot, never for a request.
    sources: Mutex<BTreeMap<Origin, Arc<Source>>>,
}

impl Upstreams {
    pub(crate) fn new(place: Place) -> Self {
        Self { place: Arc::new(place), sources: Mutex::default() }
    }

    /// The upstream of a host. `is_configured` tells that configuration names it, and not a request.
    pub(crate) fn host(&self, host: &str, port: u16, is_configured: bool) -> Arc<Source> {
        let origin = Origin::Host(host.into(), port);
        let source = self.find(origin, || Source::of_host(host, port, &self.place));
        if is_configured {
            source.is_configured.store(true, Relaxed);
        }
        source
    }

    /// The upstream of a VPC link; one without targets where there is no such link.
    pub(crate) fn link(&self, id: &str) -> Arc<Source> {
        let source = self.find(Origin::Link(id.into()), || Source::of_link(id, &self.place));
        source.is_configured.store(true, Relaxed);
        source
    }

    /// Takes the links of a snapshot on.
    pub(crate) fn follow(&self, links: &Links) {
        for link in links.all() {
            self.link(&link.id).follow(link);
        }
        let is_gone = |source: &&Arc<Source>| match &source.origin {
            Origin::Link(id) => !links.all().iter().any(|link| *link.id == **id),
            Origin::Host(..) => false,
        };
        let gone: Vec<_> = self.sources().values().filter(is_gone).map(Arc::clone).collect();
        for source in gone {
            // Requests of the snapshot before go on to what it listed; nobody checks it any more.
            source.is_gone.store(true, Relaxed);
            self.sources().remove(&source.origin);
        }
    }

    /// Shifts traffic away from these zones, and from no others.
    pub(crate) fn avoid(&self, azs: &[&str]) {
        let azs: Vec<String> = azs.iter().map(|az| (*az).to_owned()).collect();
        *self.place.avoided.lock().unwrap_or_else(PoisonError::into_inner) = azs.clone();
        for source in self.all() {
            source.targets().avoid(&azs);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Source>> {
        self.sources().values().map(Arc::clone).collect()
    }

    /// Forgets those that nobody calls.
    pub(crate) fn forget(&self) {
        let now_ms = self.place.now_ms();
        self.sources().retain(|origin, source| {
            matches!(origin, Origin::Link(_)) || Arc::strong_count(source) > 1 || !source.is_forgotten(now_ms)
        });
    }

    /// Now, on the clock of ejections.
    pub(crate) fn now_ms(&self) -> u64 {
        self.place.now_ms()
    }

    /// What an operator sees.
    pub(crate) fn describe(&self) -> Vec<UpstreamStatus> {
        let now_ms = self.now_ms();
        self.all().iter().map(|source| describe(source, now_ms)).collect()
    }

    /// Metrics of the upstreams that configuration names.
    pub(crate) fn sample(&self, encoder: &mut Encoder) {
        for source in self.all().iter().filter(|source| source.is_configured.load(Relaxed)) {
            let labels = [("upstream", &*source.name)];
            let targets = source.targets();
            let (healthy, ejected) = targets.counts();
            let mut gauge = |name, help, value: u32| encoder.gauge(name, help, &labels, f64::from(value));
            gauge("upstream_healthy_targets", "Targets that calls go to", healthy);
            gauge("upstream_ejected_targets", "Targets that are left out for what calls met there", ejected);
            let panic = u32::from(targets.standing().is_panic);
            gauge("upstream_panic", "1 while too few targets are healthy, so that calls go to all", panic);
            for (name, help, counter) in counters(&source.counts) {
                encoder.counter(name, help, &labels, counter.value());
            }
        }
    }

    fn find(&self, origin: Origin, make: impl FnOnce() -> Source) -> Arc<Source> {
        let mut sources = self.sources();
        if let Some(known) = sources.get(&origin) {
            return Arc::clone(known);
        }
        let source = Arc::new(make());
        if sources.len() < UPSTREAMS_MAX {
            sources.insert(origin, Arc::clone(&source));
        }
        source
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<Origin, Arc<Source>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counters(counts: &Counts) -> [(&'static str, &'static str, &Counter); 7] {
    let Counts { retries, unpaid, panics, spilled, ejections, capped, unresolved } = counts;
    [
        ("upstream_retries", "Calls that were made again", retries),
        (
            "upstream_retry_budget_exhausted",
            "Calls that were not made again, as the budget was used up",
            unpaid,
        ),
        (
            "upstream_panic_picks",
            "Targets that were chosen whatever their health, as too few are healthy",
            panics,
        ),
        (
            "upstream_spilled_picks",
            "Targets that were chosen in another zone for want of some in this one",
            spilled,
        ),
        ("upstream_ejections", "Targets that became outliers", ejections),
        ("upstream_ejections_capped", "Outliers that stayed, as half of the targets were out", capped),
        (
            "upstream_unresolved",
            "Questions to the resolver without an answer; the last good one stays",
            unresolved,
        ),
    ]
}

fn describe(source: &Source, now_ms: u64) -> UpstreamStatus {
    let Counts { retries, unpaid, panics, spilled, .. } = &source.counts;
    let targets = source.targets();
    UpstreamStatus {
        upstream: source.name.to_string(),
        kind: match source.origin {
            Origin::Host(..) => "host",
            Origin::Link(_) => "vpc-link",
        }
        .into(),
        link_name: source.link_name(),
        panic: targets.standing().is_panic,
        retries: retries.value(),
        retry_budget_exhausted: unpaid.value(),
        panic_picks: panics.value(),
        spilled_picks: spilled.value(),
        targets: targets.describe(now_ms).into_iter().map(target).collect(),
    }
}

fn target(view: TargetView) -> UpstreamTarget {
    let (state, ejected_for_ms) = match view.health {
        _ if view.is_avoided => ("shifted", None),
        Health::Healthy => ("healthy", None),
        Health::Failing => ("failing", None),
        Health::Ejected(for_ms) => ("ejected", Some(for_ms)),
    };
    UpstreamTarget {
        address: view.address.to_string(),
        az: view.az,
        state: state.into(),
        ejected_for_ms,
        ejections: view.ejections,
        failures: view.failures,
        outstanding: view.outstanding,
        last_error: view.last_error,
    }
}
