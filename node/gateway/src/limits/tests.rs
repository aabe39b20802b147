//! Which limits a request meets, and in which order.

use std::sync::Arc;

use tidegate_proto::{
    compiled::limits::{KeyV1, LimitsV1, MethodRateV1, PlanStageV1, PlanV1, QuotaV1, RateV1, StageLimitsV1},
    document::Stage,
};
use tidegate_throttle::{Agent, Bank, Identity, Index, Now, Timing};

use super::*;
use crate::{
    Rejection, Snapshot, address, authorize,
    testing::{definition, http_proxy, turnstile},
    throttle,
};

fn rate(rate: f64, burst: f64) -> Option<RateV1> {
    Some(RateV1 { rate, burst })
}

fn method(path: &str, verb: &str, rate: Option<RateV1>) -> MethodRateV1 {
    MethodRateV1 { path: path.into(), verb: verb.into(), rate }
}

fn key(id: &str, value: &str, plans: &[u32]) -> KeyV1 {
    let digest = tidegate_iam::sigv4::sha256(value.as_bytes());
    KeyV1 { id: id.into(), digest, enabled: id != "off", plans: plans.to_vec() }
}

/// Two stages of one API with `/a` and `/b`, which needs a key, and what limits them.
fn plane(limits: LimitsV1) -> (Snapshot, Arc<Bank>) {
    let mut open = definition(&[
        ("/a", "GET", Some(http_proxy("http://up/"))),
        ("/b", "GET", Some(http_proxy("http://up/"))),
    ]);
    open.resources[1].resource_methods.get_mut("GET").unwrap().api_key_required = true;
    let stage = |name: &str| {
        let stage = Stage { stage_name: name.into(), ..Stage::default() };
        Arc::new(StageTable::compile(&open, &stage).unwrap())
    };
    let snapshot = Snapshot::new(1, 1, "r", "a", vec![stage("prod"), stage("test")]);
    let bank = Arc::new(Bank::new());
    let mut builder = Index::default().succeed(1, 0);
    let limits = Limits::build(Arc::new(limits), snapshot.stages(), &mut builder);
    let identity = Identity { holder: 1, incarnation: 1, has_lived: false };
    Agent::new(identity, Timing::default(), bank.clone()).adopt(Arc::new(builder.finish()), Now::default());
    (snapshot.with_limits(Arc::new(limits)), bank)
}

fn call(plane: &(Snapshot, Arc<Bank>), path: &str, key: Option<&str>, now_ns: u64) -> Result<(), Rejection> {
    let routed = plane.0.route(address(b"api1.execute-api.r", path), "GET")?;
    throttle(authorize(routed, || key)?, &turnstile(&plane.1, None, now_ns)).map(|_| ())
}

fn levels(plane: &(Snapshot, Arc<Bank>), path: &str, key: Option<&str>) -> Vec<Level> {
    let routed = plane.0.route(address(b"api1.execute-api.r", path), "GET").unwrap();
    authorize(routed, || key).unwrap().gates().iter().map(|gate| gate.level).collect()
}

fn sample() -> LimitsV1 {
    let quota = Some(QuotaV1 { limit: 9, ..QuotaV1::default() });
    let covers = |stage: &str, methods: Vec<MethodRateV1>| PlanStageV1 {
        api: "api1".into(),
        stage: stage.into(),
        methods,
    };
    LimitsV1 {
        holders: 1,
        all_holders: 1,
        regions: 1,
        account: rate(1_000.0, 100.0),
        stages: vec![StageLimitsV1 {
            api: "api1".into(),
            stage: "prod".into(),
            bucket: rate(500.0, 50.0),
            methods_default: rate(10.0, 5.0),
            methods: vec![method("/a", "GET", rate(3.0, 2.0))],
            ..StageLimitsV1::default()
        }],
        plans: vec![
            PlanV1 {
                id: "p".into(),
                rate: rate(2.0, 3.0),
                stages: vec![covers("prod", vec![])],
                ..PlanV1::default()
            },
            PlanV1 {
                id: "q".into(),
                rate: rate(2.0, 3.0),
                quota,
                stages: vec![covers("test", vec![method("/b", "ANY", rate(1.0, 1.0))])],
                ..PlanV1::default()
            },
            PlanV1 { id: "free".into(), stages: vec![covers("test", vec![])], ..PlanV1::default() },
        ],
        keys: vec![
            key("both", "b", &[0, 1]),
            key("off", "o", &[0]),
            key("none", "n", &[]),
            key("free", "f", &[2]),
        ],
    }
}

