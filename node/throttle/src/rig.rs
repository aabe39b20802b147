//! A region in a test: nodes and one leader per shard on one clock, without a network that fails.

use std::sync::Arc;

use crate::{
    Agent, Bank, Identity, Keeper, Ledger, LimitRef, MS, Name, Now, Reason, SHARDS, Spec, Timing, Verdict,
};

pub(crate) const DAY: u32 = 20_000;

pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) bank: Arc<Bank>,
    pub(crate) is_cut_off: bool,
}

pub(crate) struct Rig {
    pub(crate) now_ns: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) keepers: Vec<Keeper>,
    pub(crate) day: u32,
    pub(crate) commits: usize,
}

impl Rig {
    pub(crate) fn new(nodes: u64) -> Self {
        let node = |holder| {
            let bank = Arc::new(Bank::new());
            let identity = Identity { holder, incarnation: 1, has_lived: false };
            Node { agent: Agent::new(identity, Timing::default(), bank.clone()), bank, is_cut_off: false }
        };
        let ledgers: Vec<Ledger> = (0..SHARDS).map(|_| Ledger::default()).collect();
        let keepers = ledgers.iter().map(|ledger| Keeper::new(1, ledger, MS, Timing::default())).collect();
        Self { now_ns: MS, nodes: (1..=nodes).map(node).collect(), ledgers, keepers, day: DAY, commits: 0 }
    }

    /// Makes every node know these limits; the references are the same on all.
    pub(crate) fn configure(&mut self, limits: &[(&str, Option<Spec>, Option<Spec>)]) -> Vec<LimitRef> {
        let now = self.now();
        let holders = self.nodes.len();
        let mut refs = Vec::new();
        for node in &mut self.nodes {
            let mut builder = node.agent.index().succeed(holders, now.now_ns);
            refs = limits
                .iter()
                .map(|(name, rate, quota)| {
                    let texts = (format!("{name}/rate"), format!("{name}/quota"));
                    let rate = rate.map(|spec| (texts.0.as_str(), spec));
                    let quota = quota.map(|spec| (texts.1.as_str(), spec));
                    builder.declare(Name::of(name), rate, quota).unwrap()
                })
                .collect();
            node.agent.adopt(Arc::new(builder.finish()), now);
        }
        refs
    }

    pub(crate) fn now(&self) -> Now {
        Now { now_ns: self.now_ns, boot_ns: self.now_ns }
    }

    /// Ten milliseconds pass.
    pub(crate) fn step(&mut self) {
        self.now_ns += 10 * MS;
        let now = self.now();
        for node in 0..self.nodes.len() {
            let reports = self.nodes[node].agent.poll(now);
            if self.nodes[node].is_cut_off {
                continue;
            }
            for (shard, report) in reports {
                let index = self.nodes[0].agent.index().clone();
                self.keepers[shard].take_in(now.now_ns, &report, &self.ledgers[shard], &index);
            }
        }
        if (self.now_ns / (10 * MS)).is_multiple_of(2) {
            (0..SHARDS).for_each(|shard| self.tick(shard));
        }
        for ledger in &self.ledgers {
            ledger.check().unwrap();
        }
        self.check_shares();
    }

    fn tick(&mut self, shard: usize) {
        let (now, index) = (self.now(), self.nodes[0].agent.index().clone());
        let tick = self.keepers[shard].tick(now.now_ns, &self.ledgers[shard], &index, self.day);
        if let Some(command) = &tick.command {
            self.commits += 1;
            assert_eq!(self.ledgers[shard].apply(command), 0, "{command:?}");
        }
        for (holder, grant) in self.keepers[shard].answers(&self.ledgers[shard]) {
            let node = &mut self.nodes[holder as usize - 1];
            if !node.is_cut_off {
                node.agent.take_in(now, shard, &grant);
            }
        }
    }

    /// No node uses more than the ledger has it down for.
    fn check_shares(&self) {
        for shard in 0..SHARDS {
            for limit in self.ledgers[shard].slices.keys() {
                let limit = crate::LimitId::new(*limit).unwrap();
                for (at, node) in self.nodes.iter().enumerate() {
                    let committed = self.ledgers[shard].committed(limit, at as u64 + 1);
                    let used = node.agent.share(limit, self.now());
                    assert!(used <= committed, "{limit:?} node {} uses {used} of {committed}", at + 1);
                }
            }
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        (0..ms / 10).for_each(|_| self.step());
    }

    /// Runs `ms` with `per_step` requests per node and step; returns what was admitted, per node.
    pub(crate) fn load(&mut self, limits: &[LimitRef], ms: u64, per_step: &[usize]) -> Vec<usize> {
        let mut admitted = vec![0; self.nodes.len()];
        for _ in 0..ms / 10 {
            for (node, count) in per_step.iter().enumerate() {
                admitted[node] += self.ask(node, limits, *count);
            }
            self.step();
        }
        admitted
    }

    /// What the leaders of all shards find busiest.
    pub(crate) fn busiest(&self, count: usize) -> Vec<tidegate_proto::ledger::BusyV1> {
        let index = self.nodes[0].agent.index();
        let leaders = self.keepers.iter().zip(&self.ledgers);
        leaders.flat_map(|(keeper, ledger)| keeper.busiest(self.now_ns, ledger, index, count)).collect()
    }

    /// What the nodes find busiest, one after the other.
    pub(crate) fn busiest_here(&mut self, count: usize) -> Vec<tidegate_proto::ledger::BusyV1> {
        let now = self.now();
        self.nodes.iter_mut().flat_map(|node| node.agent.busiest(now, count)).collect()
    }

    pub(crate) fn ask(&self, node: usize, limits: &[LimitRef], count: usize) -> usize {
        (0..count).filter(|_| self.decide(node, limits) == Verdict::Admitted).count()
    }

    pub(crate) fn decide(&self, node: usize, limits: &[LimitRef]) -> Verdict {
        self.nodes[node].bank.decide(limits, self.now_ns, || self.now_ns)
    }

    pub(crate) fn reason(&self, node: usize, limits: &[LimitRef]) -> Option<Reason> {
        match self.decide(node, limits) {
            Verdict::Admitted => None,
            Verdict::Refused(refusal) => Some(refusal.reason),
        }
    }
}
