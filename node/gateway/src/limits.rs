//! Which limits a request is held against: resolved to places when a configuration is loaded, so that a request follows
//! numbers. Owns precedence; what a limit admits is decided in `throttle`.
//!
//! The most specific setting of each level applies: a plan's limit for a method in place of the plan's own, a method's setting
//! in place of the stage's default; then the stage as a whole, then the account. As in API Gateway, the stage's default gives each
//! method a bucket of its own.

mod keys;
mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_proto::compiled::limits::{
    IsolatedV1, LimitsV1, MethodRateV1, PeriodV1, PlanV1, PolicyV1, QuotaV1, RateV1, StageLimitsV1,
};
use tidegate_throttle::{
    Builder, Holders, Isolated, LeaseState, LimitRef, NONE, Name, Period, Policy, Reason, Scope, Spec,
};

use crate::StageTable;
pub use keys::{KeyTable, Known};
use names::{ACCOUNT, method_text, stage_text};
pub use names::{Subject, plan_limit_name, subjects};

/// Most limits of one request: a plan's rate and its quota, the method, the stage, the account.
const LIMITS_MAX: usize = 5;

/// All limits of a snapshot.
#[derive(Debug, Default)]
pub struct Limits {
    compiled: Arc<LimitsV1>,
    keys: Arc<KeyTable>,
    /// Parallel to the snapshot's stages.
    stages: Box<[StageGates]>,
    plans: Box<[PlanGates]>,
}

/// Limits of one stage.
#[derive(Debug, Default)]
struct StageGates {
    headers: bool,
    key_from_authorizer: bool,
    /// By method: where its limits begin and end in `refs` and `gates`.
    spans: Box<[(u32, u32)]>,
    refs: Box<[LimitRef]>,
    gates: Box<[Gate]>,
}

/// Stages that a plan covers, by place in the snapshot.
#[derive(Debug, Default)]
struct PlanGates {
    stages: Vec<PlanStage>,
}

#[derive(Debug)]
struct PlanStage {
    stage: u32,
    /// Methods with a limit of their own, and which one of the plan's it is.
    methods: Vec<(u32, u32)>,
}

/// A limit and what it is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Where its state is.
    pub limit: LimitRef,
    /// What it limits.
    pub level: Level,
    /// The bucket.
    pub rate: Option<RateV1>,
    /// The quota.
    pub quota: Option<QuotaV1>,
}

/// What a limit is on. Metrics and logs use these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// An API key in a usage plan.
    Plan,
    /// An API key in a usage plan, on one method.
    PlanMethod,
    /// An API key in a usage plan, over a period.
    Quota,
    /// A method of a stage.
    Method,
    /// A stage.
    Stage,
    /// The account in this region.
    Account,
    /// This node.
    Node,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 7] =
        [Self::Plan, Self::PlanMethod, Self::Quota, Self::Method, Self::Stage, Self::Account, Self::Node];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::PlanMethod => "plan-method",
            Self::Quota => "quota",
            Self::Method => "method",
            Self::Stage => "stage",
            Self::Account => "account",
            Self::Node => "node",
        }
    }
}

/// The limit that a request did not fit into, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What the limit is on.
    pub level: Level,
    /// Why it refuses.
    pub reason: Reason,
    /// The node's session with the ledger of the limit; none has the node's own limit.
    pub lease: Option<LeaseState>,
}

impl Shortage {
    /// A shortage of which nothing is known but its level.
    pub fn of(level: Level) -> Self {
        Self { level, reason: Reason::Exhausted, lease: None }
    }

    /// The name of the reason in metrics and logs.
    pub fn reason_name(&self) -> &'static str {
        match self.reason {
            Reason::Exhausted => "exhausted",
            Reason::Starved => "starved",
            Reason::Isolated => "isolated",
            Reason::Blocked => "blocked",
        }
    }

    /// The name of the state of the lease in logs.
    pub fn lease_name(&self) -> Option<&'static str> {
        self.lease.map(|lease| match lease {
            LeaseState::Held => "held",
            LeaseState::Opening => "opening",
            LeaseState::Isolated => "isolated",
        })
    }

    /// Whether it is a limit of a usage plan.
    pub fn is_of_plan(&self) -> bool {
        match self.level {
            Level::Plan | Level::PlanMethod | Level::Quota => true,
            Level::Method | Level::Stage | Level::Account | Level::Node => false,
        }
    }
}

/// The places of a request's limits, most specific first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refs {
    all: [LimitRef; LIMITS_MAX],
    count: usize,
}

impl Refs {
    fn new() -> Self {
        Self { all: [LimitRef { cell: NONE, rate: NONE, quota: NONE }; LIMITS_MAX], count: 0 }
    }

