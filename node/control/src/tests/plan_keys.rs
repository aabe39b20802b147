//! API keys in usage plans.

use serde_json::{Value, json};

use super::rig::{Rig, patch, text};
use crate::Store;

const NO_KEY: &str = "Invalid API Key identifier specified";
const NO_PLAN: &str = "Invalid Usage Plan ID specified";

fn member(key: &str) -> Value {
    json!({ "keyId": key, "keyType": "API_KEY" })
}

fn ids(rig: &Rig, target: &str) -> Vec<String> {
    let answer = rig.expect(200, "GET", target, json!(null));
    answer["item"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
}

#[test]
fn a_key_joins_and_leaves() {
    let rig = Rig::new();
    let (plan, other) = (rig.plan("gold", &[]), rig.plan("iron", &[]));
    let made = rig.expect(201, "POST", "/apikeys", json!({ "name": "one" }));
    let key = text(&made["id"]);
    let expect = json!({ "id": key, "type": "API_KEY", "name": "one", "value": made["value"] });
    let keys = format!("/usageplans/{plan}/keys");
    assert_eq!(rig.expect(201, "POST", &keys, member(&key)), expect);
    assert_eq!(rig.expect(200, "GET", &format!("{keys}/{key}"), json!(null)), expect);
    assert_eq!(rig.expect(200, "GET", &keys, json!(null)), json!({ "item": [expect] }));
    rig.join(&other, &key);
    let mut both = vec![plan.clone(), other.clone()];
    both.sort();
    assert_eq!(ids(&rig, &format!("/usageplans?keyId={key}")), both);
    assert_eq!(rig.expect(202, "DELETE", &format!("{keys}/{key}"), json!(null)), Value::Null);
    assert_eq!(ids(&rig, &format!("/usageplans?keyId={key}")), std::slice::from_ref(&other));
    rig.refused("GET", &format!("{keys}/{key}"), json!(null), 404, NO_KEY);
    rig.expect(202, "DELETE", &format!("/apikeys/{key}"), json!(null));
    assert!(ids(&rig, &format!("/usageplans/{other}/keys")).is_empty());
    rig.refused("GET", &format!("/usageplans?keyId={key}"), json!(null), 404, NO_KEY);
    assert!(rig.store.view().prefix("usageplan/").all(|(key, _)| !key.contains("/key/")));
}

#[test]
fn deleting_a_plan_leaves_its_keys() {
    let rig = Rig::new();
    let (plan, key) = (rig.plan("gold", &[]), rig.key("one"));
    rig.join(&plan, &key);
    rig.expect(202, "DELETE", &format!("/usageplans/{plan}"), json!(null));
    assert!(rig.store.view().prefix("usageplan/").next().is_none());
    assert!(ids(&rig, &format!("/usageplans?keyId={key}")).is_empty());
    rig.expect(200, "GET", &format!("/apikeys/{key}"), json!(null));
}

#[test]
fn wrong_members() {
    let rig = Rig::new();
    let (plan, key) = (rig.plan("gold", &[]), rig.key("one"));
    rig.join(&plan, &key);
    let keys = format!("/usageplans/{plan}/keys");
    let null = |field: &str| {
        format!(
            "1 validation error detected: Value null at 'createUsagePlanKeyInput.{field}' failed to satisfy constraint: Member must not be null"
        )
    };
    let cases = [
        (keys.clone(), member("nope"), 404, NO_KEY.to_owned()),
        ("/usageplans/nope/keys".into(), member(&key), 404, NO_PLAN.into()),
        (
            keys.clone(),
            json!({ "keyId": key, "keyType": "OTHER" }),
            400,
            "Invalid keyType 'OTHER' specified. Must be one of: [API_KEY]".into(),
        ),
        (keys.clone(), json!({ "keyId": key }), 400, null("keyType")),
        (keys.clone(), json!({ "keyType": "API_KEY" }), 400, null("keyId")),
        (keys.clone(), member(&key), 409, format!("API Key {key} is in Usage Plan {plan} already")),
    ];
    for (target, body, status, message) in cases {
        rig.refused("POST", &target, body, status, &message);
    }
    for verb in ["GET", "DELETE"] {
        rig.refused(verb, &format!("{keys}/nope"), json!(null), 404, NO_KEY);
        rig.refused(verb, &format!("/usageplans/nope/keys/{key}"), json!(null), 404, NO_PLAN);
    }
    rig.refused("GET", "/usageplans/nope/keys", json!(null), 404, NO_PLAN);
}

#[test]
fn one_plan_per_key_and_stage() {
    let rig = Rig::new();
    let ((api, _), (other, _)) = (rig.stage("dev"), rig.stage("prod"));
    let gold = rig.plan("gold", &[(&api, "dev")]);
    let iron = rig.plan("iron", &[(&other, "prod"), (&api, "dev")]);
    let lead = rig.plan("lead", &[(&other, "prod")]);
    let (one, two) = (rig.key("one"), rig.key("two"));
    rig.join(&gold, &one);
    let refusal = |key: &str, plan: &str, other: &str, api: &str, stage: &str| {
        format!(
            "API Key {key} cannot be in Usage Plans {plan} and {other}: both have API Stage {{api: {api}, stage: {stage}}}"
        )
    };
    let message = refusal(&one, &iron, &gold, &api, "dev");
    rig.refused("POST", &format!("/usageplans/{iron}/keys"), member(&one), 409, &message);
    rig.join(&lead, &one);
    rig.join(&iron, &two);
    let stage = json!(format!("{other}:prod"));
    let message = refusal(&one, &gold, &lead, &other, "prod");
    rig.refused(
        "PATCH",
        &format!("/usageplans/{gold}"),
        patch("add", "/apiStages", stage.clone()),
        409,
        &message,
    );
    rig.expect(202, "DELETE", &format!("/usageplans/{lead}/keys/{one}"), json!(null));
    rig.expect(200, "PATCH", &format!("/usageplans/{gold}"), patch("add", "/apiStages", stage));
    rig.expect(202, "DELETE", &format!("/restapis/{api}/stages/dev"), json!(null));
    rig.expect(202, "DELETE", &format!("/restapis/{other}/stages/prod"), json!(null));
    rig.join(&iron, &one);
}

#[test]
fn a_key_joins_so_many_plans() {
    let rig = Rig::new();
    let key = rig.key("one");
    for number in 0..100 {
        let plan = rig.plan(&format!("p{number}"), &[]);
        rig.join(&plan, &key);
    }
    let plan = rig.plan("last", &[]);
    let message = format!("Maximum number of usage plans for API Key {key} has been reached: 100");
    rig.refused("POST", &format!("/usageplans/{plan}/keys"), member(&key), 429, &message);
    let mut page = rig.expect(200, "GET", &format!("/usageplans?keyId={key}&limit=60"), json!(null));
    assert_eq!(page["item"].as_array().unwrap().len(), 60);
    let position = text(&page["position"]);
    page =
        rig.expect(200, "GET", &format!("/usageplans?keyId={key}&limit=60&position={position}"), json!(null));
    assert_eq!((page["item"].as_array().unwrap().len(), page.get("position")), (40, None));
}

#[test]
fn members_are_paged_and_searched() {
    let rig = Rig::new();
    let (plan, other) = (rig.plan("gold", &[]), rig.plan("iron", &[]));
    for number in 0..30 {
        let key = rig.key(&format!("{}-{number}", if number % 3 == 0 { "fizz" } else { "no" }));
        rig.join(&plan, &key);
        if number % 2 == 0 {
            rig.join(&other, &key);
        }
    }
    for (plan, query, expect) in [
        (&plan, "", vec![25, 5]),
        (&plan, "&limit=500", vec![30]),
        (&plan, "&name=fizz&limit=4", vec![4, 4, 2]),
        (&other, "&limit=10", vec![10, 5]),
        (&other, "&name=fizz", vec![5]),
        (&other, "&name=zz", vec![0]),
    ] {
        let (mut sizes, mut position, mut seen) = (Vec::new(), String::new(), Vec::new());
        loop {
            let target = format!("/usageplans/{plan}/keys?{query}{position}");
            let page = rig.expect(200, "GET", &target, json!(null));
            let items = page["item"].as_array().unwrap();
            sizes.push(items.len());
            seen.extend(items.iter().map(|item| text(&item["id"])));
            match page["position"].as_str() {
                None => break,
                Some(next) => position = format!("&position={next}"),
            }
        }
        assert_eq!(sizes, expect, "{query}");
        assert!(seen.is_sorted_by(|a, b| a < b), "{query}");
    }
}
