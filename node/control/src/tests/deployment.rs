//! Deployments, stages and exports.

use serde_json::{Value, json};

use super::rig::{ACCOUNT, NOW_S, Rig, patch, replace, text};

/// An API with one method: the rig, the path of the API, and the id of the resource.
fn fixture() -> (Rig, String, String) {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let resource = rig.mock(&api, &root, "pets");
    (rig, format!("/restapis/{api}"), resource)
}

fn stage(name: &str, deployment: &str) -> Value {
    json!({
        "stageName": name, "deploymentId": deployment, "createdDate": NOW_S, "lastUpdatedDate": NOW_S,
        "cacheClusterEnabled": false, "cacheClusterStatus": "NOT_AVAILABLE", "methodSettings": {}, "tracingEnabled": false,
    })
}

#[test]
fn a_deployment_creates_and_moves_its_stage() {
    let (rig, api, _) = fixture();
    let (deployments, prod) = (format!("{api}/deployments"), format!("{api}/stages/prod"));
    let first = rig.expect(201, "POST", &deployments, json!({ "description": "one" }));
    let id = text(&first["id"]);
    assert_eq!(first, json!({ "id": id, "description": "one", "createdDate": NOW_S }));
    let body = json!({ "stageName": "prod", "stageDescription": "live", "variables": { "host": "a.test" } });
    let second = text(&rig.expect(201, "POST", &deployments, body)["id"]);
    let mut expect = stage("prod", &second);
    expect["description"] = json!("live");
    expect["variables"] = json!({ "host": "a.test" });
    assert_eq!(rig.expect(200, "GET", &prod, json!(null)), expect);
    let third = text(&rig.expect(201, "POST", &deployments, json!({ "stageName": "prod" }))["id"]);
    expect["deploymentId"] = json!(third);
    assert_eq!(rig.expect(200, "GET", &prod, json!(null)), expect, "description and variables are kept");
    let list = rig.expect(200, "GET", &deployments, json!(null));
    assert_eq!(list["item"].as_array().unwrap().len(), 3);
    let one = format!("{deployments}/{id}");
    let summary = rig.expect(200, "GET", &format!("{one}?embed=apisummary"), json!(null));
    assert_eq!(
        summary["apiSummary"],
        json!({ "/pets": { "GET": { "authorizationType": "NONE", "apiKeyRequired": false } } })
    );
    assert_eq!(rig.expect(200, "PATCH", &one, replace("/description", "new"))["description"], "new");
    assert!(rig.expect(200, "PATCH", &one, replace("/description", "")).get("description").is_none());
    rig.refused(
        "PATCH",
        &one,
        replace("/id", "x"),
        400,
        "Invalid patch path  '/id' specified for op 'replace'. Must be one of: [/description]",
    );
    let in_use = "Active stages pointing to this deployment must be moved or deleted";
    rig.refused("DELETE", &format!("{deployments}/{third}"), json!(null), 400, in_use);
    assert_eq!(rig.expect(202, "DELETE", &one, json!(null)), Value::Null);
    rig.refused("GET", &one, json!(null), 404, "Invalid Deployment identifier specified");
    assert_eq!(rig.expect(202, "DELETE", &prod, json!(null)), Value::Null);
    rig.expect(202, "DELETE", &format!("{deployments}/{third}"), json!(null));
}

#[test]
fn a_deployment_is_what_the_api_was() {
    use crate::Store;
    let (rig, api, resource) = fixture();
    rig.expect(201, "POST", &format!("{api}/deployments"), json!({ "stageName": "prod" }));
    rig.expect(202, "DELETE", &format!("{api}/resources/{resource}"), json!(null));
    let id = api.rsplit('/').next().unwrap();
    let view = rig.store.view();
    let stage = view.stage(id, "prod").unwrap().unwrap().document;
    let deployment = view.deployment(id, &stage.deployment_id).unwrap().unwrap().document;
    let paths: Vec<&str> = deployment.definition.resources.iter().map(|r| r.path.as_str()).collect();
    assert!(paths.contains(&"/pets"), "{paths:?}");
    rig.refused(
        "POST",
        &format!("{api}/deployments"),
        json!({}),
        400,
        "The REST API doesn't contain any methods",
    );
}

const STAGELESS: &str =
    "stageDescription, variables, cacheClusterEnabled and cacheClusterSize need a stageName";

