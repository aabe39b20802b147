//! `storm az-outage`: kill -9 of one zone's node after the other, with clients on every zone, behind the balancer, and
//! writers on the control plane.

mod check;

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use tidegate_proto::status::ClusterStatus;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{Scenario, StormOptions, put_away};
use crate::{
    agreement::Agreement,
    clock::{Clock, Span},
    exchange::address,
    limits::{OUTAGE, POLL, RECOVERY, SETTLE, WARM_UP},
    load::{Stream, Target},
    nemesis::AzPowerLoss,
    region::{Region, RegionError, RegionOptions},
    report::{Report, Round, Spread, StreamRow},
    writer::Writers,
};

/// Zones of the region under test: the smallest number that survives the loss of one.
const AZS: u16 = 3;
/// Zones to kill when nothing else is said.
const ROUNDS: u32 = 10;

/// Shown by `chaos describe az-outage`.
pub(super) const DESCRIPTION: &str = "\
Starts a development region of its own: 3 availability zones, one node process each, on free ports.
Then, all at once:
  - clients ask every zone's own gateway for the sample, on keep-alive connections, at a fixed rate;
  - clients ask the same through the balancer, and repeat a request once, on a new connection after 100 ms,
    when its connection was refused or lost before an answer began;
  - 8 writers change the configuration through the control balancer and remember each acknowledgement.
    Four of them write by the clock, whether or not earlier writes were answered.
Latency counts from the moment a request was due, so a stalled node cannot hide.

Each round kills one zone's node with SIGKILL: the leader's zone in every other round, a random one
otherwise. Traffic goes on for 3 s or until writes work again. The node is started again, and the round ends
when it is ready and serves the revision the others serve.

In the end nobody writes any more, and every acknowledged write is read back from every node's own control
listener; indexes, state hashes and serving revisions of all nodes are compared.

Not covered: a zone that is cut off but alive, slow disks, lost disks, wrong clocks.";

/// One run in progress.
struct Run {
    region: Region,
    clock: Clock,
    streams: Vec<(String, Stream)>,
    balancer: Stream,
    writers: Writers,
    agreement: Agreement,
    /// When each zone was down, from the kill until it was seen ready.
    outages: Vec<(String, Span)>,
    stop: watch::Sender<bool>,
}

pub(super) async fn run(options: &StormOptions) -> Result<Report, RegionError> {
    let region_options = RegionOptions {
        program: options.program.clone(),
        data: options.data.clone(),
        azs: AZS,
        linked: false,
    };
    eprintln!("storm az-outage: seed {}, starting a region of {AZS} zones", options.seed);
    let region = Region::start(&region_options).await?;
    let mut run = Run::start(region, options).await?;
    let outcome = run.storm(options).await;
    let report = match outcome {
        Ok(rounds) => Ok(run.conclude(options, rounds).await),
        Err(error) => Err(error),
    };
    put_away(run.region, options.keep, report.as_ref().is_ok_and(|report| report.kept)).await;
    report
}

impl Run {
    async fn start(region: Region, options: &StormOptions) -> Result<Self, RegionError> {
        let clock = Clock::start();
        let (stop, stopped) = watch::channel(false);
        let writers = Writers::start(&region, clock, &stopped).await?;
        let stream = |url: &str, reconnects| {
            let (path, answer) = (region.sample_path.clone(), region.sample_answer.clone());
            let unusable =
                || RegionError::Slow { what: url.to_owned(), seconds: 0, seen: "not an address".into() };
            let target = Target { address: address(url).ok_or_else(unusable)?, path, answer, reconnects };
            Ok::<_, RegionError>(Stream::start(target, clock, options.requests_per_second, stopped.clone()))
        };
        let balancer = stream(&region.dev.gateway, true)?;
        let mut streams = Vec::new();
        for node in &region.dev.nodes {
            streams.push((node.az.clone(), stream(&node.gateway, false)?));
        }
        let (agreement, outages) = (Agreement::default(), Vec::new());
        Ok(Self { region, clock, streams, balancer, writers, agreement, outages, stop })
    }

    async fn storm(&mut self, options: &StormOptions) -> Result<Vec<Round>, RegionError> {
        let mut random = StdRng::seed_from_u64(options.seed);
        let mut rounds = Vec::new();
        sleep(WARM_UP).await;
        let total = options.rounds.unwrap_or(ROUNDS);
        for number in 1..=total {
            let drawn = random.random_range(0..self.streams.len());
            let drawn = self.streams[drawn].0.clone();
            let leader = self.leader_az().await;
            let az = if number % 2 == 1 { leader.clone().unwrap_or(drawn) } else { drawn };
            let round = self.round(number, &az, leader.as_ref() == Some(&az)).await?;
            eprintln!("{}", round.line(total));
            rounds.push(round);
        }
        Ok(rounds)
    }

