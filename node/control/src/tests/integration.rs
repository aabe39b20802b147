//! Integrations and integration responses, with AWS's recorded answers.

use serde_json::{Value, json};

use super::rig::{Rig, patch, replace};

fn fixture() -> (Rig, String, String) {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let method = format!("/restapis/{api}/resources/{root}/methods/GET");
    let body = json!({
        "authorizationType": "NONE",
        "requestParameters": { "method.request.path.id": true, "method.request.querystring.q": false },
    });
    rig.expect(201, "PUT", &method, body);
    (rig, format!("{method}/integration"), root)
}

#[test]
fn defaults_as_recorded() {
    let (rig, integration, root) = fixture();
    let mock = rig.expect(
        201,
        "PUT",
        &integration,
        json!({ "type": "MOCK", "connectionType": "INTERNET", "requestTemplates": { "application/json": "{\"statusCode\": 200}" } }),
    );
    assert_eq!(
        mock,
        json!({
            "type": "MOCK", "requestTemplates": { "application/json": "{\"statusCode\": 200}" },
            "passthroughBehavior": "WHEN_NO_MATCH", "timeoutInMillis": 29000, "cacheNamespace": root, "cacheKeyParameters": [],
        })
    );
    let http = json!({ "type": "HTTP", "httpMethod": "POST", "uri": "http://127.0.0.1:9/{id}" });
    let printed = rig.expect(201, "PUT", &integration, http);
    assert_eq!(
        printed,
        json!({
            "type": "HTTP", "httpMethod": "POST", "uri": "http://127.0.0.1:9/{id}", "connectionType": "INTERNET",
            "passthroughBehavior": "WHEN_NO_MATCH", "timeoutInMillis": 29000, "cacheNamespace": root, "cacheKeyParameters": [],
        })
    );
    assert_eq!(rig.expect(200, "GET", &integration, json!(null)), printed);
    let proxy = json!({
        "type": "HTTP_PROXY", "httpMethod": "ANY", "uri": "https://${stageVariables.host}/x",
        "requestParameters": {
            "integration.request.path.id": "method.request.path.id",
            "integration.request.header.a": "'static'",
            "integration.request.header.b": "stageVariables.b",
            "integration.request.querystring.c": "context.requestId",
            "integration.request.querystring.d": "method.request.body.a.b",
            "integration.request.querystring.e": "method.request.multivaluequerystring.q",
        },
        "timeoutInMillis": 50, "passthroughBehavior": "NEVER", "tlsConfig": { "insecureSkipVerification": true },
        "credentials": null, "connectionId": "", "responseTransferMode": "BUFFERED", "cacheKeyParameters": ["method.request.path.id"],
    });
    let printed = rig.expect(201, "PUT", &integration, proxy);
    assert_eq!(
        (&printed["timeoutInMillis"], &printed["tlsConfig"]),
        (&json!(50), &json!({ "insecureSkipVerification": true }))
    );
    assert_eq!(rig.expect(204, "DELETE", &integration, json!(null)), Value::Null);
    for verb in ["GET", "DELETE"] {
        rig.refused(verb, &integration, json!(null), 404, "Invalid Integration identifier specified");
    }
}

