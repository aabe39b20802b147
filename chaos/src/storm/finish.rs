//! After the traffic: waits until the nodes are at rest, reads everything back from every one, and puts together what was seen.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_proto::status::ClusterStatus;
use tokio::time::{Instant, sleep, timeout};

use super::{
    evidence::{Evidence, Findings, Happened},
    fleet::Node,
    history::{self, Act, Deed, Judgement},
    measure,
    run::Traffic,
    setup::{self, LIMIT},
    stall::Stalls,
    world::World,
};
use crate::{
    agreement::{Agreement, at_rest},
    clock::Span,
    lab::site::Site,
    limits::{CONVERGE, PAGE, POLL, READ_BACK, REASONS},
    oracle::{Finding, Held, Place},
};

/// The course of a run.
pub(super) struct Course {
    pub(super) span: Span,
    pub(super) trouble: Span,
    pub(super) recovered_us: Option<u64>,
    pub(super) happened: Vec<Happened>,
    /// Requests per second that all nodes together admit, where that is set.
    pub(super) capacity: Option<f64>,
    /// 99th percentile of how late the tool's own sleeper woke up, in milliseconds.
    pub(super) late_p99_ms: f64,
}

/// Everything that was seen.
pub(super) fn evidence(
    world: &World,
    traffic: &Traffic,
    course: Course,
    findings: Findings,
    stalls: Stalls,
) -> Evidence {
    let end_us = world.clock.now_us();
    let mut pages = traffic.book.pages();
    let mut journal = std::mem::take(&mut *world.journal());
    let mut account = traffic.ledger.account();
    let struck = journal.struck.into_iter();
    let mut reasons = std::mem::take(&mut pages.reasons);
    reasons.extend(std::mem::take(&mut account.reasons));
    journal.skipped.sort();
    journal.skipped.dedup();
    let mut evidence = Evidence {
        span: course.span,
        trouble: course.trouble,
        recovered_us: course.recovered_us,
        records: std::mem::take(&mut pages.records),
        unkept: pages.unkept,
        writes: std::mem::take(&mut account.writes),
        changes: traffic.changes.all().clone(),
        seen: std::mem::take(&mut *world.watch.seen()),
        starts: journal.starts,
        struck: struck
            .map(|(site, from_us, to)| (site, Span { from_us, to_us: to.unwrap_or(end_us) }))
            .collect(),
        measured: journal.measured,
        happened: Vec::new(),
        notes: journal.notes,
        skipped: journal.skipped,
        stalls,
        carried: world.lab.carried(),
        late_p99_ms: course.late_p99_ms,
        capacity: course.capacity,
        over_admitted: traffic.arrivals.excess(f64::from(LIMIT), f64::from(LIMIT)),
        findings,
        reasons,
    };
    evidence.happened = course
        .happened
        .into_iter()
        .map(|one| Happened { unavailable_ms: measure::unavailable_ms(&evidence, one.span), ..one })
        .collect();
    evidence
}

/// Waits for rest, compares the nodes, reads back all sets and registers from every node, and judges the histories.
pub(super) async fn read_back(world: &World, traffic: &Traffic) -> Findings {
    let mut findings = Findings::default();
    compare(world, &mut findings).await;
    for node in world.fleet.nodes() {
        let sets = world.apis.sets.iter().flatten();
        let read = sets.map(|(api, root)| async move { (api, read_set(world, node, api, root).await) });
        for (api, held) in futures_util::future::join_all(read).await {
            let place = Place::Set(api.clone());
            let held = held.unwrap_or_else(|told| {
                findings.problems.push(format!("{}: {told}", node.name));
                Held::new()
            });
            for finding in traffic.ledger.account().oracle.judge(&place, &held) {
                match finding {
                    Finding::Lost { value, .. } => {
                        findings.lost += 1;
                        findings.problems.push(format!("{}: write {value} of {api} is lost", node.name));
                    }
                    Finding::Unexplained { value, .. } => {
                        findings.unexplained += 1;
                        findings.problems.push(format!("{}: {value} of {api} was never written", node.name));
                    }
                }
            }
        }
        read_registers(world, traffic, node).await;
    }
    judge(traffic, &mut findings).await;
    let reigns: Vec<u64> = world.watch.seen().contested.iter().copied().collect();
    for term in reigns {
        findings.conflicts += 1;
        findings.problems.push(format!("two nodes led in term {term}"));
    }
    findings.problems.truncate(REASONS * 2);
    findings
}

