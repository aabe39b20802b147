//! The cache of a stage: its cluster, and what takes answers out of it.

use serde_json::{Value, json};
use tidegate_proto::{
    document::Stage,
    status::{CacheEntry, CacheFound, CacheLook, CacheStage, CacheTop},
};

use super::rig::{Rig, replace, text};
use crate::{CacheQuestion, CacheRequest, Store};

const SIZES: &str = "[0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118, 237]";

fn staged() -> (Rig, String, String) {
    let rig = Rig::new();
    let (api, _) = rig.stage("s");
    let path = format!("/restapis/{api}/stages/s");
    (rig, api, path)
}

/// The record behind the stage `s`.
fn record(rig: &Rig, api: &str) -> Stage {
    rig.store.view().stage(api, "s").unwrap().unwrap().document
}

/// Enabled, size and status as printed.
fn cluster(stage: &Value) -> (Value, Value, Value) {
    assert!(stage.get("tidegateCache").is_none(), "{stage}");
    let field = |name: &str| stage[name].clone();
    (field("cacheClusterEnabled"), field("cacheClusterSize"), field("cacheClusterStatus"))
}

#[test]
fn a_cluster_comes_with_a_stage() {
    let (rig, api, path) = staged();
    let deployment = record(&rig, &api).deployment_id;
    let off = (json!(false), Value::Null, json!("NOT_AVAILABLE"));
    let on = |size: &str| (json!(true), json!(size), json!("AVAILABLE"));
    let kept = |size: &str| (json!(false), json!(size), json!("NOT_AVAILABLE"));
    let cases = [
        (json!({}), off.clone(), off.clone()),
        (json!({ "cacheClusterEnabled": false }), off.clone(), off.clone()),
        (json!({ "cacheClusterEnabled": true }), on("0.5"), on("0.5")),
        (json!({ "cacheClusterEnabled": true, "cacheClusterSize": "6.1" }), on("6.1"), on("6.1")),
        (json!({ "cacheClusterSize": "118" }), kept("118"), on("118")),
        (json!({}), off, on("118")),
    ];
    for (number, (given, created, deployed)) in cases.iter().enumerate() {
        let mut body = given.clone();
        (body["stageName"], body["deploymentId"]) = (json!(format!("c{number}")), json!(deployment));
        let made = rig.expect(201, "POST", &format!("/restapis/{api}/stages"), body);
        assert_eq!(cluster(&made), *created, "{given}");
        let mut body = given.clone();
        body["stageName"] = json!("s");
        rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), body);
        assert_eq!(cluster(&rig.expect(200, "GET", &path, json!(null))), *deployed, "{given}");
    }
    let stages = rig.expect(200, "GET", &format!("/restapis/{api}/stages"), json!(null));
    assert!(stages["item"].as_array().unwrap().iter().all(|stage| stage.get("tidegateCache").is_none()));
}

#[test]
fn a_cluster_is_changed_by_patches() {
    let (rig, _, path) = staged();
    let steps = [
        ("/cacheClusterEnabled", "true", (true, json!("0.5"), "AVAILABLE")),
        ("/cacheClusterSize", "237", (true, json!("237"), "AVAILABLE")),
        ("/cacheClusterEnabled", "false", (false, json!("237"), "NOT_AVAILABLE")),
        ("/cacheClusterEnabled", "TRUE", (true, json!("237"), "AVAILABLE")),
        ("/cacheClusterSize", "", (true, json!("0.5"), "AVAILABLE")),
        ("/cacheClusterEnabled", "x", (false, json!("0.5"), "NOT_AVAILABLE")),
        ("/cacheClusterSize", "", (false, Value::Null, "NOT_AVAILABLE")),
    ];
    for (at, value, (enabled, size, status)) in steps {
        let updated = rig.expect(200, "PATCH", &path, replace(at, value));
        assert_eq!(cluster(&updated), (json!(enabled), size, json!(status)), "{at} {value}");
    }
}

