//! Imports, re-imports and exports.

use serde_json::{Value, json};

use super::rig::{NOW_S, Rig, text};

fn document(title: &str, paths: Value) -> Value {
    json!({ "openapi": "3.0.1", "info": { "title": title, "version": "1.0", "description": "d" }, "paths": paths })
}

fn mock(verbs: &[&str]) -> Value {
    let method = json!({
        "responses": { "200": { "description": "ok" } },
        "x-amazon-apigateway-integration": {
            "type": "mock", "requestTemplates": { "application/json": "{\"statusCode\":200}" },
            "responses": { "default": { "statusCode": "200" } },
        },
    });
    verbs.iter().map(|verb| ((*verb).to_owned(), method.clone())).collect::<serde_json::Map<_, _>>().into()
}

fn methods(rig: &Rig, api: &str) -> Vec<(String, Vec<String>)> {
    let list = rig.expect(200, "GET", &format!("/restapis/{api}/resources"), json!(null));
    let row = |resource: &Value| {
        let verbs = resource["resourceMethods"].as_object().map(|m| m.keys().cloned().collect());
        (text(&resource["path"]), verbs.unwrap_or_default())
    };
    list["item"].as_array().unwrap().iter().map(row).collect()
}

fn row(path: &str, verbs: &[&str]) -> (String, Vec<String>) {
    (path.into(), verbs.iter().map(|verb| (*verb).into()).collect())
}

#[test]
fn an_import_is_deployable_as_it_is() {
    let rig = Rig::new();
    let body = document("Pets", json!({ "/pets/{id}": mock(&["get", "post"]), "/": mock(&["get"]) }));
    let api = rig.expect(201, "POST", "/restapis?mode=import&failonwarnings=true", body);
    let id = text(&api["id"]);
    for (field, expect) in [
        ("name", json!("Pets")),
        ("version", json!("1.0")),
        ("description", json!("d")),
        ("createdDate", json!(NOW_S)),
        ("endpointConfiguration", json!({ "types": ["EDGE"], "ipAddressType": "ipv4" })),
    ] {
        assert_eq!(api[field], expect, "{field}");
    }
    assert!(api.get("warnings").is_none(), "{api}");
    assert_eq!(
        methods(&rig, &id),
        [row("/", &["GET"]), row("/pets", &[]), row("/pets/{id}", &["GET", "POST"])]
    );
    let models = rig.expect(200, "GET", &format!("/restapis/{id}/models"), json!(null));
    assert_eq!(models, json!({ "item": [] }), "an imported API has the models of its document only");
    let root = text(&api["rootResourceId"]);
    let integration = rig.expect(
        200,
        "GET",
        &format!("/restapis/{id}/resources/{root}/methods/GET/integration"),
        json!(null),
    );
    assert_eq!((&integration["cacheNamespace"], &integration["type"]), (&json!(root), &json!("MOCK")));
    rig.expect(201, "POST", &format!("/restapis/{id}/deployments"), json!({ "stageName": "prod" }));
}

#[test]
fn puts_merge_or_overwrite() {
    let rig = Rig::new();
    let first = document("One", json!({ "/a": mock(&["get"]), "/b": mock(&["get"]) }));
    let api = rig.expect(201, "POST", "/restapis?mode=import", first);
    let id = text(&api["id"]);
    let second = document("Two", json!({ "/a": mock(&["post"]), "/c": mock(&["get"]) }));
    let merged = rig.expect(200, "PUT", &format!("/restapis/{id}?mode=merge"), second.clone());
    assert_eq!(
        (&merged["name"], &merged["rootResourceId"], &merged["tags"]),
        (&json!("Two"), &api["rootResourceId"], &json!({}))
    );
    assert_eq!(
        methods(&rig, &id),
        [row("/", &[]), row("/a", &["GET", "POST"]), row("/b", &["GET"]), row("/c", &["GET"])]
    );
    let replaced = rig.expect(200, "PUT", &format!("/restapis/{id}?mode=overwrite"), second);
    assert_eq!(replaced["rootResourceId"], api["rootResourceId"]);
    assert_eq!(methods(&rig, &id), [row("/", &[]), row("/a", &["POST"]), row("/c", &["GET"])]);
    let variable = document("Three", json!({ "/{x}": mock(&["get"]) }));
    rig.expect(200, "PUT", &format!("/restapis/{id}"), variable);
    let clash = document("Four", json!({ "/{y}": mock(&["get"]) }));
    rig.refused("PUT", &format!("/restapis/{id}"), clash, 400, "Errors found during import:\n\tUnable to create resource at path '/{y}': A sibling ({x}) of this resource already has a variable path part -- only one is allowed");
}

