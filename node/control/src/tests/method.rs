//! Methods and method responses, with AWS's recorded answers.

use serde_json::{Value, json};

use super::rig::{Rig, patch, replace};

fn fixture() -> (Rig, String, String) {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let method = format!("/restapis/{api}/resources/{root}/methods/ANY");
    (rig, method, api)
}

#[test]
fn life_cycle() {
    let (rig, method, _) = fixture();
    let plain = json!({ "httpMethod": "ANY", "authorizationType": "NONE", "apiKeyRequired": false });
    assert_eq!(rig.expect(201, "PUT", &method, json!({ "authorizationType": "NONE" })), plain);
    assert_eq!(rig.expect(200, "GET", &method, json!(null)), plain);
    rig.refused(
        "PUT",
        &method,
        json!({ "authorizationType": "NONE" }),
        409,
        "Method already exists for this resource",
    );
    assert_eq!(rig.expect(204, "DELETE", &method, json!(null)), Value::Null);
    for verb in ["GET", "DELETE"] {
        rig.refused(verb, &method, json!(null), 404, "Invalid Method identifier specified");
    }
    let full = json!({
        "authorizationType": "NONE", "apiKeyRequired": true, "operationName": "op",
        "requestParameters": { "method.request.header.h": true, "method.request.querystring.q": false },
        "requestModels": { "application/json": "Empty" },
        "authorizationScopes": [], "authorizerId": null, "requestValidatorId": "",
    });
    assert_eq!(
        rig.expect(201, "PUT", &method, full),
        json!({
            "httpMethod": "ANY", "authorizationType": "NONE", "apiKeyRequired": true, "operationName": "op",
            "requestParameters": { "method.request.header.h": true, "method.request.querystring.q": false },
            "requestModels": { "application/json": "Empty" },
        })
    );
}

#[test]
fn creation_is_refused() {
    let (rig, method, api) = fixture();
    let with = |field: &str, value: Value| json!({ "authorizationType": "NONE", field: value });
    let no_resource = "Invalid Resource identifier specified";
    let verbs = "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY";
    let none = json!({ "authorizationType": "NONE" });
    rig.refused("PUT", "/restapis/nope/resources/x/methods/GET", none.clone(), 404, no_resource);
    rig.refused("PUT", &format!("/restapis/{api}/resources/x/methods/GET"), none.clone(), 404, no_resource);
    rig.refused("PUT", &method.replace("ANY", "WRONG"), none, 400, verbs);
    let cases = [
        (
            json!({}),
            "1 validation error detected: Value null at 'putMethodInput.authorizationType' failed to satisfy constraint: Member must not be null",
        ),
        (
            json!({ "authorizationType": "AWS_IAM" }),
            "Method authorization is not supported by this version of Tidegate: field authorizationType, value AWS_IAM",
        ),
        (
            with("authorizerId", json!("abc123")),
            "An authorizer is not supported by this version of Tidegate: field authorizerId, value abc123",
        ),
        (
            with("requestValidatorId", json!("v")),
            "Request validation is not supported by this version of Tidegate: field requestValidatorId, value v",
        ),
        (
            with("authorizationScopes", json!(["a"])),
            "Authorization by scope is not supported by this version of Tidegate: field authorizationScopes, value [\"a\"]",
        ),
        (
            with("requestModels", json!({ "application/json": "petModel" })),
            "Invalid model identifier specified: petModel",
        ),
        (
            with(
                "requestParameters",
                json!({ "method.request.header.a": true, "method.request.querystring.a": true }),
            ),
            "Parameter names must be unique across querystring, header and path",
        ),
        (
            with("requestParameters", json!({ "header.a": true })),
            "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: header.a]",
        ),
        (
            with("requestParameters", json!({ "method.request.body.a": true })),
            "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: method.request.body.a]",
        ),
        (
            with("requestParameters", json!({ "method.request.header.a": "x" })),
            "class java.lang.String can not be converted to an Boolean",
        ),
    ];
    for (body, message) in cases {
        rig.refused("PUT", &method, body, 400, message);
    }
}

