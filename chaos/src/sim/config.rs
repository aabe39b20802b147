//! The configuration that every run begins with: two APIs with limits of each kind, and keys that clients use as registers. Owns their
//! names and the numbers of the limits, which vary by seed.

use tidegate_proto::{
    document::{
        ApiDefinition, ApiKey, ApiStage, Deployment, Integration, Map, Method, MethodSetting, QuotaPeriod,
        QuotaSettings, Resource, RestApi, Stage, UsagePlan, UsagePlanKey, policy,
    },
    key,
    transaction::{PutV1, TransactionV1},
};

use super::invariants::{Limited, Numbers};
use crate::flood::{Chance, Limit};

/// The API whose stage clients change; its limit is a rate as it comes.
pub(crate) const OPEN: (&str, &str) = ("open", "s");
/// With a strict rate.
const STRICT: (&str, &str) = ("strict", "s");
/// With a quota per API key.
const PAID: (&str, &str) = ("paid", "s");
/// The same two over all regions.
const WIDE: (&str, &str) = ("wide", "s");
const WIDE_PAID: (&str, &str) = ("wide-paid", "s");
/// Value of the API key.
pub(crate) const API_KEY: &str = "key-of-the-simulation";
/// Deployments that the stage of [`OPEN`] moves between.
pub(crate) const DEPLOYMENTS: usize = 4;
/// Keys that are registers.
pub(crate) const REGISTERS: usize = 5;

/// The numbers of the limits of a seed: large ones are cut among nodes, small ones counted or handed out one by one.
pub(crate) fn numbers(seed: u64) -> Numbers {
    let mut chance = Chance::new(seed, "limits");
    let rate = |chance: &mut Chance| match chance.below(2) {
        0 => Limit { rate: 10.0, burst: 80.0 },
        _ => Limit { rate: 4.0, burst: 4.0 },
    };
    let quota = |chance: &mut Chance| 30 + chance.below(200) as u32;
    Numbers {
        open: rate(&mut chance),
        strict: rate(&mut chance),
        quota: quota(&mut chance),
        wide_strict: rate(&mut chance),
        wide_quota: quota(&mut chance),
    }
}

/// API and stage of a limit.
pub(crate) fn stage_of(limited: Limited) -> (&'static str, &'static str) {
    match limited {
        Limited::Open => OPEN,
        Limited::Strict => STRICT,
        Limited::Quota => PAID,
        Limited::WideStrict => WIDE,
        Limited::WideQuota => WIDE_PAID,
    }
}

/// Name of a deployment of [`OPEN`].
pub(crate) fn deployment(number: usize) -> String {
    format!("d{number}")
}

/// The stage of [`OPEN`] with a deployment.
pub(crate) fn open_stage(seed: u64, deployment: &str) -> Stage {
    stage(OPEN.1, deployment, Some(numbers(seed).open))
}

/// Key of a register; no part of the product reads it.
pub(crate) fn register(number: usize) -> String {
    format!("register/{number}")
}

/// A write of a register: the value, if the register has this revision still.
pub(crate) fn set(number: usize, value: u64, revision: Option<u64>) -> TransactionV1 {
    let mut transaction = TransactionV1::default();
    if let Some(revision) = revision {
        transaction.compare(register(number), revision);
    }
    transaction.puts.push(PutV1 { key: register(number), bytes: value.to_le_bytes().to_vec() });
    transaction
}

/// What a register's bytes say.
pub(crate) fn value(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Everything that is there at the beginning; limits over regions only where there are two.
pub(crate) fn founding(seed: u64, is_wide: bool) -> TransactionV1 {
    let numbers = numbers(seed);
    let mut all = TransactionV1::default();
    for number in 0..DEPLOYMENTS {
        all.put(key::deployment(OPEN.0, &deployment(number)), &api(OPEN.0, &deployment(number), false));
    }
    all.put(key::stage(OPEN.0, OPEN.1), &open_stage(seed, &deployment(0)));
    let digest = tidegate_iam::sigv4::payload_sha256_hex(API_KEY.as_bytes());
    let own = ApiKey { id: "key".into(), enabled: true, value_sha256: digest, ..ApiKey::default() };
    all.put(key::api_key("key"), &own);
    limit(&mut all, STRICT, numbers.strict, tags(false, true));
    pay(&mut all, PAID, numbers.quota, tags(false, false));
    if is_wide {
        limit(&mut all, WIDE, numbers.wide_strict, tags(true, true));
        pay(&mut all, WIDE_PAID, numbers.wide_quota, tags(true, false));
    }
    all
}

fn tags(is_wide: bool, is_strict: bool) -> Map<String> {
    let scope = is_wide.then(|| (policy::SCOPE.to_owned(), "global".to_owned()));
    let strict = is_strict.then(|| (policy::STRICT.to_owned(), "true".to_owned()));
    scope.into_iter().chain(strict).collect()
}

/// An API with a rate.
fn limit(all: &mut TransactionV1, (id, name): (&str, &str), limit: Limit, tags: Map<String>) {
    let stage = Stage { tags, ..stage(name, "d", Some(limit)) };
    all.put(key::deployment(id, "d"), &api(id, "d", false)).put(key::stage(id, name), &stage);
}

/// An API whose callers have a quota, by the key of all.
fn pay(all: &mut TransactionV1, (id, name): (&str, &str), quota: u32, tags: Map<String>) {
    all.put(key::deployment(id, "d"), &api(id, "d", true)).put(key::stage(id, name), &stage(name, "d", None));
    let plan = UsagePlan {
        id: id.into(),
        api_stages: vec![ApiStage { api_id: id.into(), stage: name.into(), ..ApiStage::default() }],
        quota: Some(QuotaSettings { limit: quota.into(), offset: 0, period: QuotaPeriod::Day }),
        quota_since_s: Some(0),
        tags,
        ..UsagePlan::default()
    };
    let member = UsagePlanKey { key_id: "key".into(), plan_id: id.into(), ..UsagePlanKey::default() };
    all.put(key::usage_plan(id), &plan).put(key::usage_plan_key(id, "key"), &member);
}

fn stage(name: &str, deployment: &str, limit: Option<Limit>) -> Stage {
    let setting = |limit: Limit| MethodSetting {
        throttling_rate_limit: limit.rate,
        throttling_burst_limit: limit.burst as i64,
        ..MethodSetting::default()
    };
    let settings = limit.map(|limit| ("*/*".to_owned(), setting(limit)));
    Stage {
        stage_name: name.into(),
        deployment_id: deployment.into(),
        method_settings: settings.into_iter().collect(),
        ..Stage::default()
    }
}

fn api(id: &str, deployment: &str, needs_key: bool) -> Deployment {
    let integration = Integration {
        kind: "MOCK".into(),
        request_templates: Map::from([("application/json".into(), r#"{"statusCode":200}"#.into())]),
        ..Integration::default()
    };
    let method = Method {
        http_method: "GET".into(),
        authorization_type: "NONE".into(),
        api_key_required: needs_key,
        method_integration: Some(integration),
        ..Method::default()
    };
    let root = Resource {
        id: "root".into(),
        path: "/".into(),
        resource_methods: Map::from([("GET".into(), method)]),
        ..Resource::default()
    };
    let api = RestApi { id: id.into(), root_resource_id: "root".into(), ..RestApi::default() };
    let definition = ApiDefinition { api, resources: vec![root], ..ApiDefinition::default() };
    Deployment { id: deployment.into(), definition, ..Deployment::default() }
}