#[test]
fn where_keys_come_from() {
    const SOURCE: &str = "x-amazon-apigateway-api-key-source";
    let rig = Rig::new();
    let plain = document("plain", json!({ "/a": mock(&["get"]) }));
    let with = |source: &str| {
        let mut document = plain.clone();
        document[SOURCE] = json!(source);
        document
    };
    let api = rig.expect(201, "POST", "/restapis?mode=import", with("AUTHORIZER"));
    assert_eq!(api["apiKeySource"], "AUTHORIZER");
    let id = text(&api["id"]);
    rig.expect(201, "POST", &format!("/restapis/{id}/deployments"), json!({ "stageName": "dev" }));
    let export = format!("/restapis/{id}/stages/dev/exports/oas30?extensions=apigateway");
    assert_eq!(rig.expect(200, "GET", &export, json!(null))[SOURCE], "AUTHORIZER");
    for (mode, document, expect) in [
        ("merge", plain.clone(), "AUTHORIZER"),
        ("merge", with("header"), "HEADER"),
        ("overwrite", with("AUTHORIZER"), "AUTHORIZER"),
        ("overwrite", plain.clone(), "HEADER"),
    ] {
        let put = rig.expect(200, "PUT", &format!("/restapis/{id}?mode={mode}"), document);
        assert_eq!(put["apiKeySource"], expect, "{mode}");
    }
}

#[test]
fn refusals() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    let good = document("x", json!({ "/": mock(&["get"]) }));
    let broken = rig.signed("POST", "/restapis?mode=import", b"not a document".to_vec());
    assert_eq!(broken.status(), 400);
    let text = String::from_utf8(broken.body().to_vec()).unwrap();
    assert!(text.contains("Invalid OpenAPI input."), "{text}");
    rig.refused(
        "PUT",
        &format!("/restapis/{api}?mode=replace"),
        good.clone(),
        400,
        "Invalid mode 'replace' specified. Must be one of: [merge, overwrite]",
    );
    rig.refused(
        "PUT",
        &format!("/restapis/{api}?basepath=x"),
        good.clone(),
        400,
        "Invalid basepath 'x' specified. Must be one of: [ignore, prepend, split]",
    );
    rig.refused("PUT", "/restapis/nope", good, 404, "Invalid API identifier specified 123456789012:nope");
}

#[test]
fn an_export_imports_again() {
    let rig = Rig::new();
    let api = rig.expect(
        201,
        "POST",
        "/restapis?mode=import",
        document("Pets", json!({ "/pets": mock(&["get"]) })),
    );
    let id = text(&api["id"]);
    rig.expect(201, "POST", &format!("/restapis/{id}/deployments"), json!({ "stageName": "prod" }));
    let exports = format!("/restapis/{id}/stages/prod/exports");
    for kind in ["oas30", "swagger"] {
        let response = rig.signed("GET", &format!("{exports}/{kind}?extensions=apigateway"), Vec::new());
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let name = response.headers()["content-disposition"].to_str().unwrap();
        assert!(name.starts_with("attachment; filename=\"") && name.contains(kind), "{name}");
        let again = rig.signed("POST", "/restapis?mode=import", response.body().to_vec());
        assert_eq!(again.status(), 201, "{:?}", again.body());
        let again: Value = serde_json::from_slice(again.body()).unwrap();
        assert_eq!(methods(&rig, &text(&again["id"])), methods(&rig, &id));
    }
    rig.refused(
        "GET",
        &format!("{exports}/raml"),
        json!(null),
        400,
        "Invalid export type 'raml', must be one of: [oas30, swagger]",
    );
    rig.refused(
        "GET",
        &format!("{exports}/oas30?extensions=x"),
        json!(null),
        400,
        "Invalid extensions 'x', must be among: [integrations, authorizers, apigateway, postman]",
    );
    rig.refused(
        "GET",
        &format!("/restapis/{id}/stages/nope/exports/oas30"),
        json!(null),
        404,
        "Invalid Stage identifier specified",
    );
}
