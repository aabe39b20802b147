//! One run: traffic, faults by the clock, everything undone, everything read back.

use std::{sync::PoisonError, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};

use super::{
    churn::Changes,
    clients::{Asking, Stream},
    error::StormError,
    evidence::{Evidence, Happened},
    finish, nemesis, progress,
    record::{Book, Class, Outcome},
    scenario::{Fault, Planned, Scenario},
    setup,
    stage::{self, Stage},
    stall::StallWatch,
    upstream::{self, Arrivals},
    world::World,
    writers::{Desk, End, Ledger, Working},
};
use crate::{
    clock::Span,
    lab::site::Site,
    limits::{POLL, RECOVERED, WELL},
};

/// What runs while faults happen.
pub(super) struct Traffic {
    pub(super) book: Book,
    pub(super) ledger: Ledger,
    pub(super) changes: Changes,
    pub(super) arrivals: Arrivals,
    stop: watch::Sender<bool>,
    streams: Vec<Stream>,
    desks: Vec<Working>,
}

/// Runs a scenario on a stage.
///
/// # Errors
/// It could not be run to its end; nothing is said about promises then.
pub(crate) async fn run(scenario: &Scenario, stage: &Stage) -> Result<Evidence, StormError> {
    let world = &stage.world;
    let stalls = StallWatch::start(world.clock);
    let (watching, watched) = watch::channel(false);
    let nodes: Vec<_> = world.fleet.nodes().iter().map(|node| (node.site, node.admin())).collect();
    let (watch, clock) = (world.watch.clone(), world.clock);
    let eyes = world.lab.space(Site::Observer).spawn(async move { watch.start(nodes, clock, &watched) });
    let _ = eyes.await;
    let traffic = Traffic::start(scenario, world).await;
    let begin_us = world.clock.now_us();
    world.note("traffic flows");
    let shown = show(world, &traffic);
    let happened = tokio::select! {
        happened = strike_all(scenario, world, begin_us) => happened?,
        () = shown => Vec::new(),
    };
    let healed_us = world.clock.now_us();
    world.note("everything is undone");
    let recovered_us = recover(world, &traffic, healed_us).await;
    sleep(Duration::from_secs(scenario.calm_s)).await;
    let span = Span { from_us: begin_us, to_us: world.clock.now_us() };
    traffic.finish().await;
    world.note("reading everything back");
    let findings = finish::read_back(world, &traffic).await;
    watching.send_replace(true);
    let first = happened.first().map(|one| one.span.from_us);
    let trouble = Span { from_us: first.unwrap_or(begin_us), to_us: healed_us };
    let late_p99_ms = stalls.late_p99_ms();
    let ceiling = scenario.layout.admitted_per_second;
    let capacity = (ceiling > 0).then(|| f64::from(ceiling) * world.fleet.nodes().len() as f64);
    Ok(finish::evidence(
        world,
        &traffic,
        finish::Course { span, trouble, recovered_us, happened, capacity, late_p99_ms },
        findings,
        stalls.stalls(),
    ))
}

/// Lets every fault happen at its time, several at once where they overlap, and undoes each.
async fn strike_all(scenario: &Scenario, world: &World, begin_us: u64) -> Result<Vec<Happened>, StormError> {
    let strikes = scenario.faults.iter().map(|planned| strike(world, planned, begin_us));
    let mut happened = Vec::new();
    for one in futures_util::future::join_all(strikes).await {
        happened.extend(one?);
    }
    sleep_until(world.clock.instant(begin_us + (scenario.lasts_s * 1e6) as u64).into()).await;
    happened.sort_by_key(|one: &Happened| one.span.from_us);
    Ok(happened)
}