#[test]
fn updates_as_recorded() {
    let (rig, method, _) = fixture();
    rig.expect(201, "PUT", &method, json!({ "authorizationType": "NONE" }));
    let update =
        |operations: Value| rig.expect(200, "PATCH", &method, json!({ "patchOperations": operations }));
    update(json!([
        { "op": "add", "path": "/requestParameters/method.request.querystring.optional", "value": "true" },
        { "op": "add", "path": "/requestModels/application~1json", "value": "Empty" },
    ]));
    let replaced = update(json!([
        { "op": "replace", "path": "/requestParameters/method.request.querystring.optional", "value": "false" },
        { "op": "replace", "path": "/operationName", "value": "Replaced" },
        { "op": "replace", "path": "/apiKeyRequired", "value": "true" },
        { "op": "replace", "path": "/authorizationType", "value": "NONE" },
    ]));
    assert_eq!(
        replaced,
        json!({
            "httpMethod": "ANY", "authorizationType": "NONE", "apiKeyRequired": true, "operationName": "Replaced",
            "requestParameters": { "method.request.querystring.optional": false },
            "requestModels": { "application/json": "Empty" },
        })
    );
    let removed = update(json!([
        { "op": "remove", "path": "/requestParameters/method.request.querystring.optional" },
        { "op": "remove", "path": "/requestModels/application~1json" },
        { "op": "replace", "path": "/apiKeyRequired", "value": "whatever" },
        { "op": "replace", "path": "/operationName", "value": "" },
    ]));
    assert_eq!(removed, json!({ "httpMethod": "ANY", "authorizationType": "NONE", "apiKeyRequired": false }));
    let one = "Invalid patch operation specified. Must be one of: [replace]";
    let cases = [
        (patch("add", "/authorizationType", json!("NONE")), 400, one),
        (patch("remove", "/httpMethod", json!(null)), 400, "Invalid patch path /httpMethod"),
        (replace("/requestParameters", "x"), 400, "Invalid patch path /requestParameters"),
        (
            replace("/requestModels/application/json", "x"),
            400,
            "Invalid patch path /requestModels/application/json",
        ),
        (
            patch("add", "/requestModels/application~1json", json!("nope")),
            400,
            "Invalid model identifier specified: nope",
        ),
        (
            replace("/authorizationType", "AWS_IAM"),
            400,
            "Method authorization is not supported by this version of Tidegate: field authorizationType, value AWS_IAM",
        ),
        (patch("remove", "/requestParameters/x", json!(null)), 404, "Invalid parameter name specified"),
    ];
    for (body, status, message) in cases {
        rig.refused("PATCH", &method, body, status, message);
    }
    rig.refused(
        "PATCH",
        &method.replace("ANY", "GET"),
        replace("/apiKeyRequired", "true"),
        404,
        "Invalid Method identifier specified",
    );
    rig.refused(
        "PATCH",
        "/restapis/nope/resources/x/methods/GET",
        json!({}),
        404,
        "Invalid Resource identifier specified",
    );
}

#[test]
fn rules_of_caching() {
    let (rig, method, _) = fixture();
    let plain = rig.expect(201, "PUT", &method, json!({ "authorizationType": "NONE" }));
    for mode in ["aws", "rfc9111", "off"] {
        let updated = rig.expect(200, "PATCH", &method, replace("/tidegateCache", mode));
        assert_eq!(updated["tidegateCache"], mode);
        assert_eq!(rig.expect(200, "GET", &method, json!(null)), updated);
    }
    let removed = patch("remove", "/tidegateCache", json!(null));
    assert_eq!(rig.expect(200, "PATCH", &method, removed), plain);
    let wrong = "Invalid value 'on' specified for tidegateCache, must be aws, rfc9111 or off";
    rig.refused("PATCH", &method, replace("/tidegateCache", "on"), 400, wrong);
    let wrong = "Invalid patch operation specified. Must be 'replace'|'remove'";
    rig.refused("PATCH", &method, patch("add", "/tidegateCache", json!("aws")), 400, wrong);
    let other = method.replace("ANY", "GET");
    rig.refused(
        "PUT",
        &other,
        json!({ "authorizationType": "NONE", "tidegateCache": "aws" }),
        400,
        "This field is not supported by this version of Tidegate: field tidegateCache, value aws",
    );
}

