//! What was counted: asked of the counters, printed as AWS does.

use serde_json::{Value, json};

use super::rig::{Rig, patch, replace, text};
use crate::{DayUsage, KeyUsage, UsageError};

/// 2023-11-14, the day of the rig's clock.
const TODAY: i32 = 19_675;

fn counted(key: &str, days: &[(i32, u64, u64)]) -> KeyUsage {
    let days =
        days.iter().map(|(day, used, remaining)| DayUsage { day: *day, used: *used, remaining: *remaining });
    KeyUsage { key: key.into(), days: days.collect() }
}

/// A plan with a quota of 100 a week.
fn quota_plan(rig: &Rig) -> String {
    let body = json!({ "name": "gold", "quota": { "limit": 100, "period": "WEEK" } });
    text(&rig.expect(201, "POST", "/usageplans", body)["id"])
}

#[test]
fn usage_is_printed_by_key_and_day() {
    let rig = Rig::new();
    let plan = quota_plan(&rig);
    let mut keys = [rig.key("one"), rig.key("two")];
    keys.sort();
    for key in &keys {
        rig.join(&plan, key);
    }
    *rig.usage.usage.lock().unwrap() =
        vec![counted(&keys[1], &[(TODAY + 1, 3, 90), (TODAY, 7, 93)]), counted("stranger", &[(TODAY, 1, 1)])];
    let usage = format!("/usageplans/{plan}/usage");
    let dates = "startDate=2023-11-14&endDate=2023-11-16";
    let expect = json!({
        "usagePlanId": plan, "startDate": "2023-11-14", "endDate": "2023-11-16",
        "values": {
            (keys[0].clone()): [[0, 100], [0, 100], [0, 100]],
            (keys[1].clone()): [[7, 93], [3, 90], [0, 100]],
        },
    });
    assert_eq!(rig.expect(200, "GET", &format!("{usage}?{dates}"), json!(null)), expect);
    let one = rig.expect(200, "GET", &format!("{usage}?{dates}&keyId={}", keys[1]), json!(null));
    assert_eq!(one["values"], json!({ (keys[1].clone()): [[7, 93], [3, 90], [0, 100]] }));
    let first = rig.expect(200, "GET", &format!("{usage}?{dates}&limit=1"), json!(null));
    assert_eq!(first["values"].as_object().unwrap().keys().collect::<Vec<_>>(), [&keys[0]]);
    let next = format!("{usage}?{dates}&limit=1&position={}", text(&first["position"]));
    let second = rig.expect(200, "GET", &next, json!(null));
    assert_eq!(second["values"].as_object().unwrap().keys().collect::<Vec<_>>(), [&keys[1]]);
    assert!(second.get("position").is_none());
    let all = format!("usage {plan} {},{} {TODAY}..={}", keys[0], keys[1], TODAY + 2);
    assert_eq!(rig.usage.asked.lock().unwrap()[0], all);
}

#[test]
fn a_plan_without_keys_or_quota() {
    let rig = Rig::new();
    let plan = rig.plan("gold", &[]);
    let usage = format!("/usageplans/{plan}/usage?startDate=2023-11-14&endDate=2023-11-14");
    assert_eq!(rig.expect(200, "GET", &usage, json!(null))["values"], json!({}));
    assert!(rig.usage.asked.lock().unwrap().is_empty(), "nobody is asked for nothing");
    let key = rig.key("one");
    rig.join(&plan, &key);
    let values = json!({ (key.clone()): [[0, i64::MAX]] });
    assert_eq!(rig.expect(200, "GET", &usage, json!(null))["values"], values);
    *rig.usage.usage.lock().unwrap() = vec![counted(&key, &[(TODAY, u64::MAX, u64::MAX)])];
    let values = json!({ (key): [[i64::MAX, i64::MAX]] });
    assert_eq!(rig.expect(200, "GET", &usage, json!(null))["values"], values);
}

#[test]
fn wrong_questions() {
    let rig = Rig::new();
    let (plan, key) = (quota_plan(&rig), rig.key("one"));
    let usage = format!("/usageplans/{plan}/usage");
    let null = |field: &str| {
        format!("Value null at 'getUsageInput.{field}' failed to satisfy constraint: Member must not be null")
    };
    let date = |field: &str, text: &str| {
        format!("Invalid {field} '{text}' specified, must be a date like 2026-01-31")
    };
    let cases = [
        (
            usage.clone(),
            400,
            format!("2 validation errors detected: {}; {}", null("startDate"), null("endDate")),
        ),
        (
            format!("{usage}?startDate=2023-01-01"),
            400,
            format!("1 validation error detected: {}", null("endDate")),
        ),
        (format!("{usage}?startDate=x&endDate=2023-01-01"), 400, date("startDate", "x")),
        (format!("{usage}?startDate=2023-01-01&endDate=2023-02-29"), 400, date("endDate", "2023-02-29")),
        (
            format!("{usage}?startDate=2023-01-02&endDate=2023-01-01"),
            400,
            "startDate 2023-01-02 must not be after endDate 2023-01-01".into(),
        ),
        (
            format!("{usage}?startDate=2023-01-01&endDate=2024-01-02"),
            400,
            "startDate and endDate span 367 days, at most 366 are answered".into(),
        ),
        (
            "/usageplans/nope/usage?startDate=2023-01-01&endDate=2023-01-01".into(),
            404,
            "Invalid Usage Plan ID specified".into(),
        ),
        (
            format!("{usage}?startDate=2023-01-01&endDate=2023-01-01&keyId={key}"),
            404,
            "Invalid API Key identifier specified".into(),
        ),
    ];
    for (target, status, message) in cases {
        rig.refused("GET", &target, json!(null), status, &message);
    }
    assert!(rig.usage.asked.lock().unwrap().is_empty());
}