#[test]
fn what_cannot_be_served_is_not_deployed() {
    let (rig, api, resource) = fixture();
    let deployments = format!("{api}/deployments");
    let later = |what: &str, field: &str, value: &str| {
        format!("{what} is not supported by this version of Tidegate: field {field}, value {value}")
    };
    let cases = [
        (json!({ "variables": { "a": "b" } }), STAGELESS.to_owned()),
        (json!({ "stageName": "a/b" }), "Stage name only allows a-zA-Z0-9_-".into()),
        (
            json!({ "stageName": "s", "variables": { "a-b": "x" } }),
            "Invalid stage variable name 'a-b': use 1 to 64 of a-z A-Z 0-9 _".into(),
        ),
        (
            json!({ "stageName": "s", "variables": { "a": "x y" } }),
            "Invalid value 'x y' of stage variable 'a': …".into(),
        ),
        (json!({ "cacheClusterEnabled": true }), STAGELESS.into()),
        (json!({ "cacheClusterSize": "0.5" }), STAGELESS.into()),
        (json!({ "tracingEnabled": true }), later("Tracing per stage", "tracingEnabled", "true")),
        (
            json!({ "stageName": "s", "canarySettings": { "percentTraffic": 5 } }),
            later("A canary release", "canarySettings", "{\"percentTraffic\":5}"),
        ),
    ];
    for (body, message) in cases {
        rig.refused("POST", &deployments, body, 400, &message);
    }
    let many: serde_json::Map<String, Value> = (0..101).map(|i| (format!("v{i}"), json!("x"))).collect();
    rig.refused(
        "POST",
        &deployments,
        json!({ "stageName": "s", "variables": many }),
        400,
        "A stage can have 100 stage variables, not 101",
    );
    rig.refused(
        "POST",
        "/restapis/nope/deployments",
        json!({}),
        404,
        &format!("Invalid API identifier specified {ACCOUNT}:nope"),
    );
    let method = format!("{api}/resources/{resource}/methods/GET");
    let response = format!("{method}/integration/responses/200");
    rig.expect(201, "PUT", &response, json!({ "selectionPattern": "(" }));
    let (status, answer) = rig.call("POST", &deployments, json!({}));
    assert_eq!(status, 400, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("/pets"), "the place is named: {answer}");
    rig.expect(204, "DELETE", &format!("{method}/integration"), json!(null));
    rig.refused("POST", &deployments, json!({ "stageName": "s" }), 400, "No integration defined for method");
    assert_eq!(rig.expect(200, "GET", &format!("{api}/stages"), json!(null)), json!({ "item": [] }));
}

#[test]
fn stages() {
    let (rig, api, _) = fixture();
    let (deployments, stages) = (format!("{api}/deployments"), format!("{api}/stages"));
    let first = text(&rig.expect(201, "POST", &deployments, json!({}))["id"]);
    let second = text(&rig.expect(201, "POST", &deployments, json!({}))["id"]);
    let body = json!({ "stageName": "s1", "deploymentId": first, "cacheClusterEnabled": false, "tracingEnabled": false, "tags": { "a": "b" } });
    let mut expect = stage("s1", &first);
    expect["tags"] = json!({ "a": "b" });
    assert_eq!(rig.expect(201, "POST", &stages, body.clone()), expect);
    rig.refused("POST", &stages, body, 409, "Stage already exists");
    rig.expect(201, "POST", &stages, json!({ "stageName": "s2", "deploymentId": second }));
    let all = rig.expect(200, "GET", &stages, json!(null));
    assert_eq!(all, json!({ "item": [expect, stage("s2", &second)] }));
    let some = rig.expect(200, "GET", &format!("{stages}?deploymentId={second}"), json!(null));
    assert_eq!(some, json!({ "item": [stage("s2", &second)] }));
    let later = |what: &str, field: &str, value: &str| {
        format!("{what} is not supported by this version of Tidegate: field {field}, value {value}")
    };
    let cases = [
        (json!({ "stageName": "x" }), 400, "1 validation error detected: Value null at 'createStageInput.deploymentId' failed to satisfy constraint: Member must not be null".to_owned()),
        (json!({ "stageName": "x", "deploymentId": "nope" }), 404, "Invalid Deployment identifier specified".into()),
        (json!({ "stageName": "x y", "deploymentId": first }), 400, "Stage name only allows a-zA-Z0-9_-".into()),
        (json!({ "stageName": "x", "deploymentId": first, "documentationVersion": "1" }), 400, later("API documentation", "documentationVersion", "1")),
        (json!({ "stageName": "x", "deploymentId": first, "tracingEnabled": true }), 400, later("Tracing per stage", "tracingEnabled", "true")),
    ];
    for (body, status, message) in cases {
        rig.refused("POST", &stages, body, status, &message);
    }
    for i in 3..=10 {
        rig.expect(201, "POST", &stages, json!({ "stageName": format!("s{i}"), "deploymentId": first }));
    }
    rig.refused(
        "POST",
        &stages,
        json!({ "stageName": "s11", "deploymentId": first }),
        429,
        "Maximum number of stages for this API has been reached: 10",
    );
}

