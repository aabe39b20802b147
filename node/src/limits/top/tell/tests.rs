//! What is told of each kind of limit.

use super::*;
use tidegate_throttle::Policy;

const STRICT: Policy = Policy { strict: true, isolated: Isolated::Closed, scope: Scope::Region };

/// A teller that knows one limit called `name`.
fn teller(name: &str, spec: Spec, subject: Subject) -> Teller {
    let mut builder = Index::default().succeed(3, 0);
    let quota = matches!(spec.kind, Kind::Quota(_));
    let one = Some(("text", spec));
    let (rate, quota) = if quota { (None, one) } else { (one, None) };
    builder.declare(Name::of(name), rate, quota).unwrap();
    Teller {
        index: Arc::new(builder.finish()),
        state: State::default(),
        subjects: [(Name::of(name), subject)].into(),
        azs: [(1, "az-a".to_owned())].into(),
    }
}

fn merged(limit: LimitId, level: Option<i64>, shares: &[u32]) -> Merged {
    let of = |(at, share): (usize, &u32)| BusyHolderV1 {
        holder: at as u64 + 1,
        demand: 10.0,
        refused: 4.0,
        share: *share,
    };
    let holders: Vec<_> = shares.iter().enumerate().map(of).collect();
    let (demand, refused) = (10.0 * shares.len() as f64, 4.0 * shares.len() as f64);
    Merged { limit: limit.number(), holders, demand, refused, admitted: demand - refused, level, short: true }
}

#[test]
fn figures_follow_the_kind() {
    let quota = Spec::quota(200, 0, Period::Week, 1, Scope::Region);
    for (spec, level, shares, kind, strict, fill, left, told) in [
        (
            Spec::rate(40.0, 100.0, Policy::default(), 3),
            Some(1),
            vec![WHOLE / 3; 3],
            "slice",
            false,
            Some(45.0),
            None,
            Some(33.33),
        ),
        (Spec::rate(40.0, 100.0, STRICT, 3), None, vec![WHOLE], "slice", true, Some(15.0), None, Some(100.0)),
        (
            Spec::rate(40.0, 10.0, Policy::default(), 3),
            Some(-2_500),
            vec![0; 2],
            "count",
            false,
            Some(30.0),
            Some(0.0),
            None,
        ),
        (
            Spec::rate(40.0, 10.0, STRICT, 3),
            Some(6_000),
            vec![3],
            "pool",
            true,
            Some(15.0),
            Some(6.0),
            Some(30.0),
        ),
        (quota, Some(50_000), vec![20; 2], "quota", true, Some(75.0), Some(50.0), Some(10.0)),
        (quota, None, vec![20; 2], "quota", true, None, None, Some(10.0)),
    ] {
        let subject = Subject::Key { plan: "p1".into(), key: "k1".into() };
        let teller = teller("one", spec, subject);
        let found = teller.tell(&merged(Name::of("one").limit(spec.kind), level, &shares));
        let figures = (&*found.kind, found.policy.strict, found.fill_percent, found.remaining);
        assert_eq!(figures, (kind, strict, fill, left), "{spec:?}");
        assert_eq!(found.holders[0].share_percent, told, "{spec:?}");
        let sum: f64 = found.holders.iter().filter_map(|one| one.share_percent).sum();
        assert!(sum <= 100.0, "{found:?}");
        assert_eq!((&*found.holders[0].az, found.limit.as_str()), ("az-a", "p1/k1"));
        assert_eq!(found.level, if kind == "quota" { "quota" } else { "plan" });
        assert_eq!(found.period.is_some(), kind == "quota");
    }
}

#[test]
fn names_and_filters_follow_the_subject() {
    let (api, stage, method) = (|| "a1".to_owned(), || "prod".to_owned(), || "GET /x".to_owned());
    let (plan, key) = (|| "p1".to_owned(), || "k1".to_owned());
    let ask = |api: Option<&str>, stage: Option<&str>, level: Option<&str>| TopQuestion {
        count: 9,
        api: api.map(str::to_owned),
        stage: stage.map(str::to_owned),
        level: level.map(str::to_owned),
    };
    for (subject, name, level, of_api) in [
        (Subject::Account, "account", "account", false),
        (Subject::Stage { api: api(), stage: stage() }, "a1/prod", "stage", true),
        (Subject::Method { api: api(), stage: stage(), method: method() }, "a1/prod GET /x", "method", true),
        (Subject::Key { plan: plan(), key: key() }, "p1/k1", "plan", false),
        (
            Subject::KeyMethod { plan: plan(), key: key(), api: api(), stage: stage(), method: method() },
            "p1/k1 a1/prod GET /x",
            "plan-method",
            true,
        ),
    ] {
        let spec = Spec::rate(40.0, 100.0, Policy::default(), 3);
        let one = merged(Name::of("one").limit(spec.kind), None, &[1]);
        let found = teller("one", spec, subject).tell(&one);
        assert_eq!((&*found.limit, &*found.level), (name, level));
        for (question, expect) in [
            (ask(None, None, None), true),
            (ask(Some("a1"), None, None), of_api),
            (ask(Some("a1"), Some("prod"), Some(level)), of_api),
            (ask(Some("a2"), None, None), false),
            (ask(None, Some("test"), None), false),
            (ask(None, None, Some("quota")), false),
        ] {
            assert_eq!(matches(&found, &question), expect, "{name} {question:?}");
        }
    }
}

#[test]
fn a_limit_that_is_gone_keeps_its_number() {
    let spec = Spec::rate(40.0, 100.0, Policy::default(), 3);
    let teller = teller("one", spec, Subject::Account);
    let other = Name::of("other").limit(Kind::Count);
    let found = teller.tell(&merged(other, Some(1), &[1]));
    let number = format!("{:016x}", other.number());
    assert_eq!((found.limit, found.id, &*found.level), (number.clone(), number, "unknown"));
    assert_eq!((found.rate, found.fill_percent, found.holders[0].share_percent), (None, None, None));
}
