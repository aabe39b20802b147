//! Regions in a test: nodes and one leader per ledger on one clock, without a network that fails.

use std::sync::Arc;

use crate::{
    Agent, Bank, GLOBAL, Holders, Identity, Keeper, LEDGERS, Ledger, LimitRef, MS, Name, Now, PART, Reason,
    Region, SHARDS, Spec, Timing, Verdict, region_holder,
};

pub(crate) const DAY: u32 = 20_000;

pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) bank: Arc<Bank>,
    pub(crate) region: usize,
    pub(crate) is_cut_off: bool,
}

pub(crate) struct Rig {
    pub(crate) now_ns: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) holders: Holders,
    /// The shards of each region and its part, then the one of all.
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) keepers: Vec<Keeper>,
    /// Regions without a link to the others.
    pub(crate) cut: Vec<bool>,
    pub(crate) day: u32,
    pub(crate) commits: usize,
}

impl Rig {
    /// One region.
    pub(crate) fn new(nodes: usize) -> Self {
        Self::over(1, nodes)
    }

    /// Regions of `nodes` nodes each.
    pub(crate) fn over(regions: usize, nodes: usize) -> Self {
        let node = |at: usize| {
            let bank = Arc::new(Bank::new());
            let identity = Identity { holder: at as u64 + 1, incarnation: 1, has_lived: false };
            let agent = Agent::new(identity, Timing::default(), bank.clone());
            Node { agent, bank, region: at / nodes, is_cut_off: false }
        };
        let numbers: Vec<usize> = (0..regions).flat_map(|_| 0..=PART).chain([GLOBAL]).collect();
        let empty = |number: &usize| if *number == PART { Ledger::part() } else { Ledger::default() };
        let ledgers: Vec<Ledger> = numbers.iter().map(empty).collect();
        let keeper = |(at, ledger)| lead(at, nodes, numbers[at], 1, ledger, MS);
        Self {
            now_ns: MS,
            nodes: (0..regions * nodes).map(node).collect(),
            holders: Holders { region: nodes, all: regions * nodes, regions },
            keepers: ledgers.iter().enumerate().map(keeper).collect(),
            cut: vec![false; regions],
            ledgers,
            day: DAY,
            commits: 0,
        }
    }

    /// The place of a ledger as nodes of `region` know it.
    pub(crate) fn place(&self, region: usize, ledger: usize) -> usize {
        if ledger == GLOBAL { self.ledgers.len() - 1 } else { region * (SHARDS + 1) + ledger }
    }

    /// Another node leads the ledger at a place: what the last leader knew is gone.
    pub(crate) fn depose(&mut self, at: usize) {
        let (term, number) = (self.keepers[at].term() + 1, self.number(at));
        self.keepers[at] = lead(at, self.holders.region, number, term, &self.ledgers[at], self.now_ns);
    }

    /// The leader of the ledger at a place begins again in its term.
    pub(crate) fn resume(&mut self, at: usize) {
        let (term, number) = (self.keepers[at].term(), self.number(at));
        let keeper = lead(at, self.holders.region, number, term, &self.ledgers[at], self.now_ns);
        self.keepers[at] = keeper.after(&mut self.keepers[at]);
    }

    fn number(&self, at: usize) -> usize {
        if at + 1 == self.ledgers.len() { GLOBAL } else { at % (SHARDS + 1) }
    }

    fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        (0..self.holders.regions).map(|region| (region, region * (SHARDS + 1) + PART))
    }

    /// Makes every node know these limits; the references are the same on all.
    pub(crate) fn configure(&mut self, limits: &[(&str, Option<Spec>, Option<Spec>)]) -> Vec<LimitRef> {
        let (now, holders) = (self.now(), self.holders);
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
        self.ask_ledgers();
        if (self.now_ns / (10 * MS)).is_multiple_of(2) {
            self.answer();
        }
        self.check();
    }

    /// Nodes look at their limits and say what they need.
    pub(crate) fn ask_ledgers(&mut self) {
        self.now_ns += 10 * MS;
        let now = self.now();
        for node in 0..self.nodes.len() {
            let reports = self.nodes[node].agent.poll(now);
            if self.nodes[node].is_cut_off {
                continue;
            }
            for (ledger, report) in reports {
                let (index, region) = (self.nodes[0].agent.index().clone(), self.nodes[node].region);
                let at = self.place(region, ledger);
                // The ledger of all regions is led in the last one.
                if ledger == GLOBAL && !self.reaches(region) {
                    continue;
                }
                self.keepers[at].take_in(now.now_ns, &report, &self.ledgers[at], &index);
            }
        }
    }

    /// Leaders decide and answer.
    pub(crate) fn answer(&mut self) {
        (0..self.keepers.len()).for_each(|at| self.tick(at));
        self.speak_for_regions();
    }

    fn check(&self) {
        for ledger in &self.ledgers {
            ledger.check().unwrap();
        }
        self.check_shares();
        self.check_parts();
    }

    /// No region has more than the ledger of all regions has it down for.
    fn check_parts(&self) {
        let top = &self.ledgers[self.ledgers.len() - 1];
        for (region, at) in self.parts() {
            let part = &self.ledgers[at];
            let is_session = |epoch| top.sessions().any(|session| session.epoch == epoch);
            for limit in part.slices.keys().chain(top.slices.keys()).filter(|_| is_session(part.upstream().0))
            {
                let limit = crate::LimitId::new(*limit).unwrap();
                let (whole, committed) = (part.whole(limit.number()), top.committed(limit, holder(region)));
                let is_of_part = limit.ledger() == PART;
                assert!(!is_of_part || whole <= committed, "region {region} has {whole} of {committed}");
            }
        }
    }

    fn tick(&mut self, at: usize) {
        let (now, index) = (self.now(), self.nodes[0].agent.index().clone());
        let tick = self.keepers[at].tick(now.now_ns, &self.ledgers[at], &index, self.day);
        if let Some(command) = &tick.command {
            self.commits += 1;
            assert_eq!(self.ledgers[at].apply(command), 0, "{command:?}");
        }
        let number = self.number(at);
        for (to, grant) in self.keepers[at].answers(now.now_ns, &self.ledgers[at]) {
            let region = self.nodes[to as usize - 1].region;
            if number == GLOBAL && !self.reaches(region) {
                continue;
            }
            if grant.rank > 0 {
                let part = self.place(region, PART);
                self.keepers[part].take_grant(now.now_ns, &grant, &self.ledgers[part]);
                continue;
            }
            let node = &mut self.nodes[to as usize - 1];
            if !node.is_cut_off {
                node.agent.take_in(now, number, &grant);
            }
        }
    }

    fn reaches(&self, region: usize) -> bool {
        let last = self.holders.regions - 1;
        region == last || !self.cut[region] && !self.cut[last]
    }

    fn speak_for_regions(&mut self) {
        let (now, index, top) = (self.now(), self.nodes[0].agent.index().clone(), self.ledgers.len() - 1);
        for (region, at) in self.parts() {
            let report = self.keepers[at].report(now.now_ns, &self.ledgers[at], &index);
            if let Some(report) = report.filter(|_| self.reaches(region)) {
                self.keepers[top].take_in(now.now_ns, &report, &self.ledgers[top], &index);
            }
        }
    }

    /// No node uses more than the ledger has it down for.
    fn check_shares(&self) {
        for (at, node) in self.nodes.iter().enumerate() {
            for number in 0..LEDGERS {
                let ledger = &self.ledgers[self.place(node.region, number)];
                let limits = ledger.slices.keys().map(|limit| crate::LimitId::new(*limit).unwrap());
                for limit in limits.filter(|limit| limit.ledger() == number) {
                    let committed = ledger.committed(limit, at as u64 + 1);
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

fn holder(region: usize) -> u64 {
    region_holder(&format!("region {region}"))
}

fn lead(at: usize, nodes: usize, number: usize, term: u64, ledger: &Ledger, now_ns: u64) -> Keeper {
    let region = at / (SHARDS + 1);
    let speaker = Region { holder: holder(region), node: (region * nodes) as u64 + 1 };
    match number {
        PART => Keeper::of_part(speaker, term, ledger, now_ns, Timing::default()),
        _ => Keeper::new(number, term, ledger, now_ns, Timing::default()),
    }
}
