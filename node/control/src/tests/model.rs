//! Models, with AWS's recorded answers.

use serde_json::{Value, json};

use super::rig::{ACCOUNT, Rig, patch, replace, text};

#[test]
fn life_cycle() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    let models = format!("/restapis/{api}/models");
    let names = || -> Vec<String> {
        let list = rig.expect(200, "GET", &models, json!(null));
        list["item"].as_array().unwrap().iter().map(|model| text(&model["name"])).collect()
    };
    assert_eq!(names(), ["Empty", "Error"]);
    let empty = rig.expect(200, "GET", &format!("{models}/Empty"), json!(null));
    assert_eq!(empty["description"], "This is a default empty schema model");
    let schema: Value = serde_json::from_str(empty["schema"].as_str().unwrap()).unwrap();
    assert_eq!(
        schema,
        json!({ "$schema": "http://json-schema.org/draft-04/schema#", "title": "Empty Schema", "type": "object" })
    );
    let body = json!({ "name": "CalcOutput", "description": "d", "contentType": "application/json", "schema": "{\"type\":\"object\"}" });
    let created = rig.expect(201, "POST", &models, body);
    assert_eq!(
        created,
        json!({ "id": created["id"], "name": "CalcOutput", "description": "d", "contentType": "application/json", "schema": "{\"type\":\"object\"}" })
    );
    assert_eq!(names(), ["CalcOutput", "Empty", "Error"]);
    let one = format!("{models}/CalcOutput");
    let updated = rig.expect(200, "PATCH", &one, replace("/schema", "{\"type\":\"array\"}"));
    assert_eq!(updated["schema"], "{\"type\":\"array\"}");
    assert_eq!(rig.expect(202, "DELETE", &one, json!(null)), Value::Null);
    rig.refused("GET", &one, json!(null), 404, "Invalid model name specified: CalcOutput");
}

#[test]
fn refusals() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    let models = format!("/restapis/{api}/models");
    let blank = "Model schema must have at least 1 property or array items defined";
    let body = |name: &str, kind: &str, schema: Value| json!({ "name": name, "contentType": kind, "schema": schema });
    let json_kind = "application/json";
    let cases = [
        (
            body("Empty", json_kind, json!("{\"type\":\"object\"}")),
            409,
            "Model name already exists for this REST API",
        ),
        (body("", json_kind, json!("{\"type\":\"object\"}")), 400, "Model name must be non-empty"),
        (body("a-b", json_kind, json!("{\"type\":\"object\"}")), 400, "Model name must be alphanumeric: a-b"),
        (body("a", json_kind, json!("")), 400, blank),
        (body("a", json_kind, json!(null)), 400, blank),
        (body("a", json_kind, json!("{}")), 400, blank),
        (body("a", "application/xml", json!(null)), 400, blank),
        (body("a", json_kind, json!("{")), 400, "Invalid model schema specified. …"),
        (
            json!({ "name": "a" }),
            400,
            "1 validation error detected: Value null at 'createModelInput.contentType' failed to satisfy constraint: Member must not be null",
        ),
    ];
    for (body, status, message) in cases {
        rig.refused("POST", &models, body, status, message);
    }
    let no_api = format!("Invalid API identifier specified {ACCOUNT}:nope");
    rig.refused("POST", "/restapis/nope/models", body("a", json_kind, json!("{\"a\":1}")), 404, &no_api);
    rig.refused("GET", "/restapis/nope/models", json!(null), 404, &no_api);
    for verb in ["GET", "DELETE", "PATCH"] {
        rig.refused(
            verb,
            "/restapis/nope/models/MySchema",
            json!(null),
            404,
            "Invalid model name specified: MySchema",
        );
    }
    let one = format!("{models}/Empty");
    let cases = [
        (
            patch("add", "/wrong-path", json!("x")),
            "Invalid patch path  '/wrong-path' specified for op 'add'. Please choose supported operations",
        ),
        (
            replace("/name", "x"),
            "Invalid patch path  '/name' specified for op 'replace'. Must be one of: [/description, /schema]",
        ),
        (replace("/schema", ""), blank),
    ];
    for (body, message) in cases {
        rig.refused("PATCH", &one, body, 400, message);
    }
}

#[test]
fn used_models_stay() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let test = rig.mock(&api, &root, "test");
    rig.mock_method(&api, &root, "ANY");
    let model = format!("/restapis/{api}/models/MySchema");
    rig.expect(201, "POST", &format!("/restapis/{api}/models"), json!({ "name": "MySchema", "contentType": "application/json", "schema": "{\"title\":\"MySchema\"}" }));
    let method = |resource: &str, verb: &str| format!("/restapis/{api}/resources/{resource}/methods/{verb}");
    let add = patch("add", "/requestModels/application~1json", json!("MySchema"));
    rig.expect(200, "PATCH", &method(&root, "ANY"), add.clone());
    rig.refused(
        "DELETE",
        &model,
        json!(null),
        409,
        "Cannot delete model 'MySchema', is referenced in method request: //ANY",
    );
    rig.expect(200, "PATCH", &method(&test, "GET"), add);
    rig.refused(
        "DELETE",
        &model,
        json!(null),
        409,
        "Cannot delete model 'MySchema', is referenced in method request: /test/GET",
    );
    rig.expect(204, "DELETE", &method(&test, "GET"), json!(null));
    rig.expect(
        200,
        "PATCH",
        &method(&root, "ANY"),
        patch("remove", "/requestModels/application~1json", json!(null)),
    );
    rig.expect(202, "DELETE", &model, json!(null));
}