async fn compare(world: &World, findings: &mut Findings) {
    let (count, deadline) = (world.fleet.nodes().len(), Instant::now() + CONVERGE);
    let mut agreement = Agreement::default();
    loop {
        let asked = world.fleet.nodes().iter().map(|node| setup::status(&world.lab, &world.fleet, node));
        let seen: Vec<ClusterStatus> =
            futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        seen.iter().for_each(|status| agreement.see(status));
        let current = |status: &ClusterStatus| {
            at_rest(status, count) && status.nodes.iter().all(|node| node.serving_revision == status.revision)
        };
        let unsettled = count - seen.iter().filter(|status| current(status)).count();
        if unsettled == 0 || Instant::now() > deadline {
            findings.unsettled = unsettled as u64;
            findings.conflicts = agreement.conflicts.len() as u64;
            findings.compared = agreement.compared;
            findings.problems.extend(agreement.conflicts);
            if let (Some(status), true) = (seen.first(), unsettled > 0) {
                let node = |n: &tidegate_proto::status::NodeStatus| {
                    format!(
                        "{} live {} index {} serves {}",
                        n.az, n.live, n.applied_index, n.serving_revision
                    )
                };
                let all: Vec<String> = status.nodes.iter().map(node).collect();
                findings.problems.push(format!(
                    "not at rest within {} s: {}",
                    CONVERGE.as_secs(),
                    all.join(", ")
                ));
            }
            return;
        }
        sleep(POLL).await;
    }
}

/// Follows the pages of a set; the root itself is not an element.
async fn read_set(world: &World, node: &Node, api: &str, root: &str) -> Result<Held, String> {
    let (client, api, root) = (world.fleet.client(node), api.to_owned(), root.to_owned());
    let read = async move {
        let (mut held, mut position, mut seen) = (Held::new(), String::new(), BTreeSet::new());
        loop {
            let path = format!("/restapis/{api}/resources?limit={PAGE}{position}");
            let page: Value =
                client.json(http::Method::GET, &path, &Value::Null).await.map_err(|e| e.to_string())?;
            for item in page["item"].as_array().or_else(|| page["items"].as_array()).into_iter().flatten() {
                if item["id"].as_str() != Some(root.as_str()) {
                    held.extend(item["pathPart"].as_str().and_then(|text| text.parse::<u64>().ok()));
                }
            }
            match page["position"].as_str() {
                Some(next) if seen.insert(next.to_owned()) => position = format!("&position={next}"),
                _ => return Ok(held),
            }
        }
    };
    let read = world.lab.space(Site::Observer).spawn(async move { timeout(READ_BACK, read).await });
    match read.await {
        Ok(Ok(held)) => held,
        _ => Err(format!("nothing read back within {} s", READ_BACK.as_secs())),
    }
}

/// The last read of each register is part of its history.
async fn read_registers(world: &World, traffic: &Traffic, node: &Node) {
    for api in &world.apis.registers {
        let (client, path, from_us) =
            (world.fleet.client(node), format!("/restapis/{api}"), world.clock.now_us());
        let read = async move { timeout(READ_BACK, client.read(&path)).await.ok()?.ok() };
        let Ok(Some(reading)) = world.lab.space(Site::Observer).spawn(read).await else { continue };
        let answer: Value = serde_json::from_slice(&reading.body).unwrap_or_default();
        let value = answer["description"].as_str().and_then(|text| text.parse().ok());
        let deed = Deed { act: Act::Read(value), from_us, to_us: Some(world.clock.now_us()) };
        if !reading.is_stale {
            traffic.ledger.account().histories.entry(api.clone()).or_default().push(deed);
        }
    }
}

async fn judge(traffic: &Traffic, findings: &mut Findings) {
    let histories = traffic.ledger.account().histories.clone();
    findings.acknowledged = traffic.ledger.account().oracle.acknowledged;
    for (api, history) in histories {
        findings.deeds += history.len() as u64;
        let judged =
            tokio::task::spawn_blocking(move || (history::judge(&history), history::stale_reads(&history)));
        let (judgement, stale) = judged.await.unwrap_or((Judgement::Unknown, 0));
        findings.stale_reads += stale as u64;
        match judgement {
            Judgement::Linearizable => {}
            Judgement::Unknown => findings.unjudged += 1,
            Judgement::Not => {
                findings.not_linearizable += 1;
                findings.problems.push(format!("no order explains what was read of register {api}"));
            }
        }
    }
}
