//! The configuration that every run begins with: two APIs with limits of each kind, and keys that clients use as registers. Owns their
//! names and the numbers of the limits, which vary by seed.

use tidegate_proto::{
    document::{
        ApiDefinition, ApiKey, ApiStage, Deployment, Integration, Map, Method, MethodSetting, QuotaPeriod,
        QuotaSettings, Resource, RestApi, Stage, UsagePlan, UsagePlanKey,
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
/// Value of the API key.
pub(crate) const API_KEY: &str = "key-of-the-simulation";
/// Deployments that the stage of [`OPEN`] moves between.
pub(crate) const DEPLOYMENTS: usize = 4;
/// Keys that are registers.
pub(crate) const REGISTERS: usize = 5;

/// The numbers of the limits of a seed: large ones are cut among nodes, small ones counted or handed out one by one.
pub(crate) fn numbers(seed: u64) -> Numbers {
    let mut chance = Chance::new(seed, "limits");
    let mut rate = || match chance.below(2) {
        0 => Limit { rate: 10.0, burst: 80.0 },
        _ => Limit { rate: 4.0, burst: 4.0 },
    };
    let (open, strict) = (rate(), rate());
    Numbers { open, strict, quota: 30 + chance.below(200) as u32 }
}

/// API and stage of a limit.
pub(crate) fn stage_of(limited: Limited) -> (&'static str, &'static str) {
    match limited {
        Limited::Open => OPEN,
        Limited::Strict => STRICT,
        Limited::Quota => PAID,
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

/// Everything that is there at the beginning.
pub(crate) fn founding(seed: u64) -> TransactionV1 {
    let numbers = numbers(seed);
    let mut all = TransactionV1::default();
    for number in 0..DEPLOYMENTS {
        all.put(key::deployment(OPEN.0, &deployment(number)), &api(OPEN.0, &deployment(number), false));
    }
    all.put(key::stage(OPEN.0, OPEN.1), &open_stage(seed, &deployment(0)));
    let mut strict = stage(STRICT.1, "d", Some(numbers.strict));
    strict.tags.insert("tidegate:strict".into(), "true".into());
    all.put(key::deployment(STRICT.0, "d"), &api(STRICT.0, "d", false));
    all.put(key::stage(STRICT.0, STRICT.1), &strict);
    all.put(key::deployment(PAID.0, "d"), &api(PAID.0, "d", true));
    all.put(key::stage(PAID.0, PAID.1), &stage(PAID.1, "d", None));
    let plan = UsagePlan {
        id: "plan".into(),
        api_stages: vec![ApiStage { api_id: PAID.0.into(), stage: PAID.1.into(), ..ApiStage::default() }],
        quota: Some(QuotaSettings { limit: numbers.quota.into(), offset: 0, period: QuotaPeriod::Day }),
        quota_since_s: Some(0),
        ..UsagePlan::default()
    };
    let digest = tidegate_iam::sigv4::payload_sha256_hex(API_KEY.as_bytes());
    let own = ApiKey { id: "key".into(), enabled: true, value_sha256: digest, ..ApiKey::default() };
    let member = UsagePlanKey { key_id: "key".into(), plan_id: "plan".into(), ..UsagePlanKey::default() };
    all.put(key::usage_plan("plan"), &plan).put(key::api_key("key"), &own);
    all.put(key::usage_plan_key("plan", "key"), &member);
    all
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
