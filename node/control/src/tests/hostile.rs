//! Input of every wrong kind at every operation: always an answer, never a fault of ours.

use serde_json::{Value, json};

use super::rig::{Rig, text};

const FIELDS: [&str; 43] = [
    "name",
    "description",
    "version",
    "cloneFrom",
    "binaryMediaTypes",
    "minimumCompressionSize",
    "apiKeySource",
    "endpointConfiguration",
    "policy",
    "tags",
    "disableExecuteApiEndpoint",
    "pathPart",
    "authorizationType",
    "apiKeyRequired",
    "requestParameters",
    "requestModels",
    "responseParameters",
    "responseModels",
    "type",
    "httpMethod",
    "uri",
    "requestTemplates",
    "timeoutInMillis",
    "tlsConfig",
    "cacheKeyParameters",
    "selectionPattern",
    "responseTemplates",
    "schema",
    "contentType",
    "stageName",
    "deploymentId",
    "variables",
    "patchOperations",
    "canarySettings",
    "enabled",
    "value",
    "stageKeys",
    "customerId",
    "apiStages",
    "throttle",
    "quota",
    "keyId",
    "keyType",
];

fn values() -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(u64::MAX),
        json!("\u{0}\u{202e}é/../%00"),
        json!("x".repeat(5_000)),
        json!([null, 1, {}]),
        json!({ "": null, "a": 1, "/": [] }),
        json!({ "types": "EDGE" }),
        json!([{ "op": "replace", "path": "/a~2/~0~1//", "value": {} }]),
        deep,
    ]
}

fn base(kind: &str) -> Value {
    match kind {
        "api" => json!({ "name": "n" }),
        "method" => json!({ "authorizationType": "NONE" }),
        "integration" => json!({ "type": "HTTP", "httpMethod": "GET", "uri": "http://a.test/" }),
        "model" => json!({ "name": "M", "contentType": "application/json", "schema": "{\"a\":1}" }),
        "stage" => json!({ "stageName": "s", "deploymentId": "d" }),
        "member" => json!({ "keyId": "k", "keyType": "API_KEY" }),
        _ => json!({}),
    }
}

