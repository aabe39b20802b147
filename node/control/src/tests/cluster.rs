//! Tidegate's own API: cluster verbs, checkpoints and the development reset.

use http::Request;
use serde_json::json;
use tidegate_proto::key;
use tidegate_state::State;

use super::rig::{NOW_S, Rig, replace, request, root, text};
use crate::{Options, Store, StoreError};

#[test]
fn verbs_reach_the_cluster() {
    let rig = Rig::new();
    let at = |rest: &str| format!("/_tidegate/cluster/{rest}");
    assert_eq!(rig.expect(200, "GET", &at("status"), json!(null))["cluster"], "test");
    assert_eq!(rig.expect(200, "POST", &at("token"), json!({})), json!({ "token": "t", "expires_in_s": 60 }));
    assert_eq!(rig.expect(200, "POST", &at("nodes/3/remove"), json!({ "force": true }))["cluster"], "test");
    rig.expect(200, "POST", &at("nodes/4/remove"), json!(null));
    rig.expect(200, "POST", &at("nodes/3/drain"), json!({}));
    rig.expect(200, "POST", &at("nodes/3/undrain"), json!({}));
    assert_eq!(rig.expect(200, "POST", &at("transfer"), json!({ "to": 2 })), json!({ "leader": 2 }));
    rig.expect(200, "POST", &at("transfer"), json!({ "to": null }));
    let asked = rig.cluster.0.lock().unwrap().clone();
    let verbs: Vec<&str> = asked.iter().map(String::as_str).filter(|verb| *verb != "status").collect();
    assert_eq!(
        verbs,
        [
            "token",
            "remove 3 true",
            "remove 4 false",
            "drain 3 true",
            "drain 3 false",
            "transfer Some(2)",
            "transfer None"
        ]
    );
}

#[test]
fn refusals_are_problems() {
    let rig = Rig::new();
    let cases = [
        (
            "POST",
            "/_tidegate/cluster/nodes/9/remove",
            json!(null),
            404,
            "node 9 is not a member of the cluster",
        ),
        ("POST", "/_tidegate/cluster/nodes/8/remove", json!(null), 409, "it would cost the quorum"),
        (
            "POST",
            "/_tidegate/cluster/nodes/7/remove",
            json!(null),
            503,
            "The cluster has no quorum right now",
        ),
        (
            "POST",
            "/_tidegate/cluster/nodes/6/remove",
            json!(null),
            503,
            "The change was proposed and its outcome is unknown",
        ),
        (
            "POST",
            "/_tidegate/cluster/nodes/x/drain",
            json!(null),
            400,
            "Invalid node id 'x', must be a whole number",
        ),
        ("POST", "/_tidegate/cluster/nodes/3/drain", json!({ "y": 1 }), 400, "This field is not supported"),
        ("PUT", "/_tidegate/cluster/checkpoint", json!(null), 400, "state checkpoint: "),
        ("GET", "/_tidegate/limits?count=0", json!(null), 400, "Invalid count '0'"),
        ("GET", "/_tidegate/limits?x=1", json!(null), 400, "Unknown parameter 'x'"),
        ("POST", "/_tidegate/limits", json!(null), 404, "No operation matches POST /_tidegate/limits"),
        ("GET", "/_tidegate/nope", json!(null), 404, "No operation matches GET /_tidegate/nope"),
        ("POST", "/_tidegate/dev/reset", json!(null), 404, "No operation matches POST /_tidegate/dev/reset"),
    ];
    for (verb, target, body, status, detail) in cases {
        let (found, answer) = rig.call(verb, target, body);
        assert_eq!((found, &answer["status"]), (status, &json!(status)), "{target}: {answer}");
        assert!(answer["detail"].as_str().unwrap().starts_with(detail), "{answer}");
    }
    let response = rig.signed("POST", "/_tidegate/cluster/nodes/9/remove", Vec::new());
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let unsigned =
        Request::get("/_tidegate/cluster/status").header("host", "x").body(Default::default()).unwrap();
    assert_eq!(rig.send(unsigned).status(), 403);
    let own = request("tidegate", root(), NOW_S, "GET", "/_tidegate/cluster/status", Vec::new());
    assert_eq!(rig.send(own).status(), 200);
}

