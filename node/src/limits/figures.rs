//! What metrics say of limits: the sessions of this node, what is in use, the shards of the ledger as this node has them, and the
//! messages between them. Counted where it happens, sampled when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tidegate_telemetry::metrics::Encoder;

use super::{Desk, Shard, lock};

/// What a shard of the ledger applied here.
#[derive(Debug, Default)]
pub(super) struct Applied {
    commands: AtomicU64,
    changes: AtomicU64,
    skipped: AtomicU64,
    levels_ns: AtomicU64,
}

/// Reports of this node, and grants of the leaders among them that run here.
#[derive(Debug, Default)]
pub(super) struct Messages {
    reports: AtomicU64,
    reports_lost: AtomicU64,
    grants: AtomicU64,
    grants_lost: AtomicU64,
}

impl Applied {
    /// Counts a command.
    pub(super) fn count(&self, changes: usize, skipped: usize) {
        self.commands.fetch_add(1, Relaxed);
        self.changes.fetch_add(changes as u64, Relaxed);
        self.skipped.fetch_add(skipped as u64, Relaxed);
    }

    /// Notes that levels of counted limits were saved.
    pub(super) fn note_levels(&self, now_ns: u64) {
        self.levels_ns.store(now_ns, Relaxed);
    }

    /// When levels were last saved, on the clock of leases; `u64::MAX` when this node has not seen that.
    pub(super) fn levels_ns(&self) -> u64 {
        match self.levels_ns.load(Relaxed) {
            0 => u64::MAX,
            levels_ns => levels_ns,
        }
    }
}

impl Messages {
    /// Counts a report that was to be carried.
    pub(super) fn report(&self, arrived: bool) {
        if arrived { &self.reports } else { &self.reports_lost }.fetch_add(1, Relaxed);
    }

    /// Counts a grant that was to be carried.
    pub(super) fn grant(&self, arrived: bool) {
        if arrived { &self.grants } else { &self.grants_lost }.fetch_add(1, Relaxed);
    }
}

impl Desk {
    /// Samples everything about limits.
    pub(crate) fn sample(&self, encoder: &mut Encoder) {
        let index = self.index.load();
        encoder.gauge("limits", "Limits that this node holds requests against", &[], index.len() as f64);
        let dropped = index.dropped() as f64;
        encoder.gauge("limits_dropped", "Limits that are not held because there is no room", &[], dropped);
        self.sample_use(encoder);
        for (number, shard) in self.shards.iter().enumerate().filter(|(number, _)| self.is_used(*number)) {
            shard.sample(&number.to_string(), encoder);
        }
        let Messages { reports, reports_lost, grants, grants_lost } = &*self.messages;
        for (name, help, arrived, lost) in [
            ("limit_reports", "Reports about limits for their leaders", reports, reports_lost),
            ("limit_grants", "Grants of the leaders on this node", grants, grants_lost),
        ] {
            encoder.counter(name, help, &[("outcome", "arrived")], arrived.load(Relaxed));
            encoder.counter(name, help, &[("outcome", "lost")], lost.load(Relaxed));
        }
    }

    fn sample_use(&self, encoder: &mut Encoder) {
        let (leases, in_use) = self.agent().survey(self.now());
        for (shard, lease) in leases.iter().enumerate().filter(|(shard, _)| self.is_used(*shard)) {
            let number = shard.to_string();
            let labels = [("shard", number.as_str())];
            let is_open = f64::from(u8::from(lease.is_open));
            encoder.gauge(
                "limit_session",
                "1 while this node has a session with the shard of the ledger",
                &labels,
                is_open,
            );
            let left_s = lease.left_ns as f64 / 1e9;
            encoder.gauge("limit_lease_seconds", "How long the lease of that session lasts", &labels, left_s);
        }
        for (kind, in_use) in in_use {
            let labels = [("kind", kind)];
            encoder.gauge(
                "limits_in_use",
                "Limits that were asked a moment ago, by how they are kept",
                &labels,
                in_use.limits as f64,
            );
            let help = "Requests per second that asked a limit, once for each limit they met";
            encoder.gauge("limit_demand", help, &labels, in_use.demand);
            let help = "Requests per second that a limit refused";
            encoder.gauge("limit_refused", help, &labels, in_use.refused);
        }
    }
}

impl Shard {
    fn sample(&self, number: &str, encoder: &mut Encoder) {
        let labels = [("shard", number)];
        let leads = f64::from(u8::from(lock(&self.keeper).is_some()));
        let (sessions, managed) = {
            let ledger = lock(&self.ledger);
            (ledger.sessions().count() as f64, ledger.managed() as f64)
        };
        encoder.gauge("ledger_is_leader", "1 on the node that leads the shard of the ledger", &labels, leads);
        encoder.gauge("ledger_sessions", "Nodes with a session with the shard", &labels, sessions);
        let help = "Limits whose shares the shard manages one by one";
        encoder.gauge("ledger_managed_limits", help, &labels, managed);
        let Applied { commands, changes, skipped, .. } = &*self.applied;
        let commands = commands.load(Relaxed);
        encoder.counter("ledger_commands", "Commands of the shard that were applied", &labels, commands);
        let changes = changes.load(Relaxed);
        encoder.counter("ledger_changes", "Changes in those commands", &labels, changes);
        let skipped = skipped.load(Relaxed);
        let help = "Changes that broke a rule of the ledger and were skipped";
        encoder.counter("ledger_changes_skipped", help, &labels, skipped);
    }
}