#[test]
fn creation_is_refused() {
    let (rig, integration, _) = fixture();
    let with = |field: &str, value: Value| {
        let mut body = json!({ "type": "HTTP", "httpMethod": "GET", "uri": "http://a.test/" });
        body[field] = value;
        body
    };
    let mapped = |target: &str, source: Value| with("requestParameters", json!({ target: source }));
    let mapping = |text: &str| {
        format!("Invalid mapping expression specified: Validation Result: warnings : [], errors : [{text}]")
    };
    let later = |what: &str, field: &str, value: &str| {
        format!("{what} is not supported by this version of Tidegate: field {field}, value {value}")
    };
    let endpoint = "Invalid HTTP endpoint specified for URI";
    let timeout = "Timeout should be between 50 ms and 29000 ms";
    let kinds = "failed to satisfy constraint: Member must satisfy enum value set: [HTTP, MOCK, AWS_PROXY, HTTP_PROXY, AWS]";
    let cases = [
        (with("type", json!("HTTPS_PROXY")), format!("1 validation error detected: Value 'HTTPS_PROXY' at 'putIntegrationInput.type' {kinds}")),
        (json!({}), "1 validation error detected: Value null at 'putIntegrationInput.type' failed to satisfy constraint: Member must not be null".into()),
        (with("type", json!("AWS_PROXY")), later("The integration type", "type", "AWS_PROXY")),
        (with("type", json!("AWS")), later("The integration type", "type", "AWS")),
        (with("connectionType", json!("VPC_LINK")), "connectionId must be specified for connectionType VPC_LINK".into()),
        (with("connectionType", json!("X")), "1 validation error detected: Value 'X' at 'putIntegrationInput.connectionType' failed to satisfy constraint: Member must satisfy enum value set: [INTERNET, VPC_LINK]".into()),
        (with("connectionId", json!("v")), "connectionId can only be specified for connectionType VPC_LINK".into()),
        (with("credentials", json!("arn:x")), later("Integration credentials", "credentials", "arn:x")),
        (with("contentHandling", json!("CONVERT_TO_TEXT")), later("Content handling", "contentHandling", "CONVERT_TO_TEXT")),
        (with("responseTransferMode", json!("STREAM")), later("The response transfer mode", "responseTransferMode", "STREAM")),
        (json!({ "type": "MOCK", "tlsConfig": {} }), later("TLS to a mock", "tlsConfig", "{\"insecureSkipVerification\":false}")),
        (with("httpMethod", json!(null)), "Enumeration value for HttpMethod must be non-empty".into()),
        (with("httpMethod", json!("get")), "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY".into()),
        (with("uri", json!(null)), endpoint.into()),
        (with("uri", json!("")), endpoint.into()),
        (with("uri", json!("ftp://a.test")), endpoint.into()),
        (with("uri", json!("http:///x")), endpoint.into()),
        (with("uri", json!("http://a b/")), endpoint.into()),
        (with("timeoutInMillis", json!(49)), timeout.into()),
        (with("timeoutInMillis", json!(29001)), timeout.into()),
        (with("timeoutInMillis", json!(-5)), timeout.into()),
        (with("timeoutInMillis", json!("x")), "class java.lang.String can not be converted to an Integer".into()),
        (with("passthroughBehavior", json!("X")), "Invalid passthroughBehavior 'X' specified. Must be one of: [WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER]".into()),
        (with("requestTemplates", json!({ "123": "x" })), "Validation Result: warnings : [], errors : [Invalid content type specified: 123]".into()),
        (mapped("integration.request.path.id", json!("true")), mapping("Invalid mapping expression specified: true")),
        (mapped("integration.request.path.id", json!(true)), "class java.lang.Boolean can not be converted to an String".into()),
        (mapped("integration.request.body", json!("'x'")), mapping("Invalid mapping expression specified: integration.request.body")),
        (mapped("integration.request.path.id", json!("method.request.path.other")), mapping("Invalid mapping expression parameter specified: method.request.path.other")),
        (mapped("integration.request.path.id", json!("method.request.cookie.a")), mapping("Invalid mapping expression specified: method.request.cookie.a")),
    ];
    for (body, message) in cases {
        rig.refused("PUT", &integration, body, 400, &message);
    }
    let put = json!({ "type": "MOCK" });
    let other = integration.replace("/GET/", "/POST/");
    rig.refused("PUT", &other, put.clone(), 404, "Invalid Method identifier specified");
    rig.refused("GET", &other, json!(null), 404, "Invalid Method identifier specified");
    rig.refused(
        "PUT",
        "/restapis/nope/resources/x/methods/GET/integration",
        put,
        404,
        "Invalid Resource identifier specified",
    );
    rig.refused(
        "GET",
        "/restapis/nope/resources/x/methods/GET/integration",
        json!(null),
        404,
        "Invalid Resource identifier specified",
    );
}