    fn push(&mut self, limit: LimitRef) {
        if let Some(slot) = self.all.get_mut(self.count) {
            *slot = limit;
            self.count += 1;
        }
    }

    pub(crate) fn as_slice(&self) -> &[LimitRef] {
        self.all.get(..self.count).unwrap_or_default()
    }
}

impl Limits {
    /// Resolves limits for `stages`, the stages of a snapshot in its order, and declares them to `builder`.
    pub fn build(compiled: Arc<LimitsV1>, stages: &[Arc<StageTable>], builder: &mut Builder) -> Self {
        let holders = holders(&compiled);
        let account = compiled.account.and_then(|rate| {
            let spec = spec(rate, PolicyV1::default(), holders);
            gate(builder, ACCOUNT, ACCOUNT, spec, rate, Level::Account)
        });
        let gates =
            stages.iter().map(|stage| stage_gates(&compiled, stage, account, holders, builder)).collect();
        let plans = compiled.plans.iter().map(|plan| plan_gates(plan, stages)).collect();
        let keys = Arc::new(KeyTable::build(&compiled, builder));
        Self { compiled, keys, stages: gates, plans }
    }

    /// What it was made from.
    pub fn compiled(&self) -> &Arc<LimitsV1> {
        &self.compiled
    }

    /// Whether a stage takes its API keys from authorizers.
    pub(crate) fn key_from_authorizer(&self, stage: usize) -> bool {
        self.stages.get(stage).is_some_and(|gates| gates.key_from_authorizer)
    }

    /// Whether answers of a stage say how much is left.
    pub fn has_headers(&self, stage: usize) -> bool {
        self.stages.get(stage).is_some_and(|gates| gates.headers)
    }

    /// The key with a value, where it is enabled and one of its plans covers the stage.
    pub(crate) fn admit(&self, stage: usize, value: &[u8]) -> Option<Known> {
        let covers = |plan: u32| {
            let plan = self.plans.get(plan as usize);
            plan.is_some_and(|plan| plan.stages.iter().any(|one| one.stage as usize == stage))
        };
        self.keys.find(&tidegate_iam::sigv4::sha256(value), covers)
    }

    /// Id of a key.
    pub fn key_id(&self, known: Known) -> Option<&str> {
        self.keys.id(known)
    }

    /// Id of the usage plan that applies to a key.
    pub fn plan_id(&self, known: Known) -> Option<&str> {
        let (plan, _) = self.keys.gate(known)?;
        self.compiled.plans.get(plan as usize).map(|plan| plan.id.as_str())
    }

    /// Where the limits of a request are.
    #[inline]
    pub(crate) fn refs(&self, stage: usize, method: usize, known: Option<Known>) -> Refs {
        let mut refs = Refs::new();
        if let Some(known) = known {
            let (first, second) = self.plan_gates(stage, method, known);
            first.into_iter().chain(second).for_each(|gate| refs.push(gate.limit));
        }
        for limit in self.stages.get(stage).map_or(&[][..], |own| own.refs(method)) {
            refs.push(*limit);
        }
        refs
    }

    /// What a request is held against, in the same order.
    pub fn gates(&self, stage: usize, method: usize, known: Option<Known>) -> Vec<Gate> {
        let (first, second) = known.map_or((None, None), |known| self.plan_gates(stage, method, known));
        let own = self.stages.get(stage).map_or(&[][..], |own| own.gates(method));
        first.into_iter().chain(second).chain(own.iter().copied()).collect()
    }

    /// A key's rate and quota share a cell; a method's own limit takes the place of the rate alone.
    fn plan_gates(&self, stage: usize, method: usize, known: Known) -> (Option<Gate>, Option<Gate>) {
        let Some((plan, gate)) = self.keys.gate(known) else { return (None, None) };
        let covered = self
            .plans
            .get(plan as usize)
            .and_then(|plan| plan.stages.iter().find(|one| one.stage as usize == stage));
        let own = covered.and_then(|covered| {
            covered.methods.iter().find(|(place, _)| *place as usize == method).map(|(_, number)| *number)
        });
        let Some(own) = own.and_then(|number| self.keys.method_gate(known, number)) else {
            return (gate, None);
        };
        let quota = gate.filter(|gate| gate.limit.quota != NONE).map(|gate| Gate {
            limit: LimitRef { rate: NONE, ..gate.limit },
            level: Level::Quota,
            rate: None,
            ..gate
        });
        (Some(own), quota)
    }
}

impl StageGates {
    fn refs(&self, method: usize) -> &[LimitRef] {
        let Some((from, to)) = self.spans.get(method) else { return &[] };
        self.refs.get(*from as usize..*to as usize).unwrap_or_default()
    }

