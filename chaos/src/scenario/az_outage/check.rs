//! After the storm: reads everything back from every node and turns what was measured into verdicts.

use std::{collections::BTreeMap, time::Instant};

use tidegate_proto::{dev::DevNode, status::ClusterStatus};
use tokio::time::sleep;

use super::Run;
use crate::{
    agreement::at_rest,
    limits::{CONVERGE, POLL, REASONS},
    oracle::{Finding, Place},
    promise::{Promise, Verdict},
    report::{Round, WriteRow},
};

/// What the nodes hold and serve in the end.
pub(super) struct Evidence {
    pub(super) writes: WriteRow,
    /// Nodes that do not serve the newest revision, or do not answer.
    stale_nodes: u64,
    /// What is wrong, in words.
    problems: Vec<String>,
}

impl Run {
    /// Waits until the nodes are at rest, then compares them with each other and with the oracle.
    pub(super) async fn check(&mut self) -> Evidence {
        let mut problems = Vec::new();
        let status = self.await_rest(&mut problems).await;
        let newest = status.revision;
        let serves = |node: &&DevNode| {
            status.nodes.iter().any(|n| n.node == node.node_id && n.live && n.serving_revision == newest)
        };
        let nodes = self.region.dev.nodes.clone();
        let stale_nodes = nodes.iter().filter(|node| !serves(node)).count() as u64;
        let (mut lost, mut unexplained) = (0, 0);
        for node in &nodes {
            for finding in self.read_back(node, &mut problems).await {
                match finding {
                    Finding::Lost { .. } => lost += 1,
                    Finding::Unexplained { .. } => unexplained += 1,
                }
                problems.push(format!("{}: {finding:?}", node.az));
            }
        }
        let oracle = self.writers.oracle();
        let (acknowledged, uncertain, blamed) = (oracle.acknowledged, oracle.uncertain, oracle.blamed);
        let writes = WriteRow { acknowledged, uncertain, blamed, lost, unexplained };
        Evidence { writes, stale_nodes, problems }
    }

    async fn await_rest(&mut self, problems: &mut Vec<String>) -> ClusterStatus {
        let deadline = Instant::now() + CONVERGE;
        loop {
            let status = self.see_status().await.unwrap_or_default();
            let count = self.region.dev.nodes.len();
            let current = |status: &ClusterStatus| {
                status.nodes.iter().all(|node| node.serving_revision == status.revision)
            };
            if at_rest(&status, count) && current(&status) {
                return status;
            }
            if Instant::now() > deadline {
                problems.push(format!("the nodes did not come to rest within {} s", CONVERGE.as_secs()));
                return status;
            }
            sleep(POLL).await;
        }
    }

    /// Reads every place from one node. A node that cannot be read has lost everything that was acknowledged.
    async fn read_back(&self, node: &DevNode, problems: &mut Vec<String>) -> Vec<Finding> {
        let places: Vec<Place> = self.writers.oracle().places().cloned().collect();
        let client = self.region.client(&node.control);
        let mut findings = Vec::new();
        for place in places {
            let held = self.writers.read(&client, &place).await;
            let held = held.unwrap_or_else(|error| {
                problems.push(format!("{}: {place:?}: {error}", node.az));
                Default::default()
            });
            findings.extend(self.writers.oracle().judge(&place, &held));
        }
        findings
    }

    /// Every promise against what was measured.
    pub(super) fn verdicts(&self, rounds: &[Round], evidence: &Evidence) -> Vec<Verdict> {
        let direct = self.streams.iter();
        let failed: u64 = direct.map(|(name, stream)| stream.tally().failed(&self.excused(name))).sum();
        let longest = |figure: fn(&Round) -> u64| rounds.iter().map(figure).max().unwrap_or(u64::MAX);
        let measured = |promise| match promise {
            Promise::SurvivorsAnswer => failed,
            Promise::BalancerAnswers => self.balancer.tally().failed(&[]),
            Promise::AcknowledgedWritesStay => evidence.writes.lost,
            Promise::NothingUnexplained => evidence.writes.unexplained,
            Promise::WritesResume => longest(|round| round.write_gap_ms),
            Promise::NobodyIsBlamed => evidence.writes.blamed,
            Promise::RestartCatchesUp => longest(|round| round.catch_up_ms),
            Promise::StatesAgree => self.agreement.conflicts.len() as u64,
            Promise::NodesServeNewest => evidence.stale_nodes,
            Promise::LoadIsReal => self.sent_percent(),
        };
        Promise::ALL.into_iter().map(|promise| promise.judge(measured(promise))).collect()
    }

    /// Of the requests that were due in the slowest stream, the share with an outcome.
    fn sent_percent(&self) -> u64 {
        let share = |(_, stream): (&str, &super::Stream)| {
            let tally = stream.tally();
            (tally.total() - tally.unsent) * 100 / tally.due().max(1)
        };
        self.all_streams().map(share).min().unwrap_or(0)
    }

    /// What went wrong, most telling first, with how often.
    pub(super) fn reasons(&self, evidence: Evidence) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        for (name, stream) in self.all_streams() {
            let mut own = BTreeMap::new();
            stream.tally().collect_reasons(&self.excused(name), &mut own);
            reasons.extend(own.into_iter().map(|(reason, count)| (format!("{name}: {reason}"), count)));
        }
        let writes = self.writers.oracle().reasons().clone();
        reasons.extend(writes.into_iter().map(|(reason, count)| (format!("write: {reason}"), count)));
        let words = evidence.problems.into_iter().chain(self.agreement.conflicts.iter().cloned());
        words.take(REASONS).for_each(|problem| *reasons.entry(problem).or_insert(0) += 1);
        reasons
    }
}