#[test]
fn updates() {
    let (rig, integration, root) = fixture();
    rig.refused("PATCH", &integration, json!({}), 404, "Invalid Integration identifier specified");
    rig.expect(
        201,
        "PUT",
        &integration,
        json!({ "type": "HTTP", "httpMethod": "GET", "uri": "http://a.test/" }),
    );
    let body = json!({ "patchOperations": [
        { "op": "replace", "path": "/uri", "value": "http://b.test/{id}" },
        { "op": "replace", "path": "/httpMethod", "value": "PUT" },
        { "op": "replace", "path": "/timeoutInMillis", "value": "1000" },
        { "op": "replace", "path": "/passthroughBehavior", "value": "NEVER" },
        { "op": "replace", "path": "/cacheNamespace", "value": "" },
        { "op": "replace", "path": "/contentHandling", "value": "" },
        { "op": "replace", "path": "/tlsConfig/insecureSkipVerification", "value": "true" },
        { "op": "add", "path": "/requestTemplates/application~1json", "value": "$input.body" },
        { "op": "add", "path": "/requestParameters/integration.request.path.id", "value": "method.request.path.id" },
        { "op": "add", "path": "/cacheKeyParameters/method.request.path.id" },
    ]});
    assert_eq!(
        rig.expect(200, "PATCH", &integration, body),
        json!({
            "type": "HTTP", "httpMethod": "PUT", "uri": "http://b.test/{id}", "connectionType": "INTERNET",
            "requestParameters": { "integration.request.path.id": "method.request.path.id" },
            "requestTemplates": { "application/json": "$input.body" }, "passthroughBehavior": "NEVER",
            "timeoutInMillis": 1000, "cacheNamespace": root, "cacheKeyParameters": ["method.request.path.id"],
            "tlsConfig": { "insecureSkipVerification": true },
        })
    );
    let cases = [
        (replace("/type", "MOCK"), 400, "Invalid patch path /type"),
        (replace("/uri", "x"), 400, "Invalid HTTP endpoint specified for URI"),
        (replace("/httpMethod", ""), 400, "Enumeration value for HttpMethod must be non-empty"),
        (replace("/timeoutInMillis", "30000"), 400, "Timeout should be between 50 ms and 29000 ms"),
        (
            replace("/timeoutInMillis", "soon"),
            400,
            "Invalid value 'soon' specified for timeoutInMillis, must be a whole number",
        ),
        (
            replace("/connectionType", "VPC_LINK"),
            400,
            "connectionId must be specified for connectionType VPC_LINK",
        ),
        (
            patch("add", "/uri", json!("http://x")),
            400,
            "Invalid patch operation specified. Must be one of: [replace]",
        ),
        (replace("/requestTemplates/text~1xml", "x"), 404, "Content-Type specified was not found"),
        (
            patch("remove", "/requestParameters/integration.request.path.z", json!(null)),
            404,
            "Invalid parameter name specified",
        ),
    ];
    for (body, status, message) in cases {
        rig.refused("PATCH", &integration, body, status, message);
    }
}

#[test]
fn cache_keys() {
    let (rig, integration, _) = fixture();
    let body = |keys: &[&str]| json!({ "type": "MOCK", "cacheKeyParameters": keys });
    let declared = "method.request.path.id";
    rig.expect(201, "PUT", &integration, body(&[declared]));
    for wrong in [
        "method.request.querystring.undeclared",
        "integration.request.path.id",
        "method.request.body",
        "path.id",
        "",
    ] {
        let message = format!("Invalid cache key parameter specified: {wrong}");
        rig.refused("PUT", &integration, body(&[declared, wrong]), 400, &message);
        if !wrong.is_empty() {
            let add = patch("add", &format!("/cacheKeyParameters/{wrong}"), json!(null));
            rig.refused("PATCH", &integration, add, 400, &message);
        }
    }
    let mapped = |source: &str| {
        json!({ "patchOperations": [
            { "op": "add", "path": "/requestParameters/integration.request.header.h", "value": source },
            { "op": "add", "path": "/cacheKeyParameters/integration.request.header.h" },
        ]})
    };
    rig.refused(
        "PATCH",
        &integration,
        mapped("method.request.body.a"),
        400,
        "A cache key from the body or the context is not supported by this version of Tidegate: field cacheKeyParameters, value integration.request.header.h",
    );
    let updated = rig.expect(200, "PATCH", &integration, mapped(declared));
    assert_eq!(updated["cacheKeyParameters"], json!([declared, "integration.request.header.h"]));
    let unmapped = patch("remove", "/requestParameters/integration.request.header.h", json!(null));
    let message = "Invalid cache key parameter specified: integration.request.header.h";
    rig.refused("PATCH", &integration, unmapped, 400, message);
}