    fn gates(&self, method: usize) -> &[Gate] {
        let Some((from, to)) = self.spans.get(method) else { return &[] };
        self.gates.get(*from as usize..*to as usize).unwrap_or_default()
    }
}

fn stage_gates(
    compiled: &LimitsV1,
    table: &StageTable,
    account: Option<Gate>,
    holders: Holders,
    builder: &mut Builder,
) -> StageGates {
    let (api, name) = (table.api(), table.name());
    let own = compiled.stages.iter().find(|one| one.api == api && one.stage == name);
    let whole = own.and_then(|own| {
        let text = stage_text(api, name);
        gate(builder, &text, &text, spec(own.bucket?, own.policy, holders), own.bucket?, Level::Stage)
    });
    let (mut spans, mut gates) = (Vec::new(), Vec::new());
    for (path, verb) in table.routes() {
        let from = gates.len() as u32;
        let method = own.and_then(|own| method_gate(own, path, verb, holders, builder));
        gates.extend(method.into_iter().chain(whole).chain(account));
        spans.push((from, gates.len() as u32));
    }
    StageGates {
        headers: own.is_some_and(|own| own.headers),
        key_from_authorizer: own.is_some_and(|own| own.key_from_authorizer),
        spans: spans.into(),
        refs: gates.iter().map(|gate| gate.limit).collect(),
        gates: gates.into(),
    }
}

fn method_gate(
    own: &StageLimitsV1,
    path: &str,
    verb: &str,
    holders: Holders,
    builder: &mut Builder,
) -> Option<Gate> {
    let text = method_text(&own.api, &own.stage, verb, path);
    let (shared, rate) = match setting(&own.methods, path, verb) {
        Some(one) => (text.clone(), one.rate?),
        None => (format!("methods/{}/{}", own.api, own.stage), own.methods_default?),
    };
    gate(builder, &text, &shared, spec(rate, own.policy, holders), rate, Level::Method)
}

/// The setting for a method, by its own name first, then for any verb of its path.
fn setting<'a>(methods: &'a [MethodRateV1], path: &str, verb: &str) -> Option<&'a MethodRateV1> {
    let find = |verb: &str| methods.iter().find(|one| one.path == path && one.verb == verb);
    find(verb).or_else(|| find("ANY"))
}

fn plan_gates(plan: &PlanV1, stages: &[Arc<StageTable>]) -> PlanGates {
    let mut number = 0;
    let mut covered = Vec::new();
    for own in &plan.stages {
        let first = number;
        number += own.methods.len() as u32;
        let found = stages.iter().position(|stage| stage.api() == own.api && stage.name() == own.stage);
        let Some(stage) = found else { continue };
        let routes = stages.get(stage).into_iter().flat_map(|stage| stage.routes().enumerate());
        let methods = routes.filter_map(|(method, (path, verb))| {
            let at = own.methods.iter().position(|one| one.path == path && one.verb == verb);
            let at = at.or_else(|| own.methods.iter().position(|one| one.path == path && one.verb == "ANY"));
            Some((method as u32, first + at? as u32))
        });
        covered.push(PlanStage { stage: stage as u32, methods: methods.collect() });
    }
    PlanGates { stages: covered }
}

fn gate(
    builder: &mut Builder,
    name: &str,
    shared: &str,
    spec: Spec,
    rate: RateV1,
    level: Level,
) -> Option<Gate> {
    let limit = builder.declare(Name::of(name), Some((shared, spec)), None)?;
    Some(Gate { limit, level, rate: Some(rate), quota: None })
}

fn policy(policy: PolicyV1) -> Policy {
    Policy {
        strict: policy.strict,
        isolated: match policy.isolated {
            IsolatedV1::Even => Isolated::Even,
            IsolatedV1::Last => Isolated::Last,
            IsolatedV1::Closed => Isolated::Closed,
        },
        scope: if policy.global { Scope::Global } else { Scope::Region },
    }
}

fn spec(rate: RateV1, own: PolicyV1, holders: Holders) -> Spec {
    Spec::rate(rate.rate, rate.burst, policy(own), holders)
}

fn quota(quota: QuotaV1, own: PolicyV1) -> Spec {
    let period = match quota.period {
        PeriodV1::Day => Period::Day,
        PeriodV1::Week => Period::Week,
        PeriodV1::Month => Period::Month,
    };
    Spec::quota(quota.limit, quota.offset, period, quota.since_day, policy(own).scope)
}

/// How many nodes share limits, as they were compiled.
pub fn holders(compiled: &LimitsV1) -> Holders {
    let count = |number: u32| number.max(1) as usize;
    Holders {
        region: count(compiled.holders),
        all: count(compiled.all_holders.max(compiled.holders)),
        regions: count(compiled.regions),
    }
}
