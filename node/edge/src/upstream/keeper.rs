//! Looks after the upstreams of a node beside the requests: ends ejections, asks the resolver again, checks the targets of VPC links.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tidegate_proto::limits::{CHECKS_AT_ONCE_MAX, RESOLUTIONS_AT_ONCE_MAX};
use tidegate_upstream::{Streak, Turn};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    probe,
    shared::Upstreams,
    source::{Check, Origin, Source},
    tls::Tls,
};

/// How often it looks.
const TICK: Duration = Duration::from_millis(200);

/// What is known of the checks of one target.
#[derive(Default)]
struct Probed {
    streak: Streak,
    /// When the next one is due; none while one is under way.
    due: Option<Instant>,
    is_seen: bool,
}

type Name = (Origin, SocketAddr);

/// What became of a check.
type Checked = (Arc<Source>, SocketAddr, Result<(), String>);

/// The work under way.
struct Keeper {
    upstreams: Arc<Upstreams>,
    tls: Arc<Tls>,
    probed: HashMap<Name, Probed>,
    checks: JoinSet<Checked>,
    resolutions: JoinSet<()>,
}

/// Runs until it is dropped.
pub(crate) async fn keep(upstreams: Arc<Upstreams>, tls: Tls) {
    let mut keeper = Keeper {
        upstreams,
        tls: Arc::new(tls),
        probed: HashMap::new(),
        checks: JoinSet::new(),
        resolutions: JoinSet::new(),
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => keeper.look(),
            Some(Ok(checked)) = keeper.checks.join_next() => keeper.take(checked),
            Some(_) = keeper.resolutions.join_next() => {}
        }
    }
}

impl Keeper {
    fn look(&mut self) {
        self.upstreams.forget();
        let now_ms = self.upstreams.now_ms();
        self.probed.values_mut().for_each(|probed| probed.is_seen = false);
        for source in self.upstreams.all() {
            source.targets().sweep(now_ms);
            if source.is_due(now_ms) && self.resolutions.len() < RESOLUTIONS_AT_ONCE_MAX {
                source.put_off(now_ms);
                let asking = Arc::clone(&source);
                self.resolutions.spawn(async move {
                    if let Err(error) = asking.resolve().await {
                        tracing::warn!(upstream = &*asking.name, error, "no target is known");
                    }
                });
            }
            if let Some(check) = source.check() {
                self.check(&source, &check);
            }
        }
        self.probed.retain(|_, probed| probed.is_seen);
    }

    /// Begins the checks of a link's targets that are due.
    fn check(&mut self, source: &Arc<Source>, check: &Check) {
        let now = Instant::now();
        for target in source.targets().all() {
            let address = target.address();
            let name = (source.origin.clone(), address);
            let probed =
                self.probed.entry(name).or_insert_with(|| Probed { due: Some(now), ..Probed::default() });
            probed.is_seen = true;
            let is_due = probed.due.is_some_and(|due| due <= now);
            if !is_due || self.checks.len() >= CHECKS_AT_ONCE_MAX {
                continue;
            }
            probed.due = None;
            let (source, check, tls) = (Arc::clone(source), check.clone(), Arc::clone(&self.tls));
            self.checks.spawn(async move {
                let outcome = probe::probe(address, &check, &tls).await;
                (source, address, outcome)
            });
        }
    }

    fn take(&mut self, (source, address, outcome): Checked) {
        let Some(check) = source.check() else { return };
        let Some(probed) = self.probed.get_mut(&(source.origin.clone(), address)) else { return };
        probed.due = Some(Instant::now() + check.interval);
        let targets = source.targets();
        let Some(index) = targets.all().iter().position(|target| target.address() == address) else { return };
        if let Err(why) = &outcome {
            targets.note_check(index, why);
        }
        let was_out = targets.is_out(index);
        match probed.streak.note(outcome.is_ok()) {
            None => {}
            Some(turn) => targets.checked(index, turn == Turn::Up, check.asks_http()),
        }
        if targets.is_out(index) != was_out {
            let why = outcome.err().unwrap_or_default();
            tracing::warn!(upstream = &*source.name, target = %address, is_out = !was_out, why, "health of a target");
        }
    }
}