#[test]
fn wrong_clusters() {
    let (rig, api, path) = staged();
    let deployment = record(&rig, &api).deployment_id;
    let size = |value: &str| {
        format!("Invalid value '{value}' specified for cacheClusterSize, must be one of {SIZES}")
    };
    for value in ["1", "0.50", "0", "huge"] {
        rig.refused("PATCH", &path, replace("/cacheClusterSize", value), 400, &size(value));
    }
    let place = |shape: &str| {
        format!(
            "1 validation error detected: Value '7' at '{shape}.cacheClusterSize' failed to satisfy constraint: Member must satisfy enum value set: {SIZES}"
        )
    };
    let stages = format!("/restapis/{api}/stages");
    let body = json!({ "stageName": "t", "deploymentId": deployment, "cacheClusterSize": "7" });
    rig.refused("POST", &stages, body, 400, &place("createStageInput"));
    let body = json!({ "stageName": "s", "cacheClusterSize": "7" });
    rig.refused("POST", &format!("/restapis/{api}/deployments"), body, 400, &place("createDeploymentInput"));
    let body = json!({ "stageName": "t", "deploymentId": deployment, "tidegateCache": { "epoch": 9 } });
    rig.refused(
        "POST",
        &stages,
        body,
        400,
        "This field is not supported by this version of Tidegate: field tidegateCache, value {\"epoch\":9}",
    );
    rig.refused(
        "PATCH",
        &path,
        replace("/tidegateCache/epoch", "9"),
        400,
        "Invalid method setting path: /tidegateCache/epoch. …",
    );
    let from = json!({ "op": "copy", "path": "/description", "from": "/tidegateCache/epoch" });
    let body = json!({ "patchOperations": [from] });
    rig.refused("PATCH", &path, body, 400, "Invalid copy operation with path: /description");
}

#[test]
fn a_flush_is_answered_once_every_node_serves_it() {
    let (rig, api, path) = staged();
    let (data, authorizers) = (format!("{path}/cache/data"), format!("{path}/cache/authorizers"));
    let before = record(&rig, &api).tidegate_cache;
    assert_eq!(rig.expect(202, "DELETE", &data, json!(null)), Value::Null);
    let after = record(&rig, &api).tidegate_cache;
    assert_eq!((after.epoch, after.sequence), (before.epoch + 1, before.sequence + 1));
    let revision = rig.store.view().revision();
    assert_eq!(*rig.caches.asked.lock().unwrap(), [format!("settled {revision}")]);
    rig.expect(202, "DELETE", &authorizers, json!(null));
    assert_eq!(rig.store.view().revision(), revision, "there are no authorizers whose answers could be kept");
    let unsettled = |who: &str| {
        format!(
            "The change is committed and {who} confirmed it in time: older answers may still be served there. Repeat the call to wait again."
        )
    };
    for (behind, who) in [(vec![3], "node 3 has not"), (vec![3, 7], "nodes 3, 7 have not")] {
        *rig.caches.behind.lock().unwrap() = behind;
        rig.refused("DELETE", &data, json!(null), 503, &unsettled(who));
    }
    assert_eq!(record(&rig, &api).tidegate_cache.epoch, before.epoch + 3, "committed all the same");
    for end in ["data", "authorizers"] {
        for stage in [format!("/restapis/{api}/stages/nope"), "/restapis/nope/stages/s".to_owned()] {
            let path = format!("{stage}/cache/{end}");
            rig.refused("DELETE", &path, json!(null), 404, "Invalid Stage identifier specified");
        }
    }
}

#[test]
fn another_deployment_or_cluster_has_no_older_answers() {
    let (rig, api, path) = staged();
    let epoch = || record(&rig, &api).tidegate_cache.epoch;
    let deploy =
        |body: Value| text(&rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), body)["id"]);
    let (first, mut last) = (record(&rig, &api).deployment_id, epoch());
    let mut step = |what: &str, flushes: bool| {
        let now = epoch();
        assert_eq!(now, last + u64::from(flushes), "{what}");
        last = now;
    };
    deploy(json!({}));
    step("a deployment to no stage", false);
    let second = deploy(json!({ "stageName": "s" }));
    step("a deployment to this one", true);
    for (at, value, flushes) in [
        ("/deploymentId", first.as_str(), true),
        ("/deploymentId", &first, false),
        ("/deploymentId", &second, true),
        ("/description", "x", false),
        ("/variables/a", "b", false),
        ("/*/*/caching/enabled", "true", false),
        ("/cacheClusterEnabled", "true", true),
        ("/cacheClusterEnabled", "true", false),
        ("/cacheClusterSize", "1.6", true),
        ("/cacheClusterEnabled", "false", true),
    ] {
        rig.expect(200, "PATCH", &path, replace(at, value));
        step(&format!("{at} {value}"), flushes);
    }
    assert!(rig.caches.asked.lock().unwrap().is_empty(), "what names its deployment needs no wait");
    let tags = format!("/tags/arn:aws:apigateway:eu-west-1::{path}");
    rig.expect(204, "PUT", &tags, json!({ "tags": { "tidegate:cache": "rfc9111" } }));
    step("a tag", false);
}

