//! `storm limits`: rate limits and quotas under more traffic than they allow, while leaders and zones die and links are cut.

mod bucket;
mod client;
mod judge;
mod plan;
mod promise;
mod report;
mod setup;
mod upstream;
mod wire;

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{Scenario, StormOptions, put_away};
use crate::{
    clock::{Clock, Span},
    exchange::{address, get_once},
    limits::{LEADERS_SPREAD, POLL, REASONS, REQUEST, RUSH, USED_UP, WRITTEN_DOWN},
    nemesis::AzPowerLoss,
    region::{Region, RegionError, RegionOptions},
};
use client::{Asking, Stream, Tally};
use judge::{Evidence, Phase, Stage};
use plan::{AZS, Law, Limit, Part, RUSH_PER_S, Times, limits};
use promise::{Measured, verdicts};
pub(crate) use report::LimitsReport;
use report::{Delay, QuotaRow};
use setup::{Entrance, Usage};
use upstream::Upstream;

/// Rounds of faults when nothing else is said.
pub(super) const ROUNDS: u32 = 1;
/// Length of calm phases in seconds when nothing else is said.
pub(super) const CALM_S: u64 = 12;

/// Shown by `chaos describe limits`.
pub(super) const DESCRIPTION: &str = "\
Starts a development region of its own: 3 availability zones, one node process each, whose traffic with each
other goes through links that this program can cut. Configures an API with a stage for each limit: a large and
a small rate limit, the same with the tag tidegate:strict, two quotas, and three limits with a modest client
each. Clients in every zone ask the zone's own gateway for 3 to 5 times what a limit allows, by the clock,
unevenly over the zones; the upstream, in this program, notes each request that was admitted.

Phases: the first requests; steady; then in each round the leader of a shard of the ledger is killed with
SIGKILL and started again after 2 s, a zone is killed and started again after 6 s, a zone is cut off from the
others while clients and upstream reach it, and mended. In the end the second quota is used up in a rush.

A request was admitted between its sending and its arrival at the upstream. A limit is broken when a window of
time holds more whole lives of requests than burst + rate x time: no delay, and no clock but one, is assumed.
Fill is what was admitted, in percent of what one bucket would have admitted of the same requests.

Not covered: limits that span regions, several nodes in a zone, a cut in one direction, clocks that run apart.";

/// One run in progress.
struct Run {
    region: Region,
    clock: Clock,
    limits: Vec<Limit>,
    entrances: Vec<Entrance>,
    upstream: Upstream,
    streams: Vec<Stream>,
    phases: Vec<Phase>,
    /// When a zone was down: from the kill until it was seen ready.
    outages: Vec<(usize, Span)>,
    stop: watch::Sender<bool>,
    /// Newest terms of the ledger's shards that a node told.
    terms: [u64; SHARDS],
}

/// Shards of the ledger of a region.
const SHARDS: usize = tidegate_throttle::SHARDS;

pub(super) async fn run(options: &StormOptions) -> Result<LimitsReport, RegionError> {
    let region_options = RegionOptions {
        program: options.program.clone(),
        data: options.data.clone(),
        azs: AZS as u16,
        linked: true,
    };
    eprintln!("storm limits: seed {}, starting a region of {AZS} zones", options.seed);
    let region = Region::start(&region_options).await?;
    let times = Times::new(options.calm_s.unwrap_or(CALM_S));
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let mut run = Run::start(region, limits(times.total(rounds))).await?;
    let report = match run.storm(&times, rounds, options.seed).await {
        Ok(()) => Ok(run.conclude(options, rounds, &times).await),
        Err(error) => Err(error),
    };
    put_away(run.region, options.keep, report.as_ref().is_ok_and(|report| report.kept)).await;
    report
}