    async fn round(&mut self, round: u32, az: &str, leader: bool) -> Result<Round, RegionError> {
        let outage = AzPowerLoss::strike(&self.region, az, self.clock).await?;
        let killed_us = outage.killed_us;
        self.await_write(killed_us).await;
        let agreement = &mut self.agreement;
        let back = outage.heal(&self.region, self.clock, |status| agreement.see(status)).await?;
        self.outages.push((az.to_owned(), Span { from_us: killed_us, to_us: back.ready_us }));
        sleep(SETTLE).await;
        self.see_status().await;
        let span = Span { from_us: killed_us, to_us: self.clock.now_us() };
        let failed = |name: &str, stream: &Stream| stream.tally().failed_in(span, &self.excused(name));
        let others = self.streams.iter().filter(|(name, _)| name != az);
        let killed = self.streams.iter().find(|(name, _)| name == az);
        let oracle = self.writers.oracle();
        Ok(Round {
            round,
            az: az.to_owned(),
            leader,
            recovery_ms: oracle.recovery_us(killed_us).map(|us| us / 1_000),
            write_gap_ms: oracle.longest_gap_us(span) / 1_000,
            catch_up_ms: back.took_ms,
            failed_survivors: others.map(|(name, stream)| failed(name, stream)).sum(),
            failed_balancer: failed("balancer", &self.balancer),
            failed_killed: killed.map_or(0, |(_, stream)| stream.tally().failed_in(span, &[])),
        })
    }

    /// Lets the outage last its time, and longer while no write is acknowledged.
    async fn await_write(&mut self, killed_us: u64) {
        let (least, most) = (Instant::now() + OUTAGE, Instant::now() + RECOVERY);
        while Instant::now() < most && self.writers.oracle().recovery_us(killed_us).is_none() {
            sleep(POLL).await;
        }
        sleep_until(least).await;
        self.see_status().await;
    }

    async fn leader_az(&mut self) -> Option<String> {
        let status = self.see_status().await?;
        let leader = status.leader?;
        status.nodes.into_iter().find(|node| node.node == leader).map(|node| node.az)
    }

    async fn see_status(&mut self) -> Option<ClusterStatus> {
        let status = self.region.status(None).await?;
        self.agreement.see(&status);
        Some(status)
    }

    /// When a stream's zone was down; the balancer never is.
    fn excused(&self, stream: &str) -> Vec<Span> {
        self.outages.iter().filter(|(az, _)| az == stream).map(|(_, span)| *span).collect()
    }

    async fn conclude(&mut self, options: &StormOptions, rounds: Vec<Round>) -> Report {
        self.stop.send_replace(true);
        for (_, stream) in &mut self.streams {
            stream.finish().await;
        }
        self.balancer.finish().await;
        self.writers.finish().await;
        let seconds = Duration::from_micros(self.clock.now_us()).as_secs_f64();
        eprintln!("reading every acknowledged write back from every node");
        let evidence = self.check().await;
        let verdicts = self.verdicts(&rounds, &evidence);
        Report {
            scenario: Scenario::AzOutage.name(),
            seed: options.seed,
            requests_per_second: options.requests_per_second,
            seconds,
            streams: self.stream_rows(),
            writes: evidence.writes,
            recovery_ms: Spread::of(rounds.iter().filter_map(|round| round.recovery_ms)),
            recovery_leader_ms: Spread::of(rounds.iter().filter(|r| r.leader).filter_map(|r| r.recovery_ms)),
            write_gap_ms: Spread::of(rounds.iter().map(|round| round.write_gap_ms)),
            catch_up_ms: Spread::of(rounds.iter().map(|round| round.catch_up_ms)),
            hashes_compared: self.agreement.compared,
            kept: verdicts.iter().all(|verdict| verdict.kept),
            reasons: self.reasons(evidence),
            verdicts,
            rounds,
        }
    }

    fn all_streams(&self) -> impl Iterator<Item = (&str, &Stream)> {
        let direct = self.streams.iter().map(|(name, stream)| (name.as_str(), stream));
        direct.chain([("balancer", &self.balancer)])
    }

    fn stream_rows(&self) -> Vec<StreamRow> {
        let row = |(name, stream): (&str, &Stream)| {
            let tally = stream.tally();
            let failed = tally.failed(&self.excused(name));
            StreamRow {
                stream: name.to_owned(),
                total: tally.total(),
                failed,
                excused: tally.failed(&[]) - failed,
                retries: tally.retries,
                p50_ms: tally.latency_ms(0.5),
                p99_ms: tally.latency_ms(0.99),
                max_ms: tally.latency_ms(1.0),
            }
        };
        self.all_streams().map(row).collect()
    }
}