#[test]
fn no_body_is_a_fault_of_ours() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let resource = rig.mock(&api, &root, "pets");
    let deployment = text(
        &rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), json!({ "stageName": "p" }))["id"],
    );
    let at = format!("/restapis/{api}");
    let method = format!("{at}/resources/{resource}/methods/GET");
    rig.expect(201, "PUT", &format!("{method}/responses/200"), json!({}));
    rig.expect(201, "PUT", &format!("{method}/integration/responses/200"), json!({}));
    let tags = format!("/tags/arn:aws:apigateway:eu-west-1::/restapis/{api}");
    let (key, plan) = (rig.key("k"), rig.plan("p", &[(&api, "p")]));
    rig.join(&plan, &key);
    let targets = [
        ("POST", "/apikeys".to_owned(), ""),
        ("POST", "/apikeys?mode=import&format=csv".into(), ""),
        ("PATCH", format!("/apikeys/{key}"), ""),
        ("POST", "/usageplans".into(), "api"),
        ("PATCH", format!("/usageplans/{plan}"), ""),
        ("POST", format!("/usageplans/{plan}/keys"), "member"),
        ("PATCH", format!("/usageplans/{plan}/keys/{key}/usage"), ""),
        ("PATCH", "/account".into(), ""),
        ("PUT", format!("/tags/arn:aws:apigateway:eu-west-1::/usageplans/{plan}"), ""),
        ("POST", "/restapis".to_owned(), "api"),
        ("POST", "/restapis?mode=import".into(), ""),
        ("PUT", at.clone(), ""),
        ("PATCH", at.clone(), ""),
        ("POST", format!("{at}/resources/{root}"), ""),
        ("PATCH", format!("{at}/resources/{resource}"), ""),
        ("PUT", method.replace("GET", "PUT"), "method"),
        ("PATCH", method.clone(), ""),
        ("PUT", format!("{method}/responses/201"), ""),
        ("PATCH", format!("{method}/responses/200"), ""),
        ("PUT", format!("{method}/integration"), "integration"),
        ("PATCH", format!("{method}/integration"), ""),
        ("PUT", format!("{method}/integration/responses/201"), ""),
        ("PATCH", format!("{method}/integration/responses/200"), ""),
        ("POST", format!("{at}/models"), "model"),
        ("PATCH", format!("{at}/models/Empty"), ""),
        ("POST", format!("{at}/deployments"), ""),
        ("PATCH", format!("{at}/deployments/{deployment}"), ""),
        ("POST", format!("{at}/stages"), "stage"),
        ("PATCH", format!("{at}/stages/p"), ""),
        ("PUT", tags, ""),
        ("POST", "/_tidegate/cluster/transfer".into(), ""),
        ("POST", "/_tidegate/cluster/nodes/1/remove".into(), ""),
    ];
    let mut answered = 0;
    for (verb, target, kind) in &targets {
        for field in FIELDS {
            for value in values() {
                let mut body = base(kind);
                body[field] = value;
                let (status, answer) = rig.call(verb, target, body.clone());
                assert!(status < 500, "{verb} {target} {body}: {status} {answer}");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, targets.len() * FIELDS.len() * values().len());
    rig.expect(200, "GET", &format!("{at}/resources?embed=methods"), json!(null));
    rig.expect(200, "GET", &format!("{at}/stages/p"), json!(null));
}

#[test]
fn no_patch_is_a_fault_of_ours() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let resource = rig.mock(&api, &root, "pets");
    rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), json!({ "stageName": "p" }));
    let integration = format!("/restapis/{api}/resources/{resource}/methods/GET/integration");
    let (key, plan) = (rig.key("k"), rig.plan("p", &[(&api, "p")]));
    rig.join(&plan, &key);
    let targets = [
        format!("/restapis/{api}"),
        integration,
        format!("/restapis/{api}/stages/p"),
        format!("/apikeys/{key}"),
        format!("/usageplans/{plan}"),
        format!("/usageplans/{plan}/keys/{key}/usage"),
        "/account".to_owned(),
    ];
    let paths = [
        "",
        "/",
        "//",
        "/name",
        "/name/x",
        "/endpointConfiguration",
        "/endpointConfiguration/types/9",
        "/endpointConfiguration/types/",
        "/binaryMediaTypes/~",
        "/tlsConfig/insecureSkipVerification",
        "/variables/",
        "/variables/a",
        "/cacheKeyParameters/~01",
        "/timeoutInMillis",
        "/requestParameters/integration.request.path.a",
        "/deploymentId",
        "/description",
        "/id",
        "/createdDate",
        "/other",
        "/*/*/throttling/rateLimit",
        "/a/GET/throttling/burstLimit",
        "/GET/throttling/burstLimit",
        "/throttling/burstLimit",
        "/*/*",
        "/stages",
        "/labels",
        "/apiStages",
        "/apiStages/",
        "/apiStages/a:b/throttle",
        "/apiStages/a:b/throttle//rateLimit",
        "/quota/limit",
        "/quota/period",
        "/throttle/rateLimit",
        "/remaining",
        "/features",
        "/throttleSettings/rateLimit",
    ];
    let values =
        [json!(null), json!(""), json!("x"), json!("-1"), json!(5), json!({ "a": 1 }), json!("9".repeat(40))];
    let ops = ["add", "remove", "replace", "move", "copy", "test", ""];
    for (target, path) in targets.iter().flat_map(|target| paths.map(|path| (target, path))) {
        for (op, value) in ops.iter().flat_map(|op| values.iter().map(move |value| (op, value))) {
            let patch = json!({ "op": op, "path": path, "value": value, "from": path });
            let body = json!({ "patchOperations": [patch] });
            let (status, answer) = rig.call("PATCH", target, body.clone());
            assert!(status < 500, "{target} {body}: {status} {answer}");
        }
    }
}