#[test]
fn the_most_specific_limit_of_each_level_applies() {
    let plane = plane(sample());
    let (plan, own, quota) = (Level::Plan, Level::PlanMethod, Level::Quota);
    let (method, stage, account) = (Level::Method, Level::Stage, Level::Account);
    for (path, key, expect) in [
        ("/prod/a", None, &[method, stage, account][..]),
        ("/prod/a", Some("b"), &[method, stage, account]),
        ("/prod/b", Some("b"), &[plan, method, stage, account]),
        ("/test/b", Some("b"), &[own, quota, account]),
        ("/test/b", Some("f"), &[account]),
        ("/test/a", None, &[account]),
    ] {
        assert_eq!(levels(&plane, path, key), expect, "{path} {key:?}");
    }
}

#[test]
fn only_a_key_whose_plan_covers_the_stage_lets_in() {
    let plane = plane(sample());
    for (path, key, is_let_in) in [
        ("/prod/b", Some("b"), true),
        ("/prod/b", Some("o"), false),
        ("/prod/b", Some("n"), false),
        ("/prod/b", Some("f"), false),
        ("/prod/b", Some("B"), false),
        ("/prod/b", Some(""), false),
        ("/prod/b", None, false),
        ("/prod/a", None, true),
    ] {
        let refused = call(&plane, path, key, 1).err();
        assert_eq!(refused, (!is_let_in).then_some(Rejection::InvalidApiKey), "{path} {key:?}");
    }
    let mut from_authorizer = sample();
    from_authorizer.stages[0].key_from_authorizer = true;
    let plane = self::plane(from_authorizer);
    assert_eq!(call(&plane, "/prod/b", Some("b"), 1), Err(Rejection::InvalidApiKey));
}

#[test]
fn a_refusal_names_its_limit_and_costs_the_others_nothing() {
    let plane = plane(sample());
    let refused =
        |path: &str, key: Option<&str>| call(&plane, path, key, 1).unwrap_err().shortage().unwrap().level;
    (0..2).for_each(|_| call(&plane, "/prod/a", None, 1).unwrap());
    (0..200).for_each(|_| assert_eq!(refused("/prod/a", None), Level::Method));
    (0..3).for_each(|_| call(&plane, "/prod/b", Some("b"), 1).unwrap());
    (0..200).for_each(|_| assert_eq!(refused("/prod/b", Some("b")), Level::Plan));
    assert_eq!(refused("/test/b", Some("b")), Level::Quota, "no ledger has granted any of it");
    let shortage =
        |path: &str, key: Option<&str>| call(&plane, path, key, 1).unwrap_err().shortage().unwrap();
    for (path, key, is_of_plan) in [("/prod/a", None, false), ("/prod/b", Some("b"), true)] {
        let shortage = shortage(path, key);
        assert_eq!((shortage.is_of_plan(), shortage.lease_name()), (is_of_plan, Some("opening")), "{path}");
    }
    let routed = plane.0.route(address(b"api1.execute-api.r", "/prod/b"), "GET").unwrap();
    let known = authorize(routed, || Some("b")).unwrap().known().unwrap();
    assert_eq!(plane.0.limits().plan_id(known), Some("p"));
    // The account's bucket has paid for the five that were admitted and nothing else.
    let admitted = (0..200).filter(|_| call(&plane, "/test/a", None, 1).is_ok()).count();
    assert_eq!(admitted, 95);
}

#[test]
fn equal_settings_of_two_methods_are_two_buckets() {
    let mut limits = sample();
    limits.stages[0].methods.clear();
    let plane = plane(limits);
    let admitted =
        |path: &str, key: Option<&str>| (0..20).filter(|_| call(&plane, path, key, 1).is_ok()).count();
    assert_eq!((admitted("/prod/a", None), admitted("/prod/b", Some("b"))), (5, 3));
}

#[test]
fn limits_come_back_from_disk() {
    let (snapshot, _) = plane(sample());
    let (_, limits) = Snapshot::decode(&snapshot.encode().unwrap()).unwrap();
    assert_eq!(limits, sample());
}

#[test]
fn names_lead_back_to_what_they_limit() {
    let (snapshot, _) = plane(sample());
    let text = str::to_owned;
    let (api, prod, test) = (|| text("api1"), || text("prod"), || text("test"));
    for (name, expect) in [
        ("account", Some(Subject::Account)),
        ("stage/api1/prod", Some(Subject::Stage { api: api(), stage: prod() })),
        (
            "method/api1/prod/GET /a",
            Some(Subject::Method { api: api(), stage: prod(), method: text("GET /a") }),
        ),
        ("method/api1/test/GET /a", None),
        ("plan/q/key/both", Some(Subject::Key { plan: text("q"), key: text("both") })),
        ("plan/q/key/off", None),
        (
            "plan/q/api1/test/ANY /b/key/both",
            Some(Subject::KeyMethod {
                plan: text("q"),
                key: text("both"),
                api: api(),
                stage: test(),
                method: text("ANY /b"),
            }),
        ),
        ("unheard of", None),
    ] {
        let name_of = Name::of(name);
        let found = subjects(&sample(), snapshot.stages(), [name_of].into());
        assert_eq!(found.get(&name_of), expect.as_ref(), "{name}");
    }
}
