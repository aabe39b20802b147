//! Two writers at once: each of them decides on what the other has not committed yet, and nothing that both see is left half done.

use serde_json::{Value, json};

use super::rig::{Rig, patch, text};
use crate::Store;

fn member(key: &str) -> Value {
    json!({ "keyId": key, "keyType": "API_KEY" })
}

fn stage_count(rig: &Rig, plan: &str) -> usize {
    let answer = rig.expect(200, "GET", &format!("/usageplans/{plan}"), json!(null));
    answer["apiStages"].as_array().unwrap().len()
}

#[test]
fn a_stage_goes_while_a_plan_takes_it_in() {
    for whole_api in [false, true] {
        let rig = Rig::new();
        let (api, _) = rig.stage("dev");
        let stage = match whole_api {
            true => format!("/restapis/{api}"),
            false => format!("/restapis/{api}/stages/dev"),
        };
        let plan = rig.plan("gold", &[]);
        let path = format!("/usageplans/{plan}");
        let add = patch("add", "/apiStages", json!(format!("{api}:dev")));
        // The plan is first: whoever deletes the stage finds it in the plan.
        rig.meanwhile(200, "PATCH", &path, add.clone());
        rig.expect(202, "DELETE", &stage, json!(null));
        assert_eq!(stage_count(&rig, &plan), 0);
        // The stage is first: the plan does not find it.
        let (api, _) = rig.stage("dev");
        let stage = stage.replace(&stage[10..20], &api);
        rig.meanwhile(202, "DELETE", &stage, json!(null));
        let body = json!({ "name": "iron", "apiStages": [{ "apiId": api, "stage": "dev" }] });
        let message = format!("Invalid API Stage {{api: {api}, stage: dev}} specified for usageplan iron");
        rig.refused("POST", "/usageplans", body, 404, &message);
    }
}

#[test]
fn one_key_joins_two_plans_of_one_stage() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let (gold, iron) = (rig.plan("gold", &[(&api, "dev")]), rig.plan("iron", &[(&api, "dev")]));
    let key = rig.key("one");
    rig.meanwhile(201, "POST", &format!("/usageplans/{gold}/keys"), member(&key));
    let message = format!("API Key {key} cannot be in Usage Plans {iron} and {gold}: …");
    rig.refused("POST", &format!("/usageplans/{iron}/keys"), member(&key), 409, &message);
    let lead = rig.plan("lead", &[]);
    rig.meanwhile(
        200,
        "PATCH",
        &format!("/usageplans/{lead}"),
        patch("add", "/apiStages", json!(format!("{api}:dev"))),
    );
    let message = format!("API Key {key} cannot be in Usage Plans {lead} and {gold}: …");
    rig.refused("POST", &format!("/usageplans/{lead}/keys"), member(&key), 409, &message);
}

#[test]
fn a_key_or_a_plan_goes_while_they_join() {
    let rig = Rig::new();
    let (plan, key) = (rig.plan("gold", &[]), rig.key("one"));
    let keys = format!("/usageplans/{plan}/keys");
    let memberships =
        || rig.store.view().prefix("usageplan/").filter(|(key, _)| key.contains("/key/")).count();
    rig.meanwhile(201, "POST", &keys, member(&key));
    rig.expect(202, "DELETE", &format!("/apikeys/{key}"), json!(null));
    assert_eq!(memberships(), 0, "the key was deleted after it joined");
    let key = rig.key("two");
    rig.meanwhile(202, "DELETE", &format!("/apikeys/{key}"), json!(null));
    rig.refused("POST", &keys, member(&key), 404, "Invalid API Key identifier specified");
    let key = rig.key("three");
    rig.meanwhile(201, "POST", &keys, member(&key));
    rig.expect(202, "DELETE", &format!("/usageplans/{plan}"), json!(null));
    assert_eq!(memberships(), 0, "the plan was deleted after the key joined");
    let plan = rig.plan("iron", &[]);
    rig.meanwhile(202, "DELETE", &format!("/usageplans/{plan}"), json!(null));
    let keys = format!("/usageplans/{plan}/keys");
    rig.refused("POST", &keys, member(&key), 404, "Invalid Usage Plan ID specified");
}

#[test]
fn one_value_is_given_to_two_keys() {
    let rig = Rig::new();
    rig.key("first");
    let body = json!({ "name": "one", "value": "a-key-of-twenty-chars" });
    let made = rig.meanwhile(201, "POST", "/apikeys", body.clone());
    rig.refused("POST", "/apikeys", body, 409, "API Key already exists");
    let file = b"Name,Key\nnew,b-key-of-twenty-chars\n".to_vec();
    let other = rig.meanwhile(201, "POST", "/apikeys", json!({ "value": "b-key-of-twenty-chars" }));
    let response = rig.signed("POST", "/apikeys?mode=import&format=csv", file);
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(answer["ids"], json!([other["id"]]), "the file changes the key that was there first");
    assert_ne!(text(&made["id"]), text(&other["id"]));
}

#[test]
fn keys_join_one_plan_without_waiting_for_each_other() {
    let rig = Rig::new();
    let (plan, one, two) = (rig.plan("gold", &[]), rig.key("one"), rig.key("two"));
    let keys = format!("/usageplans/{plan}/keys");
    let before = rig.store.view().revision();
    rig.meanwhile(201, "POST", &keys, member(&one));
    rig.join(&plan, &two);
    assert_eq!(rig.store.view().revision(), before + 2, "nobody had to decide twice");
    let answer = rig.expect(200, "GET", &keys, json!(null));
    assert_eq!(answer["item"].as_array().unwrap().len(), 2);
}
