//! What this node says about itself: to peers, to health checks, to metrics. Always from what it serves, never from intent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tidegate_cluster::{DiskTrouble, GroupId, Handle, NodeId, Role, group};
use tidegate_proto::{document::Zone, key, peer::NodeReportV1};
use tidegate_telemetry::{
    health::{Checks, Probe},
    metrics::Encoder,
    panics,
};

use crate::{
    inbox::Describe, members::epoch_s, opening::Opening, options::NodeOptions, publish::Counters,
    replica::Replica, resting,
};

/// Facts of a running node.
pub(crate) struct Vitals {
    node: NodeId,
    zone: Zone,
    started: Instant,
    control_address: String,
    gateway_address: String,
    replica: Replica,
    edge: tidegate_edge::Handle,
    counters: Arc<Counters>,
    disk: Opening,
    opened: AtomicBool,
    stopping: AtomicBool,
}

impl Vitals {
    /// For a node whose services exist but need not run yet.
    pub(crate) fn new(
        options: &NodeOptions,
        node: NodeId,
        replica: Replica,
        edge: tidegate_edge::Handle,
        counters: Arc<Counters>,
        disk: Opening,
    ) -> Self {
        Self {
            node,
            zone: Zone { region: options.node.region.clone(), az: options.node.az.clone() },
            started: Instant::now(),
            control_address: options.control.listen.to_string(),
            gateway_address: options.gateway.listen.to_string(),
            replica,
            edge,
            counters,
            disk,
            opened: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// All services of the node run.
    pub(crate) fn open(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// Readiness is red from here on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn serving(&self) -> bool {
        *self.counters.serving.borrow() && self.edge.is_ready()
    }

    fn drained(&self) -> bool {
        self.replica.load().state.get(&key::drain(self.node)).is_some()
    }

    /// Why clients should go elsewhere, by an operator's word.
    fn resting(&self) -> Option<&'static str> {
        resting::reason(&self.replica.load().state, self.node, &self.zone, epoch_s())
    }

    /// Answers a peer's question.
    pub(crate) fn describe(self: &Arc<Self>) -> Describe {
        let this = self.clone();
        Arc::new(move || {
            let applied = this.replica.load();
            NodeReportV1 {
                version: env!("CARGO_PKG_VERSION").into(),
                serving_revision: this.edge.serving_revision(),
                applied_index: applied.index,
                state_hash: format!("{:032x}", applied.state.hash()),
                ready: this.serving()
                    && this.opened.load(Ordering::Relaxed)
                    && !this.stopping.load(Ordering::Relaxed)
                    && this.resting().is_none(),
                draining: this.drained(),
                control_address: this.control_address.clone(),
                gateway_address: this.gateway_address.clone(),
                uptime_s: this.started.elapsed().as_secs(),
            }
        })
    }

    /// Readiness of this node for client traffic. Deliberately not: quorum, upstreams.
    pub(crate) fn checks(self: &Arc<Self>) -> Checks {
        let checks = Checks::new();
        let this = self.clone();
        checks.add(Probe::Ready, "snapshot", move || match this.serving() {
            true => Ok(()),
            false => Err("no snapshot is served yet".into()),
        });
        let this = self.clone();
        checks.add(Probe::Ready, "start", move || {
            match (this.opened.load(Ordering::Relaxed), this.disk.obstacle()) {
                (true, _) => Ok(()),
                (false, None) => Err("the node is still opening its log".into()),
                (false, Some(reason)) => Err(format!(
                    "degraded: the disk cannot be used, the snapshot on disk is served ({reason})"
                )),
            }
        });
        let this = self.clone();
        checks.add(Probe::Ready, "drain", move || match this.resting() {
            Some(reason) => Err(reason.into()),
            None => Ok(()),
        });
        let this = self.clone();
        checks.add(Probe::Ready, "shutdown", move || match this.stopping.load(Ordering::Relaxed) {
            true => Err("the node is stopping".into()),
            false => Ok(()),
        });
        checks
    }

    /// Samples of agreement and configuration at the moment of a scrape.
    pub(crate) fn sample(&self, cluster: &Handle, encoder: &mut Encoder) {
        let counters = &self.counters;
        let applied = self.replica.load();
        encoder.gauge(
            "config_revision",
            "Newest configuration revision at this node",
            &[],
            applied.state.revision() as f64,
        );
        let serving = self.edge.serving_revision() as f64;
        encoder.gauge(
            "config_serving_revision",
            "Configuration revision that the data plane serves",
            &[],
            serving,
        );
        encoder.gauge(
            "config_bytes",
            "Bytes of the replicated configuration",
            &[],
            applied.state.bytes() as f64,
        );
        let swaps = counters.swaps.load(Ordering::Relaxed);
        encoder.counter("snapshot_swaps", "Snapshots handed to the data plane", &[], swaps);
        let failures = counters.compile_failures.load(Ordering::Relaxed);
        encoder.counter("snapshot_compile_failures", "Stages that kept their last good table", &[], failures);
        let failures = counters.persist_failures.load(Ordering::Relaxed);
        encoder.counter(
            "snapshot_persist_failures",
            "Serving snapshots that could not be written to disk",
            &[],
            failures,
        );
        let is_held = f64::from(u8::from(counters.is_held.load(Ordering::Relaxed)));
        let help = "1 while the node serves what it ran with before it kept crashing";
        encoder.gauge("crash_loop", help, &[], is_held);
        let help = "Defects that ended one request, connection or compilation";
        encoder.counter("panics_contained", help, &[], panics::contained_count());
        sample_disk(cluster, encoder);
        self.sample_listeners(encoder);
        sample_group(cluster, group::CONFIG, "config", encoder);
        for shard in 0..group::LEDGER_SHARDS {
            let ledger = group::ledger(&cluster.meta().region, shard);
            sample_group(cluster, ledger, &format!("ledger-{shard}"), encoder);
        }
        for peer in cluster.peers() {
            let node = peer.node.to_string();
            let labels =
                [("node", node.as_str()), ("region", peer.region.as_str()), ("az", peer.az.as_str())];
            encoder.gauge(
                "peer_connected",
                "1 while a connection to the peer is open",
                &labels,
                f64::from(u8::from(peer.connected)),
            );
            if let Some(ms) = peer.last_contact_ms {
                encoder.gauge(
                    "peer_last_contact_seconds",
                    "Time since the peer was heard",
                    &labels,
                    ms as f64 / 1e3,
                );
            }
        }
    }

    fn sample_listeners(&self, encoder: &mut Encoder) {
        self.sample_http2(encoder);
        self.sample_tls(encoder);
    }

    fn sample_http2(&self, encoder: &mut Encoder) {
        let (mut connections, mut floods, mut stalls) = (0, 0, 0);
        for counters in self.edge.listener_counters() {
            connections += counters.http2_connections;
            floods += counters.http2_floods;
            stalls += counters.write_stalls;
        }
        encoder.counter("http2_connections", "Connections that spoke HTTP/2", &[], connections);
        encoder.counter(
            "http2_floods",
            "HTTP/2 connections ended because the peer flooded them with frames",
            &[],
            floods,
        );
        let help = "Connections ended because the peer did not take its answer";
        encoder.counter("write_stalls", help, &[], stalls);
    }

    fn sample_tls(&self, encoder: &mut Encoder) {
        if self.edge.tls_address().is_none() {
            return;
        }
        let (mut full, mut resumed, mut failed, mut timeout, mut unrecognized) = (0, 0, 0, 0, 0);
        for counters in self.edge.listener_counters() {
            full += counters.tls_handshakes.saturating_sub(counters.tls_resumed);
            resumed += counters.tls_resumed;
            failed += counters.tls_failures;
            timeout += counters.tls_timeouts;
            unrecognized += counters.tls_unrecognized_names;
        }
        for (outcome, count) in [
            ("full", full),
            ("resumed", resumed),
            ("failed", failed),
            ("timeout", timeout),
            ("unrecognized_name", unrecognized),
        ] {
            let labels = [("outcome", outcome)];
            encoder.counter("tls_handshakes", "TLS handshakes by what became of them", &labels, count);
        }
        for certificate in self.edge.serving().certificates() {
            encoder.gauge(
                "tls_certificate_not_after_seconds",
                "End of validity of each certificate served, in seconds since the Unix epoch",
                &[("certificate", &certificate.name)],
                certificate.not_after_s as f64,
            );
        }
    }
}

/// Samples of what is wrong with the disk.
fn sample_disk(cluster: &Handle, encoder: &mut Encoder) {
    for (name, trouble) in [("slow", DiskTrouble::Slow), ("full", DiskTrouble::Full)] {
        let is_so = f64::from(u8::from(cluster.disk_trouble() == Some(trouble)));
        let help = "1 while the disk keeps the node from leading (slow), or from taking anything in (full)";
        encoder.gauge("disk_trouble", help, &[("trouble", name)], is_so);
    }
    let help = "Damaged logs and checkpoints that were found on disk since the start";
    encoder.counter("disk_damages", help, &[], cluster.damages());
}

/// Samples of one replicated log, where this node has it.
fn sample_group(cluster: &Handle, id: GroupId, name: &str, encoder: &mut Encoder) {
    let Ok(status) = cluster.status(id) else { return };
    let labels = [("group", name)];
    encoder.gauge("raft_term", "Raft term", &labels, status.term as f64);
    encoder.gauge(
        "raft_is_leader",
        "1 on the leader",
        &labels,
        f64::from(u8::from(status.role == Role::Leader)),
    );
    let help = "1 while the log lacks entries that it has lost, so that the node decides no election";
    encoder.gauge("raft_log_damaged", help, &labels, f64::from(u8::from(status.is_damaged)));
    encoder.gauge("raft_applied_index", "Applied log index", &labels, status.applied.unwrap_or(0) as f64);
    encoder.gauge(
        "raft_commit_index",
        "Committed log index known here",
        &labels,
        status.committed.unwrap_or(0) as f64,
    );
}
