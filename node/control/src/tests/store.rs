//! What callers see of conflicts and of a cluster that cannot agree.

use serde_json::json;
use tidegate_proto::{
    document::{Document, RestApi},
    key,
    transaction::PutV1,
};
use tidegate_state::State;

use super::rig::{Rig, replace};
use crate::StoreError;

/// What another writer of the same API leaves: the same record at a newer revision.
fn rival(rig: &Rig, api: &str) -> PutV1 {
    use crate::Store;
    let found: RestApi = rig.store.view().read(&key::rest_api(api)).unwrap().unwrap().document;
    let changed = RestApi { version: Some("rival".into()), ..found };
    PutV1 { key: key::rest_api(api), bytes: changed.encode() }
}

#[test]
fn a_conflict_is_decided_again_on_the_newer_view() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    for rivals in 0..8 {
        *rig.store.rivals.lock().unwrap() = vec![rival(&rig, &api); rivals];
        let answer =
            rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", &format!("n{rivals}")));
        assert_eq!(answer["name"], format!("n{rivals}"));
    }
    let kept = rig.expect(200, "GET", &format!("/restapis/{api}"), json!(null));
    assert_eq!(kept["version"], "rival", "the other writer's change is kept");
    *rig.store.rivals.lock().unwrap() = vec![rival(&rig, &api); 8];
    rig.refused(
        "POST",
        &format!("/restapis/{api}/resources/{root}"),
        json!({ "pathPart": "a" }),
        409,
        "Unable to complete operation due to concurrent modification. Please try again later.",
    );
}

#[test]
fn a_replaced_leader_does_not_answer_from_its_past() {
    let rig = Rig::new();
    let past = rig.store.state.lock().unwrap().clone();
    let (api, root) = rig.api();
    let made = rig.store.state.lock().unwrap().clone();
    let named = || rig.expect(200, "GET", &format!("/restapis/{api}"), json!(null))["name"].clone();
    let from = |past: &State| *rig.store.past.lock().unwrap() = Some(past.clone());

    from(&past);
    rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", "found"));
    assert_eq!(named(), "found");
    from(&made);
    rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", "again"));
    assert_eq!(named(), "again");
    rig.expect(201, "POST", &format!("/restapis/{api}/resources/{root}"), json!({ "pathPart": "a" }));
    from(&made);
    let message = "Another resource with the same parent already has this name: a";
    rig.refused(
        "POST",
        &format!("/restapis/{api}/resources/{root}"),
        json!({ "pathPart": "a" }),
        409,
        message,
    );
    rig.expect(202, "DELETE", &format!("/restapis/{api}"), json!(null));
    from(&made);
    rig.refused(
        "DELETE",
        &format!("/restapis/{api}"),
        json!(null),
        404,
        "Invalid API identifier specified …",
    );
}

#[test]
fn what_changes_nothing_is_not_answered_from_the_past() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", "old"));
    let past = rig.store.state.lock().unwrap().clone();
    rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", "new"));
    *rig.store.past.lock().unwrap() = Some(past.clone());
    rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", "old"));
    let kept = rig.expect(200, "GET", &format!("/restapis/{api}"), json!(null));
    assert_eq!(kept["name"], "old", "the change was not taken for none");
}

#[test]
fn without_a_quorum_reads_are_marked_and_writes_answer_503() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    *rig.store.barrier_fault.lock().unwrap() = Some(StoreError::NoQuorum);
    let read = rig.signed("GET", &format!("/restapis/{api}"), Vec::new());
    assert_eq!((read.status().as_u16(), read.headers()["x-tidegate-stale"].to_str().unwrap()), (200, "true"));
    let write = rig.signed("POST", "/restapis", br#"{"name":"x"}"#.to_vec());
    assert_eq!(write.status(), 503);
    assert_eq!(write.headers()["retry-after"], "1");
    assert_eq!(write.headers()["x-amzn-errortype"], "ServiceUnavailableException");
    *rig.store.barrier_fault.lock().unwrap() = None;
    let read = rig.signed("GET", &format!("/restapis/{api}"), Vec::new());
    assert!(!read.headers().contains_key("x-tidegate-stale"));
}

#[test]
fn faults_of_a_commit_say_what_is_known() {
    let cases = [
        (StoreError::NoQuorum, 503, "The cluster has no quorum right now; nothing was changed…"),
        (
            StoreError::Uncertain,
            503,
            "The change was proposed and its outcome is unknown: it may or may not be applied…",
        ),
        (StoreError::Declined("node 3 has no room".into()), 503, "Nothing was changed: node 3 has no room…"),
        (StoreError::Stopped, 503, "This node is stopping; nothing was changed…"),
        (StoreError::Refused("too large".into()), 400, "too large"),
    ];
    for (fault, status, message) in cases {
        let rig = Rig::new();
        *rig.store.commit_fault.lock().unwrap() = Some(fault);
        rig.refused("POST", "/restapis", json!({ "name": "x" }), status, message);
    }
}

#[test]
fn a_damaged_record_is_reported_and_not_hidden() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    *rig.store.rivals.lock().unwrap() = vec![PutV1 { key: key::rest_api("bad"), bytes: b"[".to_vec() }];
    rig.expect(200, "PATCH", &format!("/restapis/{api}"), replace("/name", "n"));
    rig.refused("GET", "/restapis/bad", json!(null), 500, "record restapi/bad is not a RestApi…");
}

#[test]
fn large_bodies_are_refused() {
    let rig = Rig::new();
    let response = rig.signed("POST", "/restapis", vec![b' '; 6 * 1024 * 1024 + 1]);
    assert_eq!(response.status(), 413);
}