#[test]
fn a_stage_that_is_made_again_has_no_older_answers() {
    let (rig, api, path) = staged();
    let deployment = record(&rig, &api).deployment_id;
    let mut seen = vec![record(&rig, &api).tidegate_cache.epoch];
    for round in 0..3 {
        for _ in 0..round {
            rig.expect(202, "DELETE", &format!("{path}/cache/data"), json!(null));
            seen.push(record(&rig, &api).tidegate_cache.epoch);
        }
        rig.expect(202, "DELETE", &path, json!(null));
        let body = json!({ "stageName": "s", "deploymentId": deployment });
        rig.expect(201, "POST", &format!("/restapis/{api}/stages"), body);
        seen.push(record(&rig, &api).tidegate_cache.epoch);
    }
    let saved = rig.signed("GET", "/_tidegate/cluster/checkpoint", Vec::new());
    rig.expect(202, "DELETE", &format!("{path}/cache/data"), json!(null));
    seen.push(record(&rig, &api).tidegate_cache.epoch);
    assert_eq!(rig.signed("PUT", "/_tidegate/cluster/checkpoint", saved.body().to_vec()).status(), 200);
    seen.push(record(&rig, &api).tidegate_cache.epoch);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
}

#[test]
fn a_part_is_taken_out() {
    let (rig, api, _) = staged();
    let purge = |more: Value| {
        let mut body = json!({ "api": api, "stage": "s" });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        rig.expect(200, "POST", "/_tidegate/cache/purge", body)
    };
    let first = record(&rig, &api).tidegate_cache;
    let cases = [
        (json!({ "tag": "t1" }), "part", json!({ "tag": "t1" })),
        (
            json!({ "method": "GET", "resource": "/pets" }),
            "part",
            json!({ "verb": "GET", "resource": "/pets" }),
        ),
        (json!({ "prefix": "/pets/a%20b", "tag": null }), "part", json!({ "prefix": "/pets/a%20b" })),
    ];
    for (number, (part, purged, mut expect)) in cases.into_iter().enumerate() {
        let sequence = first.sequence + 1 + number as u64;
        assert_eq!(purge(part), json!({ "purged": purged, "sequence": sequence }));
        expect["sequence"] = json!(sequence);
        let newest = record(&rig, &api).tidegate_cache.purges.pop().unwrap();
        assert_eq!(serde_json::to_value(newest).unwrap(), expect);
        let settled = format!("settled {}", rig.store.view().revision());
        assert_eq!(rig.caches.asked.lock().unwrap().last(), Some(&settled));
    }
    let kept = record(&rig, &api).tidegate_cache;
    assert_eq!((kept.epoch, kept.purges.len()), (first.epoch, 3));
    assert_eq!(purge(json!({})), json!({ "purged": "all", "sequence": kept.sequence + 1 }));
    let flushed = record(&rig, &api).tidegate_cache;
    assert_eq!((flushed.epoch, flushed.purges.len()), (first.epoch + 1, 0));
    *rig.caches.behind.lock().unwrap() = vec![2];
    let body = json!({ "api": api, "stage": "s", "tag": "t" });
    let (status, answer) = rig.call("POST", "/_tidegate/cache/purge", body);
    assert_eq!(status, 503);
    assert!(answer["detail"].as_str().unwrap().contains("node 2 has not confirmed"), "{answer}");
}

#[test]
fn wrong_questions_and_purges() {
    let (rig, api, _) = staged();
    let before = rig.store.view().revision();
    let purge = |field: &str, value: Value| {
        let mut body = json!({ "api": api, "stage": "s" });
        body[field] = value;
        ("POST", "/_tidegate/cache/purge".to_owned(), body)
    };
    let ask = |target: &str| ("GET", format!("/_tidegate/cache/{target}"), json!(null));
    let long = "x".repeat(1_025);
    let cases = [
        (purge("api", json!("nope")), 404, "Invalid Stage identifier specified"),
        (purge("stage", json!("nope")), 404, "Invalid Stage identifier specified"),
        (purge("stage", json!(null)), 400, "1 validation error detected: Value null at 'purgeInput.stage'"),
        (purge("resource", json!("/nope")), 404, "Stage s has no resource '/nope'"),
        (purge("resource", json!("pets")), 400, "Invalid resource 'pets', must begin with /"),
        (purge("method", json!("get")), 400, "Invalid method 'get', must be one of "),
        (purge("prefix", json!("/a b")), 400, "Invalid prefix '/a b', must begin with /"),
        (purge("tag", json!("a,b")), 400, "Invalid tag 'a,b', must be printable ASCII"),
        (purge("tag", json!("")), 400, "Invalid tag of 0 bytes, must have 1 to 1024"),
        (purge("tag", json!(long)), 400, "Invalid tag of 1025 bytes"),
        (purge("tag", json!(1)), 400, "class com.amazon"),
        (
            purge("path", json!("/pets")),
            400,
            "This field is not supported by this version of Tidegate: field path",
        ),
        (ask("top?count=0"), 400, "Invalid count '0', must be a whole number from 1 to 500"),
        (ask("top?count=501"), 400, "Invalid count '501'"),
        (ask("top?sort=hits"), 400, "Unknown parameter 'sort', must be one of api, stage, count"),
        (ask("entry"), 400, "Invalid api '', must be given"),
        (ask("entry?api=a"), 400, "Invalid stage '', must be given"),
        (ask("entry?api=a&stage=s"), 400, "Invalid path '', must begin with /"),
        (ask("entry?api=a&stage=s&path=/&verb=GET"), 400, "Unknown parameter 'verb'"),
        (ask("nope"), 404, "No operation matches GET /_tidegate/cache/nope"),
    ];
    for ((verb, target, body), status, detail) in cases {
        let shown = body.to_string();
        let (found, answer) = rig.call(verb, &target, body);
        assert_eq!(found, status, "{target} {shown}: {answer}");
        assert!(answer["detail"].as_str().unwrap().starts_with(detail), "{target} {shown}: {answer}");
    }
    assert_eq!(rig.store.view().revision(), before);
    assert!(rig.caches.asked.lock().unwrap().is_empty());
}