impl Run {
    /// Configures the limits and starts the clients.
    async fn start(region: Region, limits: Vec<Limit>) -> Result<Self, RegionError> {
        let clock = Clock::start();
        let names = limits.iter().map(|limit| limit.name.to_owned()).collect();
        let system = |reason| RegionError::System { what: "the upstream".into(), reason };
        let upstream = Upstream::start(clock, names).await.map_err(system)?;
        let entrances = setup::configure(&region, &limits, upstream.address).await?;
        let (stop, _) = watch::channel(false);
        let (streams, phases, outages) = (Vec::new(), Vec::new(), Vec::new());
        let terms = [0; SHARDS];
        let mut run =
            Self { region, clock, limits, entrances, upstream, streams, phases, outages, stop, terms };
        run.await_leaders().await;
        run.elections().await;
        for limit in 0..run.limits.len() {
            run.ask(limit, |limit, az| limit.asked_in(az))?;
        }
        Ok(run)
    }

    /// Starts clients of a limit in every zone.
    fn ask(&mut self, limit: usize, per_s: impl Fn(&Limit, usize) -> u32) -> Result<(), RegionError> {
        let (Some(plan), Some(entrance)) = (self.limits.get(limit), self.entrances.get(limit)) else {
            return Ok(());
        };
        for (az, node) in self.region.dev.nodes.iter().enumerate() {
            let unusable = || RegionError::Slow {
                what: node.gateway.clone(),
                seconds: 0,
                seen: "not an address".into(),
            };
            let asking = Asking {
                limit,
                az,
                address: address(&node.gateway).ok_or_else(unusable)?,
                path: entrance.path.clone(),
                api_key: entrance.key.as_ref().map(|key| key.value.clone()),
                per_s: per_s(plan, az),
            };
            if asking.per_s > 0 {
                let number = self.streams.len() as u32;
                self.streams.push(Stream::start(number, asking, self.clock, self.stop.subscribe()));
            }
        }
        Ok(())
    }

    async fn storm(&mut self, times: &Times, rounds: u32, seed: u64) -> Result<(), RegionError> {
        let mut random = StdRng::seed_from_u64(seed);
        self.calm(Stage::Cold, "all clients begin at once", None, times.cold).await;
        self.calm(Stage::Steady, "", None, times.calm).await;
        for round in 0..rounds {
            let shard = self.busy_shard(round);
            let leader = self.leader_of(shard).await;
            let az = leader.unwrap_or_else(|| random.random_range(0..AZS));
            let leads = if leader.is_some() { "leads" } else { "may lead" };
            let what = format!("{leads} shard {shard} of the ledger");
            self.lose(Stage::Leader, az, &what, times.down_leader, times.loss).await?;
            let az = (az + random.random_range(1..AZS)) % AZS;
            self.lose(Stage::Zone, az, "the whole zone", times.down_az, times.loss).await?;
            self.cut(random.random_range(0..AZS), times).await;
        }
        Ok(())
    }

    /// Lets time pass.
    async fn calm(&mut self, stage: Stage, what: &str, az: Option<usize>, length: Duration) {
        let from_us = self.clock.now_us();
        sleep_until(Instant::from_std(self.clock.instant(from_us) + length)).await;
        self.end_phase(stage, what.to_owned(), az, from_us).await;
    }

    async fn end_phase(&mut self, stage: Stage, what: String, az: Option<usize>, from_us: u64) {
        let span = Span { from_us, to_us: self.clock.now_us() };
        let elections = self.elections().await;
        eprintln!("{:>6.1} s  {stage:?} {what}", judge::seconds(span));
        self.phases.push(Phase { stage, what, az, elections, span });
    }

    /// Kills the node of a zone, starts it again after `down`, and lets `length` pass since the kill.
    async fn lose(
        &mut self,
        stage: Stage,
        az: usize,
        what: &str,
        down: Duration,
        length: Duration,
    ) -> Result<(), RegionError> {
        let name = self.zone(az);
        let outage = AzPowerLoss::strike(&self.region, &name, self.clock).await?;
        let from_us = outage.killed_us;
        let killed = Instant::from_std(self.clock.instant(from_us));
        sleep_until(killed + down).await;
        let back = outage.heal(&self.region, self.clock, |_| ()).await?;
        self.outages.push((az, Span { from_us, to_us: back.ready_us }));
        sleep_until(killed + length).await;
        let away_s = back.ready_us.saturating_sub(from_us) as f64 / 1e6;
        self.end_phase(
            stage,
            format!("kill -9 {name} ({what}), ready after {away_s:.1} s"),
            Some(az),
            from_us,
        )
        .await;
        Ok(())
    }

