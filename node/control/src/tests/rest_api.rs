//! REST APIs: shapes, rules and patches, with AWS's recorded answers.

use serde_json::{Value, json};

use super::rig::{ACCOUNT, NOW_S, Rig, patch, replace, text};

#[test]
fn a_new_api_looks_as_aws_prints_it() {
    let rig = Rig::new();
    let api =
        rig.expect(201, "POST", "/restapis", json!({ "name": "pets", "binaryMediaTypes": [], "tags": {} }));
    let (id, root) = (text(&api["id"]), text(&api["rootResourceId"]));
    let expect = json!({
        "id": id, "name": "pets", "createdDate": NOW_S, "apiKeySource": "HEADER",
        "endpointConfiguration": { "types": ["EDGE"], "ipAddressType": "ipv4" },
        "disableExecuteApiEndpoint": false, "rootResourceId": root,
    });
    assert_eq!(api, expect);
    assert_eq!(id.len(), 10);
    assert_eq!(rig.expect(200, "GET", &format!("/restapis/{id}"), json!(null)), expect);
    assert_eq!(rig.expect(200, "GET", "/restapis", json!(null)), json!({ "item": [expect] }));
    let resources = rig.expect(200, "GET", &format!("/restapis/{id}/resources"), json!(null));
    assert_eq!(resources, json!({ "item": [{ "id": root, "path": "/" }] }));
    assert_eq!(rig.expect(202, "DELETE", &format!("/restapis/{id}"), json!(null)), Value::Null);
    assert_eq!(rig.expect(200, "GET", "/restapis", json!(null)), json!({ "item": [] }));
    let leftovers = rig.store.state.lock().unwrap().prefix("restapi/").count();
    assert_eq!(leftovers, 0, "everything below the API goes with it");
}

#[test]
fn optional_fields_are_kept() {
    let rig = Rig::new();
    let api = rig.expect(
        201,
        "POST",
        "/restapis",
        json!({
            "name": "n", "description": "d", "version": "v1", "binaryMediaTypes": ["image/png"],
            "apiKeySource": "AUTHORIZER", "disableExecuteApiEndpoint": true, "tags": { "k": "v" },
            "endpointConfiguration": { "types": ["PRIVATE"] }, "policy": "", "minimumCompressionSize": null,
        }),
    );
    for (field, expect) in [
        ("description", json!("d")),
        ("version", json!("v1")),
        ("binaryMediaTypes", json!(["image/png"])),
        ("apiKeySource", json!("AUTHORIZER")),
        ("disableExecuteApiEndpoint", json!(true)),
        ("tags", json!({ "k": "v" })),
        ("endpointConfiguration", json!({ "types": ["PRIVATE"], "ipAddressType": "dualstack" })),
    ] {
        assert_eq!(api[field], expect, "{field}");
    }
}

