//! From the replicated documents to what the data plane holds requests against. Owns which document limits what; must never
//! resolve a place.

use std::collections::HashMap;

use tidegate_proto::{
    compiled::limits::{
        IsolatedV1, KeyV1, LimitsV1, MethodRateV1, PeriodV1, PlanStageV1, PlanV1, PolicyV1, QuotaV1, RateV1,
        StageLimitsV1,
    },
    document::{
        ApiKey, ApiKeySource, ApiStage, Deployment, Document, Isolated, LimitPolicy, Map, MethodPath,
        QuotaPeriod, Scope, Stage, StageLimits, ThrottleSettings, UsagePlan,
    },
    key::{self, Key},
};
use tidegate_state::State;
use tidegate_throttle::Holders;

/// Compiles all limits of a region, as they are served in an availability zone. What cannot be read limits as if it were not there, and is named in the log: API keys then let
/// nobody in.
pub fn compile(state: &State, holders: Holders, region: &str, az: &str) -> LimitsV1 {
    let (count, spans) = (|number| u32::try_from(number).unwrap_or(u32::MAX), holders.regions > 1);
    let mut plans = readable("usage plans", state.usage_plans()).unwrap_or_default();
    plans.sort_by(|a, b| a.document.id.cmp(&b.document.id));
    let account = readable("account", state.account()).flatten();
    let memberships = memberships(state, &plans);
    let mut keys = Vec::new();
    for (name, record) in state.prefix(key::API_KEY_PREFIX) {
        let Key::ApiKey { key } = Key::parse(name) else { continue };
        let Some(document) = readable(name, ApiKey::decode(&record.bytes)) else { continue };
        keys.extend(api_key(&document, key, memberships.get(key).map_or(&[][..], |places| places)));
    }
    LimitsV1 {
        holders: count(holders.region),
        all_holders: count(holders.all),
        regions: count(holders.regions),
        account: account.and_then(|account| account.document.throttle_settings).and_then(rate),
        stages: stages(state, spans, region, az),
        plans: plans.iter().map(|plan| usage_plan(&plan.document, spans)).collect(),
        keys,
    }
}

/// How far the limits of a plan reach, among `holders`.
pub fn reach(plan: &UsagePlan, holders: Holders) -> tidegate_throttle::Scope {
    match policy(&plan.tags, holders.regions > 1).global {
        true => tidegate_throttle::Scope::Global,
        false => tidegate_throttle::Scope::Region,
    }
}

/// Whether a change of this record can change a limit.
pub(crate) fn concerns(name: &str) -> bool {
    match Key::parse(name) {
        Key::ApiKey { .. }
        | Key::UsagePlan { .. }
        | Key::UsagePlanKey { .. }
        | Key::Account
        | Key::Stage { .. } => true,
        Key::RestApi { .. }
        | Key::Resource { .. }
        | Key::Model { .. }
        | Key::Deployment { .. }
        | Key::ApiKeyValue { .. }
        | Key::Credential { .. }
        | Key::Certificate { .. }
        | Key::Cluster
        | Key::VpcLink { .. }
        | Key::Unknown => false,
    }
}

fn readable<T, E: std::fmt::Display>(what: &str, read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(what, %error, "not readable here; it limits nothing")).ok()
}

type Plans = [tidegate_state::table::Versioned<UsagePlan>];

/// The places of the plans of every key that is in one.
fn memberships<'a>(state: &'a State, plans: &Plans) -> HashMap<&'a str, Vec<u32>> {
    let places: HashMap<&str, u32> =
        plans.iter().enumerate().map(|(place, plan)| (plan.document.id.as_str(), place as u32)).collect();
    let mut all: HashMap<&str, Vec<u32>> = HashMap::new();
    for (name, _) in state.prefix(key::USAGE_PLAN_PREFIX) {
        if let Key::UsagePlanKey { plan, key } = Key::parse(name)
            && let Some(place) = places.get(plan)
        {
            all.entry(key).or_default().push(*place);
        }
    }
    all
}