#[test]
fn method_responses() {
    let (rig, method, _) = fixture();
    rig.expect(201, "PUT", &method, json!({ "authorizationType": "NONE" }));
    let response = format!("{method}/responses/200");
    assert_eq!(rig.expect(201, "PUT", &response, json!(null)), json!({ "statusCode": "200" }));
    rig.refused("PUT", &response, json!({}), 409, "Response already exists for this resource");
    let full = json!({
        "statusCode": "200", "responseModels": { "application/json": "Empty" },
        "responseParameters": { "method.response.header.my-header": true },
    });
    let add = json!({ "patchOperations": [
        { "op": "add", "path": "/responseParameters/method.response.header.my-header", "value": "true" },
        { "op": "add", "path": "/responseModels/application~1json", "value": "Empty" },
    ]});
    assert_eq!(rig.expect(201, "PATCH", &response, add), full);
    assert_eq!(rig.expect(200, "GET", &response, json!(null)), full);
    assert_eq!(rig.expect(200, "GET", &method, json!(null))["methodResponses"], json!({ "200": full }));
    let enumeration = "failed to satisfy constraint: Member must satisfy enum value set: [add, remove, move, test, replace, copy]";
    let pattern = "Value 'wrong' at 'statusCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [1-5]\\d\\d";
    let wrong_op =
        format!("Value 'wrong_op' at 'updateMethodResponseInput.patchOperations.1.member.op' {enumeration}");
    let bad = patch("wrong_op", "/responseParameters/x", json!("true"));
    let at = |status: &str| format!("{method}/responses/{status}");
    let cases = [
        ("PATCH", response.clone(), bad.clone(), 400, format!("1 validation error detected: {wrong_op}")),
        ("PATCH", at("wrong"), bad, 400, format!("2 validation errors detected: {wrong_op}; {pattern}")),
        ("PATCH", at("wrong"), json!({}), 400, format!("1 validation error detected: {pattern}")),
        ("PATCH", at("201"), json!({}), 404, "Invalid Response status code specified".into()),
        ("PATCH", response.clone(), replace("/responseParameters/method.response.header.x", "true"), 404, "Invalid parameter name specified".into()),
        ("PATCH", response.clone(), replace("/responseModels/text~1html", "Empty"), 404, "Content-Type specified was not found".into()),
        ("PATCH", response.clone(), replace("/wrong/method.response.header.my-header", "true"), 400, "Invalid patch path /wrong/method.response.header.my-header".into()),
        ("PATCH", method.replace("ANY", "GET") + "/responses/200", json!({}), 404, "Invalid Method identifier specified".into()),
        ("PUT", at("600"), json!({}), 400, pattern.replace("'wrong'", "'600'").replace("Value", "1 validation error detected: Value")),
        ("PUT", at("201"), json!({ "responseModels": { "application/json": "nope" } }), 400, "Invalid model identifier specified: nope".into()),
        ("PUT", at("201"), json!({ "responseParameters": { "method.response.body": true } }), 400, "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: method.response.body]".into()),
        ("GET", at("201"), json!(null), 404, "Invalid Response status code specified".into()),
        ("DELETE", at("201"), json!(null), 404, "Invalid Response status code specified".into()),
    ];
    for (verb, target, body, status, message) in cases {
        rig.refused(verb, &target, body, status, &message);
    }
    assert_eq!(rig.expect(204, "DELETE", &response, json!(null)), Value::Null);
    assert!(rig.expect(200, "GET", &method, json!(null)).get("methodResponses").is_none());
}