#[test]
fn what_remains_is_set() {
    let rig = Rig::new();
    let (plan, key) = (quota_plan(&rig), rig.key("one"));
    rig.join(&plan, &key);
    *rig.usage.usage.lock().unwrap() = vec![counted(&key, &[(TODAY, 9, 50)])];
    let path = format!("/usageplans/{plan}/keys/{key}/usage");
    let expect = json!({
        "usagePlanId": plan, "startDate": "2023-11-14", "endDate": "2023-11-14", "values": { (key.clone()): [[9, 50]] },
    });
    assert_eq!(rig.expect(200, "PATCH", &path, replace("/remaining", "50")), expect);
    let asked = rig.usage.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [format!("remaining {plan} {key} 50"), format!("usage {plan} {key} {TODAY}..={TODAY}")]
    );
    let listed = |op: &str| {
        format!("Invalid patch path  '/used' specified for op '{op}'. Must be one of: [/remaining]")
    };
    let whole = |text: &str| {
        format!("Invalid value '{text}' specified for remaining, must be a whole number of at least 0")
    };
    let free = rig.plan("free", &[]);
    rig.join(&free, &key);
    let other = format!("/usageplans/{free}/keys/{key}/usage");
    let cases = [
        (&path, replace("/used", "1"), 400, listed("replace")),
        (
            &path,
            patch("add", "/remaining", json!("1")),
            400,
            "Invalid patch path  '/remaining' specified for op 'add'. Please choose supported operations"
                .into(),
        ),
        (&path, replace("/remaining", "-1"), 400, whole("-1")),
        (&path, replace("/remaining", "x"), 400, whole("x")),
        (&path, replace("/remaining", "9223372036854775808"), 400, whole("9223372036854775808")),
        (&path, json!({}), 400, "A patch operation for path /remaining is required".into()),
        (&other, replace("/remaining", "1"), 400, format!("Usage Plan {free} has no quota")),
    ];
    for (target, body, status, message) in cases {
        rig.refused("PATCH", target, body, status, &message);
    }
    let stranger = format!("/usageplans/{plan}/keys/nope/usage");
    rig.refused("PATCH", &stranger, replace("/remaining", "1"), 404, "Invalid API Key identifier specified");
    assert_eq!(rig.usage.asked.lock().unwrap().len(), 2, "nothing refused reached the counters");
}

#[test]
fn counters_out_of_reach() {
    let rig = Rig::new();
    let (plan, key) = (quota_plan(&rig), rig.key("one"));
    rig.join(&plan, &key);
    let get = format!("/usageplans/{plan}/usage?startDate=2023-11-14&endDate=2023-11-14");
    let set = format!("/usageplans/{plan}/keys/{key}/usage");
    let body = replace("/remaining", "1").to_string().into_bytes();
    for (fault, message) in [
        (
            UsageError::Unavailable,
            "The counters of the cluster are out of reach right now; nothing was changed.",
        ),
        (
            UsageError::Unknown,
            "The counters of the cluster did not answer in time: a change may or may not be applied.",
        ),
    ] {
        *rig.usage.fault.lock().unwrap() = Some(fault);
        for (verb, target, body) in [("GET", &get, Vec::new()), ("PATCH", &set, body.clone())] {
            let response = rig.signed(verb, target, body);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (503, &"1".parse().unwrap())
            );
            assert_eq!(response.headers()["x-amzn-errortype"], "ServiceUnavailableException");
            let answer: Value = serde_json::from_slice(response.body()).unwrap();
            assert!(text(&answer["message"]).starts_with(message), "{answer}");
        }
    }
    *rig.usage.fault.lock().unwrap() = None;
    *rig.store.barrier_fault.lock().unwrap() = Some(crate::StoreError::NoQuorum);
    let read = rig.signed("GET", &get, Vec::new());
    assert_eq!((read.status().as_u16(), read.headers()["x-tidegate-stale"].to_str().unwrap()), (200, "true"));
    assert_eq!(rig.signed("PATCH", &set, body).status(), 503);
}