#[test]
fn a_checkpoint_restores_what_users_configured() {
    let rig = Rig::new();
    let (api, root_id) = rig.api();
    rig.mock(&api, &root_id, "pets");
    rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), json!({ "stageName": "prod" }));
    let made = rig.expect(201, "POST", "/apikeys", json!({ "name": "one" }));
    let (plan, one) = (rig.plan("gold", &[(&api, "prod")]), text(&made["id"]));
    rig.join(&plan, &one);
    let saved = rig.signed("GET", "/_tidegate/cluster/checkpoint", Vec::new());
    assert_eq!(saved.headers()["content-type"], "application/octet-stream");
    let image = State::decode(saved.body()).unwrap();
    assert_eq!(image.hash(), rig.store.view().hash());
    rig.expect(202, "DELETE", &format!("/restapis/{api}"), json!(null));
    let (later, _) = rig.api();
    let restored = rig.signed("PUT", "/_tidegate/cluster/checkpoint", saved.body().to_vec());
    assert_eq!(restored.status(), 200);
    let answer: serde_json::Value = serde_json::from_slice(restored.body()).unwrap();
    assert_eq!(answer["records"], json!(image.len() - 1), "all but the root key");
    rig.expect(200, "GET", &format!("/restapis/{api}/stages/prod"), json!(null));
    assert_eq!(
        rig.call("GET", &format!("/restapis/{later}"), json!(null)).0,
        404,
        "made after the checkpoint"
    );
    let other = Rig::new();
    let records = other.store.view().prefix(key::CREDENTIAL_PREFIX).count();
    assert_eq!(other.signed("PUT", "/_tidegate/cluster/checkpoint", saved.body().to_vec()).status(), 200);
    assert_eq!(other.store.view().prefix(key::CREDENTIAL_PREFIX).count(), records, "keys are not restored");
    let member = other.expect(200, "GET", &format!("/usageplans/{plan}/keys/{one}"), json!(null));
    assert_eq!(member["value"], made["value"], "the seal comes with what it seals");
    *rig.store.barrier_fault.lock().unwrap() = Some(StoreError::NoQuorum);
    let stale = rig.signed("GET", "/_tidegate/cluster/checkpoint", Vec::new());
    assert_eq!(stale.headers()["x-tidegate-stale"], "true");
    assert_eq!(rig.signed("PUT", "/_tidegate/cluster/checkpoint", saved.body().to_vec()).status(), 503);
}

#[test]
fn a_checkpoint_that_cannot_be_served_is_refused() {
    let rig = Rig::new();
    let (api, root_id) = rig.api();
    rig.mock(&api, &root_id, "pets");
    rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), json!({ "stageName": "prod" }));
    let mut image = rig.store.view();
    let stage = image.stage(&api, "prod").unwrap().unwrap().document;
    let mut damage = tidegate_proto::transaction::TransactionV1::default();
    damage.delete(key::deployment(&api, &stage.deployment_id));
    image.apply(damage);
    let response = rig.signed("PUT", "/_tidegate/cluster/checkpoint", image.encode().unwrap());
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), 400);
    assert!(body.contains(&format!("Stage prod of REST API {api} has no deployment")), "{body}");
    let mut damage = tidegate_proto::transaction::TransactionV1::default();
    let put = tidegate_proto::transaction::PutV1 { key: key::rest_api("bad"), bytes: b"[".to_vec() };
    damage.puts.push(put);
    image.apply(damage);
    let response = rig.signed("PUT", "/_tidegate/cluster/checkpoint", image.encode().unwrap());
    assert_eq!(response.status(), 400, "{:?}", response.body());
}

#[test]
fn a_development_region_is_emptied_without_a_signature() {
    let rig = Rig::with(Options { dev: true, ..Options::default() });
    let (api, _) = rig.stage("dev");
    let (plan, one) = (rig.plan("gold", &[(&api, "dev")]), rig.key("one"));
    rig.join(&plan, &one);
    rig.expect(200, "PATCH", "/account", replace("/throttleSettings/rateLimit", "5"));
    let reset =
        || Request::post("/_tidegate/dev/reset").header("host", "x").body(Default::default()).unwrap();
    assert_eq!(rig.send(reset()).status(), 200);
    for list in ["/restapis", "/apikeys", "/usageplans"] {
        assert_eq!(rig.expect(200, "GET", list, json!(null)), json!({ "item": [] }), "{list}");
    }
    let left: Vec<String> = rig.store.view().prefix("").map(|(key, _)| key.to_owned()).collect();
    assert_eq!(left, [key::SEAL_SECRET, "credential/AKIAROOT"]);
    let strict = Rig::new();
    assert_eq!(strict.send(reset()).status(), 403, "elsewhere it is not even there");
}

#[test]
fn a_node_without_limits_lists_none() {
    let rig = Rig::new();
    let answer = rig.expect(200, "GET", "/_tidegate/limits?count=3&level=quota", json!(null));
    assert_eq!(answer["limits"], json!([]));
}