async fn strike(world: &World, planned: &Planned, begin_us: u64) -> Result<Option<Happened>, StormError> {
    if let Some(obstacle) = stage::obstacle(world, &planned.fault) {
        world.journal().skipped.push(format!("{}: {obstacle}", planned.fault.name()));
        return Ok(None);
    }
    let at = |seconds: f64| world.clock.instant(begin_us + (seconds * 1e6) as u64);
    sleep_until(at(planned.at_s).into()).await;
    let mut nemesis = nemesis::of(planned);
    let from_us = world.clock.now_us();
    progress::say(from_us, &format!("{} begins", planned.fault.name()));
    let struck = nemesis.strike(world).await;
    if let Ok(told) = &struck {
        world.note(&**told);
    }
    if struck.is_ok() {
        sleep_until(at(planned.at_s + planned.for_s).into()).await;
    }
    let healed = nemesis.heal(world).await;
    let span = Span { from_us, to_us: world.clock.now_us() };
    let told = struck?;
    healed?;
    world.note(format!("{} is undone", planned.fault.name()));
    Ok(Some(Happened { fault: planned.fault.name(), told, span, unavailable_ms: 0.0 }))
}

/// Waits until every node answers and serves, every region's writes are acknowledged again, and no request has failed for a while.
async fn recover(world: &World, traffic: &Traffic, healed_us: u64) -> Option<u64> {
    let give_up = world.clock.instant(healed_us) + RECOVERED;
    let mut obstacle = String::new();
    while std::time::Instant::now() < give_up {
        let now_us = world.clock.now_us();
        match is_well(world, traffic, healed_us, now_us) {
            Ok(well_us) => {
                world.note("every node and every region is well");
                return Some(well_us);
            }
            Err(seen) => obstacle = seen,
        }
        sleep(POLL).await;
    }
    world.note(format!("not everything is well after {} s: {obstacle}", RECOVERED.as_secs()));
    None
}

/// When everything became well; what is not well otherwise.
fn is_well(world: &World, traffic: &Traffic, healed_us: u64, now_us: u64) -> Result<u64, String> {
    let mut well_us = healed_us;
    {
        let seen = world.watch.seen();
        let newest = seen.now.values().map(|sight| sight.revision).max().unwrap_or_default();
        for node in world.fleet.nodes() {
            let sight = seen.now.get(&node.site).filter(|s| s.answers && s.at_us >= healed_us);
            let sight = sight.ok_or_else(|| format!("{} does not answer", node.name))?;
            // While writes go on, a node may be some revisions behind the one that was looked at last.
            if sight.serving_revision + 50 < newest {
                return Err(format!("{} serves revision {} of {newest}", node.name, sight.serving_revision));
            }
        }
    }
    {
        let account = traffic.ledger.account();
        for region in 0..world.lab.extent.regions {
            let done = account.writes.iter().filter(|write| {
                write.region == region && write.end == End::Acknowledged && write.span.from_us >= healed_us
            });
            let writes = account.writes.iter().any(|write| write.region == region);
            let first = done.map(|write| write.span.to_us).min();
            match first {
                Some(first) => well_us = well_us.max(first),
                None if writes => return Err(format!("no write is acknowledged in region {}", region + 1)),
                None => {}
            }
        }
    }
    let pages = traffic.book.pages();
    let since_us = now_us.saturating_sub(WELL.as_micros() as u64);
    let recent = pages.records.iter().rev().take_while(|record| record.span.to_us >= since_us.min(healed_us));
    let failed = recent.filter(|r| r.class.is_judged() && r.outcome.is_error()).map(|r| r.span.to_us).max();
    match failed {
        Some(at_us) if at_us >= since_us => Err("requests failed a moment ago".into()),
        failed if now_us < healed_us + WELL.as_micros() as u64 => Err(format!("too early to say {failed:?}")),
        failed => Ok(well_us.max(failed.unwrap_or_default())),
    }
}

/// Shows figures of the moment until it is dropped.
async fn show(world: &World, traffic: &Traffic) {
    let mut last = 0;
    loop {
        sleep(Duration::from_millis(500)).await;
        let (right, failed) = {
            let pages = traffic.book.pages();
            let new = &pages.records[last..];
            let right = new.iter().filter(|record| record.outcome == Outcome::Right).count();
            let failed = new.iter().filter(|r| r.outcome.is_error()).count();
            last = pages.records.len();
            (right * 2, failed * 2)
        };
        let leader = world.watch.leader().map_or("nobody".into(), |site| site.to_string());
        let acknowledged = traffic.ledger.account().oracle.acknowledged;
        progress::show(&format!("{right} right/s, {failed} failed/s, {acknowledged} writes, {leader} leads"));
    }
}