#[test]
fn creation_is_refused() {
    let rig = Rig::new();
    let endpoint = |types: Value, ip: Value| json!({ "name": "n", "endpointConfiguration": { "types": types, "ipAddressType": ip } });
    let types = "Value '[wrong]' at 'createRestApiInput.endpointConfiguration.types' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [PRIVATE, EDGE, REGIONAL]]";
    let ip = "Value 'wrong' at 'createRestApiInput.endpointConfiguration.ipAddressType' failed to satisfy constraint: Member must satisfy enum value set: [ipv4, dualstack]";
    let compression = "Invalid minimum compression size, must be between 0 and 10485760";
    let cases = [
        (json!({}), "1 validation error detected: Value null at 'createRestApiInput.name' failed to satisfy constraint: Member must not be null".to_owned()),
        (json!({ "name": "" }), "Name cannot be empty".into()),
        (json!({ "name": 5 }), "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String".into()),
        (json!({ "name": "n", "description": "" }), "Description cannot be an empty string".into()),
        (json!({ "name": "n", "minimumCompressionSize": "10" }), compression.into()),
        (json!({ "name": "n", "minimumCompressionSize": -1 }), compression.into()),
        (json!({ "name": "n", "minimumCompressionSize": 10 }), "Compression is not supported by this version of Tidegate: field minimumCompressionSize, value 10".into()),
        (json!({ "name": "n", "policy": "{}" }), "A resource policy is not supported by this version of Tidegate: field policy, value {}".into()),
        (json!({ "name": "n", "surprise": 1 }), "This field is not supported by this version of Tidegate: field surprise, value 1".into()),
        (json!({ "name": "n", "cloneFrom": "nope" }), String::new()),
        (endpoint(json!([]), json!(null)), "REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.".into()),
        (endpoint(json!(["EDGE"]), json!("wrong")), format!("1 validation error detected: {ip}")),
        (endpoint(json!(["wrong"]), json!(null)), format!("1 validation error detected: {types}")),
        (endpoint(json!(["wrong"]), json!("wrong")), format!("2 validation errors detected: {types}; {ip}")),
        (endpoint(json!(["EDGE", "REGIONAL"]), json!(null)), "Cannot create an api with multiple Endpoint Types.".into()),
        (endpoint(json!(["PRIVATE"]), json!("ipv4")), "Only dualstack ipAddressType is supported for Private APIs.".into()),
        (json!({ "name": "n", "description": "", "endpointConfiguration": { "types": ["PRIVATE"], "ipAddressType": "ipv4" } }), "Description cannot be an empty string".into()),
        (json!({ "name": "n", "endpointConfiguration": { "types": ["PRIVATE"], "vpcEndpointIds": ["vpce-1"] } }), "A VPC endpoint is not supported by this version of Tidegate: field vpcEndpointIds, value [\"vpce-1\"]".into()),
        (json!({ "name": "n", "apiKeySource": "X" }), "1 validation error detected: Value 'X' at 'createRestApiInput.apiKeySource' failed to satisfy constraint: Member must satisfy enum value set: [AUTHORIZER, HEADER]".into()),
        (json!([]), "the request body is not a JSON object".into()),
    ];
    for (body, message) in cases {
        match message.is_empty() {
            true => rig.refused(
                "POST",
                "/restapis",
                body,
                404,
                &format!("Invalid API identifier specified {ACCOUNT}:nope"),
            ),
            false => rig.refused("POST", "/restapis", body, 400, &message),
        }
    }
    let (api, root) = rig.api();
    rig.mock(&api, &root, "a");
    rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), json!({ "stageName": "s" }));
    let other = format!("Invalid API identifier specified {ACCOUNT}:{api}/stage/s");
    let clone = json!({ "name": "n", "cloneFrom": format!("{api}/stage/s") });
    rig.refused("POST", "/restapis", clone, 404, &other);
    let escaped = format!("/restapis/{api}%2Fstage%2Fs");
    rig.refused("DELETE", &escaped, json!(null), 404, &other.replace("/stage/", "%2Fstage%2F"));
    let broken = rig.signed("POST", "/restapis", b"{".to_vec());
    assert_eq!(broken.headers()["x-amzn-errortype"], "SerializationException");
    for (method, body) in [("GET", json!(null)), ("DELETE", json!(null)), ("PATCH", replace("/name", "x"))] {
        let message = format!("Invalid API identifier specified {ACCOUNT}:ABC");
        rig.refused(method, "/restapis/ABC", body, 404, &message);
    }
}

#[test]
fn updates_as_recorded() {
    let rig = Rig::new();
    let api = rig.expect(201, "POST", "/restapis", json!({ "name": "n", "description": "this is my api" }));
    let path = format!("/restapis/{}", text(&api["id"]));
    let update =
        |operations: Value| rig.expect(200, "PATCH", &path, json!({ "patchOperations": operations }));
    let added = update(json!([
        { "op": "add", "path": "/binaryMediaTypes/image~1png" },
        { "op": "add", "path": "/binaryMediaTypes/image~1jpeg" },
    ]));
    assert_eq!(
        (&added["binaryMediaTypes"], &added["tags"]),
        (&json!(["image/png", "image/jpeg"]), &json!({}))
    );
    let replaced =
        update(json!([{ "op": "replace", "path": "/binaryMediaTypes/image~1png", "value": "image/gif" }]));
    assert_eq!(replaced["binaryMediaTypes"], json!(["image/jpeg", "image/gif"]));
    let removed = update(json!([
        { "op": "remove", "path": "/binaryMediaTypes/image~1gif" },
        { "op": "remove", "path": "/description" },
    ]));
    assert_eq!((&removed["binaryMediaTypes"], removed.get("description")), (&json!(["image/jpeg"]), None));
    let private =
        update(json!([{ "op": "replace", "path": "/endpointConfiguration/types/EDGE", "value": "PRIVATE" }]));
    assert_eq!(
        private["endpointConfiguration"],
        json!({ "types": ["PRIVATE"], "ipAddressType": "dualstack" })
    );
    rig.refused(
        "PATCH",
        &path,
        replace("/endpointConfiguration/ipAddressType", "ipv4"),
        400,
        "Only dualstack ipAddressType is supported for Private APIs.",
    );
    let both = update(json!([
        { "op": "replace", "path": "/endpointConfiguration/types/0", "value": "REGIONAL" },
        { "op": "replace", "path": "/endpointConfiguration/ipAddressType", "value": "ipv4" },
        { "op": "replace", "path": "/disableExecuteApiEndpoint", "value": "true" },
        { "op": "replace", "path": "/name", "value": "m" },
        { "op": "replace", "path": "/version", "value": "v2" },
        { "op": "replace", "path": "/apiKeySource", "value": "AUTHORIZER" },
        { "op": "replace", "path": "/minimumCompressionSize", "value": "" },
        { "op": "replace", "path": "/policy", "value": "" },
    ]));
    assert_eq!(both["endpointConfiguration"], json!({ "types": ["REGIONAL"], "ipAddressType": "ipv4" }));
    assert_eq!(
        (&both["name"], &both["version"], &both["disableExecuteApiEndpoint"]),
        (&json!("m"), &json!("v2"), &json!(true))
    );
    assert_eq!(update(json!([]))["name"], "m", "no operation is no error");
}