    /// Cuts a zone off, and mends it.
    async fn cut(&mut self, az: usize, times: &Times) {
        let name = self.zone(az);
        self.region.links().inspect(|links| links.isolate(az));
        self.calm(Stage::Cut, &format!("{name} is cut off from the other zones"), Some(az), times.calm).await;
        self.region.links().inspect(|links| links.mend());
        self.calm(Stage::Mended, &format!("{name} is back"), Some(az), times.mended).await;
    }

    fn zone(&self, az: usize) -> String {
        self.region.dev.nodes.get(az).map(|node| node.az.clone()).unwrap_or_default()
    }

    /// The shard that keeps a short limit: another limit's in each round.
    fn busy_shard(&self, round: u32) -> usize {
        let shards: Vec<usize> = self
            .limits
            .iter()
            .zip(&self.entrances)
            .filter(|(limit, _)| limit.part == Part::Short)
            .filter_map(|(_, entrance)| entrance.key.as_ref().map(setup::PlanKey::shard))
            .collect();
        shards.get(round as usize % shards.len().max(1)).copied().unwrap_or(0)
    }

    /// The zone whose node says that it leads a shard of the ledger.
    async fn leader_of(&self, shard: usize) -> Option<usize> {
        let told = self.samples(&format!("tidegate_raft_is_leader{{group=\"ledger-{shard}\"}} ")).await;
        told.into_iter().find(|(_, value)| *value == 1.0).map(|(az, _)| az)
    }

    /// Waits until every shard of the ledger is led in a zone of its own, as a region arranges it some time after its start.
    async fn await_leaders(&self) {
        let deadline = Instant::now() + LEADERS_SPREAD;
        while Instant::now() < deadline {
            let mut zones = Vec::new();
            for shard in 0..SHARDS {
                zones.extend(self.leader_of(shard).await);
            }
            zones.sort_unstable();
            zones.dedup();
            if zones.len() == SHARDS.min(AZS) {
                return;
            }
            sleep(POLL * 5).await;
        }
        eprintln!("the leaders of the ledger are not spread over the zones; going on");
    }

    /// By how many terms the shard with the most has moved on since this was asked last.
    async fn elections(&mut self) -> u64 {
        let mut most = 0;
        for shard in 0..SHARDS {
            let told = self.samples(&format!("tidegate_raft_term{{group=\"ledger-{shard}\"}} ")).await;
            let newest = told.into_iter().map(|(_, value)| value as u64).max().unwrap_or(0);
            if let Some(known) = self.terms.get_mut(shard) {
                most = most.max(newest.saturating_sub(*known));
                *known = newest.max(*known);
            }
        }
        most
    }

    /// The zones whose nodes show a metric that begins like this, each with its value.
    async fn samples(&self, prefix: &str) -> Vec<(usize, f64)> {
        let mut found = Vec::new();
        for (az, node) in self.region.dev.nodes.iter().enumerate() {
            let Some(admin) = address(&node.admin) else { continue };
            let Some((_, page)) = get_once(admin, "/metrics", REQUEST).await else { continue };
            let value = |line: &str| line.strip_prefix(prefix).and_then(|value| value.trim().parse().ok());
            found.extend(String::from_utf8_lossy(&page).lines().find_map(value).map(|value| (az, value)));
        }
        found
    }

    /// Ends the streams, uses the late quota up, and waits until that is written down.
    async fn use_up(&mut self) -> Result<Vec<QuotaRow>, RegionError> {
        self.stop_streams().await;
        let part = |part| self.limits.iter().position(|limit| limit.part == part).unwrap_or(usize::MAX);
        let (early, late) = (part(Part::EarlyQuota), part(Part::LateQuota));
        self.stop.send_replace(false);
        self.ask(late, |_, _| RUSH_PER_S)?;
        let (deadline, mut grown, mut seen) = (Instant::now() + RUSH, Instant::now(), 0);
        while Instant::now() < deadline && grown.elapsed() < USED_UP {
            let count = self.upstream.count(late);
            if count != seen {
                (seen, grown) = (count, Instant::now());
            }
            sleep(POLL).await;
        }
        self.stop_streams().await;
        let mut rows = Vec::new();
        for limit in [early, late] {
            rows.extend(self.quota_row(limit, limit == early).await);
        }
        Ok(rows)
    }