fn api_key(document: &ApiKey, id: &str, plans: &[u32]) -> Option<KeyV1> {
    let digest = unhex(&document.value_sha256)?;
    Some(KeyV1 { id: id.to_owned(), digest, enabled: document.enabled, plans: plans.to_vec() })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn usage_plan(plan: &UsagePlan, spans: bool) -> PlanV1 {
    let since_day = plan.quota_since_s.unwrap_or(0).max(0) / 86_400;
    let quota = plan.quota.map(|quota| QuotaV1 {
        limit: u32::try_from(quota.limit).unwrap_or(u32::MAX),
        offset: u32::try_from(quota.offset).unwrap_or(u32::MAX),
        since_day: u32::try_from(since_day).unwrap_or(u32::MAX),
        period: period(quota.period),
    });
    PlanV1 {
        id: plan.id.clone(),
        policy: policy(&plan.tags, spans),
        rate: plan.throttle.and_then(rate),
        quota,
        stages: plan.api_stages.iter().map(plan_stage).collect(),
    }
}

fn plan_stage(stage: &ApiStage) -> PlanStageV1 {
    let methods = stage.throttle.iter().filter_map(|(name, settings)| match MethodPath::parse(name)? {
        MethodPath::All => None,
        MethodPath::One { path, verb } => Some(MethodRateV1 { path, verb, rate: rate(*settings) }),
    });
    PlanStageV1 { api: stage.api_id.clone(), stage: stage.stage.clone(), methods: methods.collect() }
}

fn period(period: QuotaPeriod) -> PeriodV1 {
    match period {
        QuotaPeriod::Day => PeriodV1::Day,
        QuotaPeriod::Week => PeriodV1::Week,
        QuotaPeriod::Month => PeriodV1::Month,
    }
}

/// A rate alone allows one second of it at once; a burst alone limits nothing.
fn rate(settings: ThrottleSettings) -> Option<RateV1> {
    let rate = settings.rate_limit?;
    let burst = settings.burst_limit.map_or_else(|| rate.ceil().max(1.0), f64::from);
    Some(RateV1 { rate, burst })
}

/// `spans` is whether there is more than one region that a limit could span.
fn policy(tags: &Map<String>, spans: bool) -> PolicyV1 {
    let LimitPolicy { strict, isolated, scope } =
        readable("tags", LimitPolicy::from_tags(tags)).unwrap_or_default();
    PolicyV1 {
        strict,
        isolated: match isolated {
            Isolated::Even => IsolatedV1::Even,
            Isolated::Last => IsolatedV1::Last,
            Isolated::Closed => IsolatedV1::Closed,
        },
        global: spans && scope == Scope::Global,
    }
}

/// Every stage that limits something, by API and name.
fn stages(state: &State, spans: bool, region: &str, az: &str) -> Vec<StageLimitsV1> {
    let mut all = Vec::new();
    for (name, record) in state.prefix(key::REST_API_PREFIX) {
        let Key::Stage { api, .. } = Key::parse(name) else { continue };
        let Some(stage) = readable(name, Stage::decode(&record.bytes)) else { continue };
        let stage = stage.served_in(region, az);
        let deployment = readable(name, state.deployment(api, &stage.deployment_id)).flatten();
        let deployment = deployment.map(|deployment| deployment.document);
        let limits = stage_limits(api, &stage, deployment.as_ref(), spans);
        if limits
            != (StageLimitsV1 {
                api: limits.api.clone(),
                stage: limits.stage.clone(),
                ..StageLimitsV1::default()
            })
        {
            all.push(limits);
        }
    }
    all
}

fn stage_limits(api: &str, stage: &Stage, deployment: Option<&Deployment>, spans: bool) -> StageLimitsV1 {
    let own = readable("tags", StageLimits::from_tags(&stage.tags)).unwrap_or_default();
    let mut limits = StageLimitsV1 {
        api: api.to_owned(),
        stage: stage.stage_name.clone(),
        policy: policy(&stage.tags, spans),
        headers: own.rate_limit_headers,
        key_from_authorizer: deployment
            .is_some_and(|deployment| deployment.definition.api.api_key_source == ApiKeySource::Authorizer),
        bucket: own
            .bucket
            .map(|bucket| RateV1 { rate: bucket.rate_limit, burst: f64::from(bucket.burst_limit) }),
        ..StageLimitsV1::default()
    };
    for (name, setting) in &stage.method_settings {
        // A negative number takes the limit away.
        let is_set = setting.throttling_rate_limit >= 0.0 && setting.throttling_burst_limit >= 0;
        let burst = setting.throttling_burst_limit as f64;
        let rate = is_set.then_some(RateV1 { rate: setting.throttling_rate_limit, burst });
        match MethodPath::parse(name) {
            Some(MethodPath::All) => limits.methods_default = rate,
            Some(MethodPath::One { path, verb }) => limits.methods.push(MethodRateV1 { path, verb, rate }),
            None => tracing::error!(api, name, "a method setting names no method; it limits nothing"),
        }
    }
    limits
}

#[cfg(test)]
mod tests;