/// An API with a stage: the rig, the path of the stage, and a second deployment.
fn staged() -> (Rig, String, String) {
    let (rig, api, _) = fixture();
    let deployments = format!("{api}/deployments");
    rig.expect(201, "POST", &deployments, json!({ "stageName": "s" }));
    let other = text(&rig.expect(201, "POST", &deployments, json!({}))["id"]);
    (rig, format!("{api}/stages/s"), other)
}

#[test]
fn stage_updates() {
    let (rig, path, other) = staged();
    let body = json!({ "patchOperations": [
        { "op": "replace", "path": "/description", "value": "stage new" },
        { "op": "replace", "path": "/deploymentId", "value": other },
        { "op": "replace", "path": "/variables/var1", "value": "test" },
        { "op": "replace", "path": "/variables/var2", "value": "test2" },
        { "op": "copy", "path": "/variables/var3", "from": "/variables/var1" },
        { "op": "replace", "path": "/tracingEnabled", "value": "false" },
        { "op": "replace", "path": "/cacheClusterEnabled", "value": "false" },
        { "op": "remove", "path": "/accessLogSettings" },
    ]});
    let updated = rig.expect(200, "PATCH", &path, body);
    assert_eq!((&updated["description"], &updated["deploymentId"]), (&json!("stage new"), &json!(other)));
    assert_eq!(updated["variables"], json!({ "var1": "test", "var2": "test2", "var3": "test" }));
    let fewer = rig.expect(200, "PATCH", &path, patch("remove", "/variables/var2", json!(null)));
    assert_eq!(fewer["variables"], json!({ "var1": "test", "var3": "test" }));
    assert_eq!(rig.expect(200, "GET", &path, json!(null)), fewer);
}

#[test]
fn wrong_stage_paths() {
    let (rig, path, _) = staged();
    let api = path.strip_suffix("/stages/s").unwrap();
    let known = "Must be one of: [/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, …";
    for wrong in ["/documentation_version", "/tags/tag1", "/canarySettings/badPath"] {
        let message = format!("Invalid method setting path: {wrong}. {known}");
        rig.refused("PATCH", &path, replace(wrong, "x"), 400, &message);
    }
    for wrong in [
        "canarySettings/badPath",
        "canarySettings/stageVariableOverrides",
        "*/*/throttling/rateLimit",
        "canarySettings",
    ] {
        let message = format!(
            "Cannot remove method setting {wrong} because there is no method setting for this method "
        );
        rig.refused("PATCH", &path, patch("remove", &format!("/{wrong}"), json!(null)), 400, &message);
    }
    let add = patch("add", "/canarySettings/deploymentId", json!("x"));
    rig.refused("PATCH", &path, add, 400, "Invalid add operation with path: /canarySettings/deploymentId");
    let promotion = json!({ "op": "copy", "path": "/deploymentId", "from": "/canarySettings/deploymentId" });
    let promotion = json!({ "patchOperations": [promotion] });
    rig.refused("PATCH", &path, promotion, 400, "Promotion not available. Canary does not exist.");
    let no_stage = "Invalid Stage identifier specified";
    for verb in ["GET", "DELETE", "PATCH"] {
        rig.refused(verb, &format!("{api}/stages/nope"), json!(null), 404, no_stage);
        rig.refused(verb, "/restapis/nope/stages/s", json!(null), 404, no_stage);
    }
}

#[test]
fn wrong_stage_values() {
    let (rig, path, _) = staged();
    let later = [
        ("/canarySettings/percentTraffic", "10", "A canary release", "canarySettings"),
        ("/accessLogSettings/format", "x", "Access logging per stage", "accessLogSettings"),
        ("/tracingEnabled", "true", "Tracing per stage", "tracingEnabled"),
        ("/clientCertificateId", "c", "A client certificate", "clientCertificateId"),
        ("/documentationVersion", "1", "API documentation", "documentationVersion"),
    ];
    for (at, value, what, field) in later {
        let message =
            format!("{what} is not supported by this version of Tidegate: field {field}, value {value}");
        rig.refused("PATCH", &path, replace(at, value), 400, &message);
    }
    rig.refused(
        "PATCH",
        &path,
        replace("/deploymentId", "nope"),
        404,
        "Invalid Deployment identifier specified",
    );
    let blank = replace("/variables/var1", "x y");
    rig.refused("PATCH", &path, blank, 400, "Invalid value 'x y' of stage variable 'var1': …");
}