#[test]
fn integration_responses() {
    let (rig, integration, _) = fixture();
    let response = format!("{integration}/responses/200");
    let first = json!({ "selectionPattern": "", "responseTemplates": { "application/json": "\"created\"" } });
    rig.refused("PUT", &response, first.clone(), 404, "Invalid Integration identifier specified");
    rig.refused("GET", &response, json!(null), 404, "Invalid Integration identifier specified");
    rig.expect(201, "PUT", &integration, json!({ "type": "MOCK" }));
    let printed = json!({ "statusCode": "200", "selectionPattern": "", "responseTemplates": { "application/json": "\"created\"" } });
    assert_eq!(rig.expect(201, "PUT", &response, first), printed);
    assert_eq!(rig.expect(200, "GET", &response, json!(null)), printed);
    let updated = rig.expect(200, "PATCH", &response, replace("/selectionPattern", "updated-pattern"));
    assert_eq!(updated["selectionPattern"], "updated-pattern");
    for empty in [json!(null), json!("")] {
        let body = json!({ "selectionPattern": "", "responseTemplates": { "application/json": empty } });
        let printed = rig.expect(201, "PUT", &response, body);
        assert_eq!(
            printed,
            json!({ "statusCode": "200", "selectionPattern": "", "responseTemplates": { "application/json": null } })
        );
    }
    let filled = rig.expect(200, "PATCH", &response, replace("/responseTemplates/application~1json", "x"));
    assert_eq!(filled["responseTemplates"], json!({ "application/json": "x" }));
    let mapped =
        json!({ "responseParameters": { "method.response.header.a": "integration.response.header.b" } });
    rig.refused("PUT", &response, mapped.clone(), 404, "No method response exists for method.");
    let declared = json!({ "responseParameters": { "method.response.header.a": false } });
    rig.expect(201, "PUT", &response.replace("/integration", ""), declared);
    rig.expect(201, "PUT", &response, mapped);
    let mapping = |text: &str| {
        format!("Invalid mapping expression specified: Validation Result: warnings : [], errors : [{text}]")
    };
    let pattern = "1 validation error detected: Value 'wrong' at 'statusCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [1-5]\\d\\d";
    let wrong = format!("{integration}/responses/wrong");
    let missing = format!("{integration}/responses/201");
    let parameters = |target: &str, source: &str| json!({ "responseParameters": { target: source } });
    let cases = [
        ("PUT", wrong.clone(), json!({}), 400, pattern.to_owned()),
        ("GET", wrong, json!(null), 400, pattern.to_owned()),
        ("GET", missing.clone(), json!(null), 404, "Invalid Response status code specified".into()),
        ("PATCH", missing.clone(), json!({}), 404, "Invalid Response status code specified".into()),
        ("DELETE", missing, json!(null), 404, "Invalid Response status code specified".into()),
        ("PUT", response.clone(), json!({ "responseTemplates": { "application/json": 5 } }), 400, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String".into()),
        ("PUT", response.clone(), json!({ "responseTemplates": { "123": "x" } }), 400, "Validation Result: warnings : [], errors : [Invalid content type specified: 123]".into()),
        ("PUT", response.clone(), parameters("method.response.header.z", "'x'"), 400, mapping("Invalid mapping expression parameter specified: method.response.header.z")),
        ("PUT", response.clone(), parameters("method.response.header.a", "true"), 400, mapping("Invalid mapping expression specified: true")),
        ("PUT", response.clone(), json!({ "contentHandling": "CONVERT_TO_BINARY" }), 400, "Content handling is not supported by this version of Tidegate: field contentHandling, value CONVERT_TO_BINARY".into()),
        ("PUT", response.replace("/GET/", "/POST/"), json!({}), 404, "Invalid Method identifier specified".into()),
        ("DELETE", response.replace("/GET/", "/POST/"), json!(null), 404, "Invalid Integration identifier specified".into()),
        ("DELETE", "/restapis/nope/resources/x/methods/GET/integration/responses/200".into(), json!(null), 404, "Invalid Resource identifier specified".into()),
    ];
    for (verb, target, body, status, message) in cases {
        rig.refused(verb, &target, body, status, &message);
    }
    assert_eq!(rig.expect(204, "DELETE", &response, json!(null)), Value::Null);
    assert!(rig.expect(200, "GET", &integration, json!(null)).get("integrationResponses").is_none());
}
