//! Documents in, limits out.

use tidegate_proto::{
    document::{Account, MethodSetting, QuotaSettings, UsagePlanKey},
    transaction::TransactionV1,
};

use super::*;

/// A plan, two keys, two stages and an account.
fn sample() -> State {
    let mut state = State::default();
    let mut transaction = TransactionV1::default();
    let throttle = ThrottleSettings { burst_limit: Some(4), rate_limit: Some(2.5) };
    let plan = UsagePlan {
        id: "p".into(),
        api_stages: vec![ApiStage {
            api_id: "a".into(),
            stage: "prod".into(),
            throttle: Map::from([(
                "/pets/GET".into(),
                ThrottleSettings { burst_limit: None, rate_limit: Some(0.5) },
            )]),
            ..ApiStage::default()
        }],
        throttle: Some(throttle),
        quota: Some(QuotaSettings { limit: 1 << 40, offset: 3, period: QuotaPeriod::Week }),
        quota_since_s: Some(20_000 * 86_400 + 5),
        tags: Map::from([("tidegate:strict".into(), "true".into())]),
        ..UsagePlan::default()
    };
    let key = |id: &str, enabled| ApiKey {
        id: id.into(),
        enabled,
        value_sha256: "0f".repeat(32),
        ..ApiKey::default()
    };
    let setting =
        MethodSetting { throttling_rate_limit: 7.0, throttling_burst_limit: 3, ..MethodSetting::default() };
    let off =
        MethodSetting { throttling_rate_limit: -1.0, throttling_burst_limit: -1, ..MethodSetting::default() };
    let stage = Stage {
        stage_name: "prod".into(),
        method_settings: Map::from([("*/*".into(), setting), ("~1pets/GET".into(), off)]),
        tags: Map::from([
            ("tidegate:stage-rate-limit".into(), "9".into()),
            ("tidegate:rate-limit-headers".into(), "true".into()),
            ("tidegate:isolated".into(), "last".into()),
        ]),
        ..Stage::default()
    };
    transaction
        .put(key::usage_plan("p"), &plan)
        .put(key::api_key("k"), &key("k", true))
        .put(key::api_key("m"), &key("m", false))
        .put(
            key::usage_plan_key("p", "k"),
            &UsagePlanKey { key_id: "k".into(), plan_id: "p".into(), ..Default::default() },
        )
        .put(key::stage("a", "prod"), &stage)
        .put(key::stage("a", "plain"), &Stage { stage_name: "plain".into(), ..Stage::default() })
        .put(key::ACCOUNT, &Account { throttle_settings: Some(throttle), ..Account::default() });
    state.apply(transaction);
    state
}

#[test]
fn every_document_limits_what_it_says() {
    let state = sample();
    let limits = compile(&state, 3.into(), "r", "a");
    let bucket = Some(RateV1 { rate: 2.5, burst: 4.0 });
    let policy = PolicyV1 { strict: true, isolated: IsolatedV1::Closed, global: false };
    assert_eq!((limits.holders, limits.account), (3, bucket));
    let quota = QuotaV1 { limit: u32::MAX, offset: 3, since_day: 20_000, period: PeriodV1::Week };
    let pets = |rate| MethodRateV1 { path: "/pets".into(), verb: "GET".into(), rate };
    assert_eq!(
        limits.plans,
        [PlanV1 {
            id: "p".into(),
            policy,
            rate: bucket,
            quota: Some(quota),
            stages: vec![PlanStageV1 {
                api: "a".into(),
                stage: "prod".into(),
                methods: vec![pets(Some(RateV1 { rate: 0.5, burst: 1.0 }))],
            }],
        }]
    );
    let keys: Vec<_> =
        limits.keys.iter().map(|key| (key.id.as_str(), key.enabled, key.plans.as_slice())).collect();
    assert_eq!(keys, [("k", true, &[0][..]), ("m", false, &[])]);
    assert_eq!(limits.keys[0].digest, [15; 32]);
    assert_eq!(
        limits.stages,
        [StageLimitsV1 {
            api: "a".into(),
            stage: "prod".into(),
            policy: PolicyV1 { isolated: IsolatedV1::Last, ..PolicyV1::default() },
            headers: true,
            bucket: Some(RateV1 { rate: 9.0, burst: 9.0 }),
            methods_default: Some(RateV1 { rate: 7.0, burst: 3.0 }),
            methods: vec![pets(None)],
            ..StageLimitsV1::default()
        }]
    );
}

#[test]
fn a_limit_spans_regions_where_there_are_several() {
    let mut state = sample();
    let mut transaction = TransactionV1::default();
    let tags = Map::from([("tidegate:scope".into(), "global".into())]);
    let plan = UsagePlan { id: "w".into(), tags, ..UsagePlan::default() };
    transaction.put(key::usage_plan("w"), &plan);
    state.apply(transaction);
    for (holders, spans) in [(Holders::from(6), false), (Holders { region: 3, all: 6, regions: 2 }, true)] {
        let limits = compile(&state, holders, "r", "a");
        let global: Vec<bool> = limits.plans.iter().map(|plan| plan.policy.global).collect();
        assert_eq!((global, limits.all_holders), (vec![false, spans], 6));
        let scope = if spans { tidegate_throttle::Scope::Global } else { tidegate_throttle::Scope::Region };
        assert_eq!(reach(&plan, holders), scope);
    }
}

#[test]
fn what_cannot_limit_is_left_out() {
    for (name, is_of_concern) in [
        (key::stage("a", "s"), true),
        (key::api_key("k"), true),
        (key::usage_plan("p"), true),
        (key::usage_plan_key("p", "k"), true),
        (key::ACCOUNT.to_owned(), true),
        (key::resource("a", "r"), false),
        (key::drain(3), false),
    ] {
        assert_eq!(concerns(&name), is_of_concern, "{name}");
    }
    assert!(unhex("00").is_none() && unhex(&"g".repeat(64)).is_none() && unhex(&"é".repeat(32)).is_none());
}