    async fn stop_streams(&mut self) {
        self.stop.send_replace(true);
        for stream in &mut self.streams {
            stream.finish().await;
        }
    }

    async fn quota_row(&self, place: usize, is_early: bool) -> Option<QuotaRow> {
        let (limit, entrance) = (self.limits.get(place)?, self.entrances.get(place)?);
        let (Law::Quota(quota), Some(key)) = (limit.law, entrance.key.as_ref()) else { return None };
        let admitted = self.upstream.admitted().get(place).cloned().unwrap_or_default();
        let count = admitted.len() as u64;
        let deadline = Instant::now() + WRITTEN_DOWN;
        let usage = loop {
            let usage =
                setup::usage(&self.region, key).await.unwrap_or(Usage { used: 0, remaining: u64::MAX });
            if Instant::now() > deadline || usage.used >= count && usage.remaining == 0 {
                break usage;
            }
            sleep(POLL).await;
        };
        let steady = self.phases.iter().find(|phase| phase.stage == Stage::Steady);
        let by_steady = steady.filter(|_| is_early).map(|phase| {
            admitted.iter().filter(|request| request.arrived_us <= phase.span.to_us).count() as u64
        });
        let Usage { used, remaining } = usage;
        Some(QuotaRow { quota: limit.name, limit: quota.into(), by_steady, admitted: count, used, remaining })
    }

    async fn conclude(&mut self, options: &StormOptions, rounds: u32, times: &Times) -> LimitsReport {
        let seconds = Duration::from_micros(self.clock.now_us()).as_secs_f64();
        let quotas = self.use_up().await.unwrap_or_default();
        let admitted = self.upstream.admitted();
        let delays = admitted.iter().flatten().map(|one| one.arrived_us.saturating_sub(one.sent_us));
        let delay = Delay::of(delays.collect());
        let streams: Vec<(Asking, Tally)> =
            self.streams.iter().map(|stream| (stream.asking.clone(), stream.tally())).collect();
        let (unanswered, reasons) = self.unanswered(&streams);
        let late_ms = streams.iter().map(|(_, tally)| tally.late_us / 1_000).max().unwrap_or(0);
        let evidence = Evidence { limits: &self.limits, admitted, streams, phases: &self.phases };
        let (rows, clients) = (evidence.rows(), evidence.clients());
        let datagrams = self.region.links().map_or((0, 0), |links| links.counts());
        let verdicts = verdicts(&Measured {
            rows: &rows,
            clients: &clients,
            quotas: &quotas,
            unanswered,
            strange: self.upstream.strange(),
            late_ms,
            dropped: datagrams.1,
        });
        let scenario = Scenario::Limits.name();
        let (seed, calm_s) = (options.seed, times.calm.as_secs());
        LimitsReport {
            scenario,
            seed,
            command: format!("chaos storm {scenario} --seed {seed} --rounds {rounds} --seconds {calm_s}"),
            seconds,
            phases: self.phases.clone(),
            rows,
            clients,
            quotas,
            delay,
            datagrams,
            kept: verdicts.iter().all(|verdict| verdict.kept),
            verdicts,
            reasons,
        }
    }

    /// Requests without an answer, or never sent, in zones that were up; and why.
    fn unanswered(&self, streams: &[(Asking, Tally)]) -> (u64, BTreeMap<String, u64>) {
        let (mut count, mut reasons) = (0, BTreeMap::new());
        for (asking, tally) in streams {
            let was_down =
                |span: &Span| self.outages.iter().any(|(az, down)| *az == asking.az && down.overlaps(span));
            let lost = tally.unanswered.iter().filter(|(span, _)| !was_down(span));
            let name = self.limits.get(asking.limit).map_or("", |limit| limit.name);
            for (_, why) in lost {
                let text = format!("{name} in {}: {why}", self.zone(asking.az));
                count += 1;
                if reasons.len() < REASONS || reasons.contains_key(&text) {
                    *reasons.entry(text).or_insert(0) += 1;
                }
            }
            count += tally.unsent;
        }
        (count, reasons)
    }
}