#[test]
fn wrong_updates_as_recorded() {
    let rig = Rig::new();
    let (api, _) = rig.api();
    let path = format!("/restapis/{api}");
    let compression = "Invalid minimum compression size, must be between 0 and 10485760";
    let one = "Invalid patch operation specified. Must be one of: [replace]";
    let cases = [
        (patch("add", "/binaryMediaTypes", json!("image/gif")), "Invalid patch path /binaryMediaTypes"),
        (patch("replace", "/binaryMediaTypes", json!("image/gif")), "Invalid patch path /binaryMediaTypes"),
        (patch("remove", "/binaryMediaTypes", json!(null)), "Invalid patch path /binaryMediaTypes"),
        (replace("/minimumCompressionSize", "-1"), compression),
        (replace("/minimumCompressionSize", "10s"), compression),
        (patch("add", "/minimumCompressionSize", json!("10")), one),
        (
            replace("/minimumCompressionSize", "10"),
            "Compression is not supported by this version of Tidegate: field minimumCompressionSize, value 10",
        ),
        (
            replace("/endpointConfiguration/ipAddressType", "wrong"),
            "ipAddressType must be either ipv4 or dualstack.",
        ),
        (
            replace("/endpointConfiguration/types/0", "wrong"),
            "Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE",
        ),
        (
            patch("add", "/endpointConfiguration/types/0", json!("REGIONAL")),
            "Cannot create an api with multiple Endpoint Types.",
        ),
        (patch("remove", "/endpointConfiguration/ipAddressType", json!("ipv4")), one),
        (
            patch("test", "/endpointConfiguration/types/0", json!("EDGE")),
            "Invalid patch operation specified. Must be 'add'|'remove'|'replace'",
        ),
        (replace("/name", ""), "Name cannot be empty"),
        (
            replace("/apiKeySource", "X"),
            "Invalid ApiKeySourceType specified. Valid options are HEADER,AUTHORIZER",
        ),
        (json!({ "patchOperations": [{ "op": "replace", "value": "x" }] }), "Invalid patch path null"),
        (
            patch("wrong", "/name", json!("x")),
            "1 validation error detected: Value 'wrong' at 'updateRestApiInput.patchOperations.1.member.op' failed to satisfy constraint: Member must satisfy enum value set: [add, remove, move, test, replace, copy]",
        ),
    ];
    for (body, message) in cases {
        rig.refused("PATCH", &path, body, 400, message);
    }
}

#[test]
fn clones_are_whole_and_their_own() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    let child = rig.mock(&api, &root, "pets");
    rig.mock(&api, &child, "{id}");
    let clone = rig.expect(201, "POST", "/restapis", json!({ "name": "copy", "cloneFrom": api }));
    let id = text(&clone["id"]);
    let list =
        |api: &str| rig.expect(200, "GET", &format!("/restapis/{api}/resources?embed=methods"), json!(null));
    let (old, new) = (list(&api), list(&id));
    let paths = |list: &Value| -> Vec<String> {
        list["item"].as_array().unwrap().iter().map(|r| text(&r["path"])).collect()
    };
    assert_eq!(paths(&old), paths(&new));
    assert_eq!(paths(&new), ["/", "/pets", "/pets/{id}"]);
    let (from, to) = (&old["item"][1], &new["item"][1]);
    assert_ne!(from["id"], to["id"]);
    assert_eq!(to["parentId"], clone["rootResourceId"]);
    assert_eq!(to["resourceMethods"]["GET"]["methodIntegration"]["cacheNamespace"], to["id"]);
    rig.expect(202, "DELETE", &format!("/restapis/{api}"), json!(null));
    assert_eq!(paths(&list(&id)).len(), 3);
}

#[test]
fn lists_are_paged() {
    let rig = Rig::new();
    for i in 0..27 {
        rig.expect(201, "POST", "/restapis", json!({ "name": format!("n{i}") }));
    }
    let first = rig.expect(200, "GET", "/restapis", json!(null));
    assert_eq!(first["item"].as_array().unwrap().len(), 25);
    let next = format!("/restapis?position={}", text(&first["position"]));
    let second = rig.expect(200, "GET", &next, json!(null));
    assert_eq!((second["item"].as_array().unwrap().len(), second.get("position")), (2, None));
    rig.refused(
        "GET",
        "/restapis?limit=0",
        json!(null),
        400,
        "Invalid limit '0', must be a number from 1 to 500",
    );
    let account = rig.expect(200, "GET", "/account", json!(null));
    assert_eq!(account["throttleSettings"], json!({ "burstLimit": 5000, "rateLimit": 10000.0 }));
}