impl Traffic {
    async fn start(scenario: &Scenario, world: &World) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut own = Self {
            book: Book::default(),
            ledger: Ledger::default(),
            changes: Changes::default(),
            arrivals: Arrivals::default(),
            stop,
            streams: Vec::new(),
            desks: Vec::new(),
        };
        upstream::start(&world.lab, world.clock, &own.arrivals);
        for region in 0..world.lab.extent.regions {
            own.ask(scenario, world, region).await;
            let desk = Desk {
                region,
                ways: setup::ways(&world.fleet, region),
                sets: world.apis.sets[usize::from(region)].clone(),
                register: world.apis.registers[usize::from(region)].clone(),
                registers: world.apis.registers.clone(),
                per_s: scenario.traffic.writes_per_second,
            };
            let (clock, ledger, stopped) = (world.clock, own.ledger.clone(), stopped.clone());
            let space = world.lab.space(Site::Clients { region });
            own.desks.extend(space.spawn(async move { desk.open(clock, ledger, &stopped) }).await);
        }
        let per_s = scenario.traffic.changes_per_second;
        if per_s > 0 {
            own.change(world, per_s);
        }
        own
    }

    /// Starts to change the churn's APIs, so often all together.
    fn change(&self, world: &World, per_s: u32) {
        let regions = 0..world.lab.extent.regions;
        let ways: Vec<_> = regions.flat_map(|region| setup::ways(&world.fleet, region)).collect();
        let apis = &world.apis.churn_apis;
        for (number, api) in apis.iter().enumerate() {
            let mut ways = ways.clone();
            let first = number % ways.len().max(1);
            ways.rotate_left(first);
            let (part, stopped) = (per_s.div_ceil(apis.len() as u32), self.stop.subscribe());
            let making = self.changes.clone().make(api.clone(), ways, part, world.clock, stopped);
            world.lab.space(Site::Observer).spawn(making);
        }
    }

    /// Starts the clients of a region.
    async fn ask(&mut self, scenario: &Scenario, world: &World, region: u8) {
        let (traffic, apis) = (&scenario.traffic, &world.apis);
        let nodes = world.fleet.nodes().iter().filter(|node| node.site.region() == Some(region));
        let doors: Vec<_> = nodes.map(|node| (node.site, node.gateway())).collect();
        let asking = |class, path: &str, per_s| {
            let post_percent = if class == Class::Get { traffic.post_percent } else { 0 };
            Asking { class, region, doors: doors.clone(), path: path.to_owned(), post_percent, per_s }
        };
        let mut all = vec![asking(Class::Get, &apis.echo, traffic.requests_per_second)];
        if traffic.changes_per_second > 0 {
            let part = traffic.requests_per_second.div_ceil(apis.churn_apis.len() as u32);
            all.extend(apis.churn_apis.iter().map(|api| asking(Class::Churn, &setup::path_of(api), part)));
        }
        if traffic.limited_per_second > 0 {
            all.push(asking(Class::Limited, &apis.limited, traffic.limited_per_second));
        }
        let floods = scenario.faults.iter().any(|planned| matches!(planned.fault, Fault::Overload { .. }));
        if floods {
            all.push(asking(Class::Flood, &apis.echo, traffic.requests_per_second));
        }
        for asking in all {
            let is_flood = asking.class == Class::Flood;
            let (clock, book, stopped) = (world.clock, self.book.clone(), self.stop.subscribe());
            let space = world.lab.space(Site::Clients { region });
            let Ok(stream) = space.spawn(async move { Stream::start(asking, clock, book, stopped) }).await
            else {
                continue;
            };
            if is_flood {
                world.floods.lock().unwrap_or_else(PoisonError::into_inner).push(stream.clone());
            }
            self.streams.push(stream);
        }
    }

    /// Stops everything and waits until the last request and the last write have their ends.
    async fn finish(&self) {
        self.stop.send_replace(true);
        for stream in &self.streams {
            stream.finish().await;
        }
        for desk in &self.desks {
            desk.finish().await;
        }
    }
}