#[test]
fn operators_ask_what_is_held() {
    let rig = Rig::new();
    let entry = CacheEntry {
        api: "a".into(),
        stage: "s".into(),
        verb: "GET".into(),
        resource: "/pets/{id}".into(),
        path: "/pets/1".into(),
        status: 200,
        bytes: 9,
        age_s: 3,
        ttl_s: -1,
        hits: 7,
        tags: vec!["t".into()],
    };
    let shown = json!({
        "api": "a", "stage": "s", "verb": "GET", "resource": "/pets/{id}", "path": "/pets/1", "status": 200,
        "bytes": 9, "age_s": 3, "ttl_s": -1, "hits": 7, "tags": ["t"],
    });
    let stage = CacheStage { api: "a".into(), stage: "s".into(), hits: 7, ..CacheStage::default() };
    *rig.caches.top.lock().unwrap() =
        CacheTop { stages: vec![stage], entries: vec![entry.clone()], silent: vec![3] };
    *rig.caches.look.lock().unwrap() =
        CacheLook { found: vec![CacheFound { node: 2, entry }], silent: vec![] };
    let top = rig.expect(200, "GET", "/_tidegate/cache/top?count=5&stage=s", json!(null));
    let figures = json!({
        "api": "a", "stage": "s", "entries": 0, "bytes": 0, "hits": 7, "misses": 0, "stale": 0, "coalesced": 0,
        "bypassed": 0,
    });
    assert_eq!(top, json!({ "stages": [figures], "entries": [shown], "silent": [3] }));
    let target = "/_tidegate/cache/entry?api=a&stage=s&path=%2Fpets%2F1&query=q%3D1%262";
    let mut found = shown;
    found["node"] = json!(2);
    assert_eq!(rig.expect(200, "GET", target, json!(null)), json!({ "found": [found], "silent": [] }));
    let asked = rig.caches.asked.lock().unwrap().clone();
    let expect = [
        format!("{:?}", CacheQuestion { count: 5, api: None, stage: Some("s".into()) }),
        format!(
            "{:?}",
            CacheRequest {
                api: "a".into(),
                stage: "s".into(),
                path: "/pets/1".into(),
                query: "q=1&2".into()
            }
        ),
    ];
    assert_eq!(asked, expect);
}

#[test]
fn no_change_of_a_stage_undoes_a_flush() {
    let (rig, api, path) = staged();
    let (purges, data) = ("/_tidegate/cache/purge", format!("{path}/cache/data"));
    let part = json!({ "api": api, "stage": "s", "tag": "t" });
    let arn = format!("/tags/arn:aws:apigateway:eu-west-1::{path}");
    let mut last = record(&rig, &api).tidegate_cache.sequence;
    for (status, verb, target, body) in [
        (200, "PATCH", path.as_str(), replace("/description", "x")),
        (204, "PUT", &arn, json!({ "tags": { "a": "b" } })),
        (202, "DELETE", &data, json!(null)),
        (200, "POST", purges, part.clone()),
    ] {
        rig.meanwhile(200, "POST", purges, part.clone());
        rig.expect(status, verb, target, body);
        let found = record(&rig, &api).tidegate_cache.sequence;
        let own = u64::from(target == data || target == purges);
        assert_eq!(found, last + 1 + own, "{verb} {target}");
        last = found;
    }
}
