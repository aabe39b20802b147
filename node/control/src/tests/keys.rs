//! API keys: created, read with and without their values, listed, changed, deleted.

use serde_json::{Value, json};
use tidegate_proto::{document::SealSecret, key};

use super::rig::{NOW_S, Rig, patch, replace, text};
use crate::Store;

const VALUE: &str = "a-value-of-thirty-characters-x";
const NO_KEY: &str = "Invalid API Key identifier specified";

/// Whether any record of the configuration holds a text.
fn is_stored(rig: &Rig, text: &str) -> bool {
    let view = rig.store.view();
    view.prefix("").any(|(key, record)| {
        let bytes = String::from_utf8_lossy(&record.bytes);
        key.contains(text) || bytes.contains(text)
    })
}

#[test]
fn a_key_comes_and_goes() {
    let rig = Rig::new();
    let made = rig.expect(201, "POST", "/apikeys", json!({ "name": "one", "value": VALUE, "enabled": true }));
    let id = text(&made["id"]);
    assert!(id.len() == 10 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
    let mut expect = json!({
        "id": id, "name": "one", "enabled": true, "value": VALUE, "stageKeys": [],
        "createdDate": NOW_S, "lastUpdatedDate": NOW_S,
    });
    assert_eq!(made, expect);
    let path = format!("/apikeys/{id}");
    expect["tags"] = json!({});
    assert_eq!(rig.expect(200, "GET", &format!("{path}?includeValue=true"), json!(null)), expect);
    expect.as_object_mut().unwrap().remove("value");
    assert_eq!(rig.expect(200, "GET", &path, json!(null)), expect);
    assert_eq!(rig.expect(200, "GET", &format!("{path}?includeValue=false"), json!(null)), expect);
    expect.as_object_mut().unwrap().remove("tags");
    assert_eq!(rig.expect(200, "GET", "/apikeys", json!(null)), json!({ "item": [expect] }));
    expect["value"] = json!(VALUE);
    assert_eq!(
        rig.expect(200, "GET", "/apikeys?includeValues=true", json!(null)),
        json!({ "item": [expect] })
    );
    assert_eq!(rig.expect(202, "DELETE", &path, json!(null)), Value::Null);
    rig.refused("GET", &path, json!(null), 404, NO_KEY);
    assert!(rig.store.view().prefix(key::API_KEY_VALUE_PREFIX).next().is_none());
    rig.expect(201, "POST", "/apikeys", json!({ "name": "two", "value": VALUE }));
}

#[test]
fn fields_of_a_key() {
    let rig = Rig::new();
    let (api, _) = rig.stage("prod");
    let cases = [
        (json!({}), json!({ "enabled": false, "stageKeys": [] })),
        (json!({ "name": "", "description": "" }), json!({ "enabled": false, "stageKeys": [] })),
        (
            json!({ "enabled": true, "generateDistinctId": false }),
            json!({ "enabled": true, "stageKeys": [] }),
        ),
        (
            json!({ "description": "d", "customerId": "c", "tags": { "a": "b" } }),
            json!({ "enabled": false, "stageKeys": [], "description": "d", "customerId": "c", "tags": { "a": "b" } }),
        ),
        (
            json!({ "stageKeys": [{ "restApiId": api, "stageName": "prod" }] }),
            json!({ "enabled": false, "stageKeys": [format!("{api}/prod")] }),
        ),
    ];
    for (body, mut expect) in cases {
        let made = rig.expect(201, "POST", "/apikeys", body.clone());
        assert_eq!(text(&made["value"]).len(), 40);
        assert_ne!(made["id"], made["value"]);
        for field in ["id", "value", "createdDate", "lastUpdatedDate"] {
            expect[field] = made[field].clone();
        }
        assert_eq!(made, expect, "{body}");
    }
}

#[test]
fn values_are_sealed() {
    let rig = Rig::new();
    assert!(rig.store.view().get(key::SEAL_SECRET).is_none());
    let mut values = vec![VALUE.to_owned()];
    rig.expect(201, "POST", "/apikeys", json!({ "value": VALUE }));
    let secret = rig.store.view().get(key::SEAL_SECRET).cloned().unwrap();
    for _ in 0..5 {
        values.push(text(&rig.expect(201, "POST", "/apikeys", json!({}))["value"]));
    }
    assert_eq!(rig.store.view().get(key::SEAL_SECRET), Some(&secret), "the secret is made once");
    for value in &values {
        assert!(!is_stored(&rig, value), "{value}");
        assert!(!is_stored(&rig, &value[..20]), "{value}");
    }
    let answer = rig.expect(200, "GET", "/apikeys?includeValues=true", json!(null));
    let mut found: Vec<String> =
        answer["item"].as_array().unwrap().iter().map(|key| text(&key["value"])).collect();
    found.sort();
    values.sort();
    assert_eq!(found, values);
    for (name, record) in rig.store.view().prefix(key::API_KEY_PREFIX) {
        let document: Value = serde_json::from_slice(&record.bytes).unwrap();
        let hash = text(&document["valueSha256"]);
        assert_eq!(rig.store.view().api_key_by_value(&hash).unwrap(), Some(text(&document["id"])), "{name}");
    }
}

#[test]
fn a_value_that_does_not_open_is_not_printed() {
    let rig = Rig::new();
    let id = rig.key("one");
    let mut transaction = tidegate_proto::transaction::TransactionV1::default();
    transaction.put(key::SEAL_SECRET, &SealSecret::new([9; 32]));
    rig.store.state.lock().unwrap().apply(transaction);
    let answer = rig.expect(200, "GET", &format!("/apikeys/{id}?includeValue=true"), json!(null));
    assert!(answer.get("value").is_none(), "{answer}");
    assert_eq!(answer["name"], "one");
}

#[test]
fn wrong_keys() {
    let rig = Rig::new();
    let (api, _) = rig.stage("prod");
    rig.expect(201, "POST", "/apikeys", json!({ "value": VALUE }));
    let (short, long) = ("x".repeat(19), "x".repeat(129));
    let (api, stage) = (json!(api), json!("nope"));
    let cases = [
        (json!({ "value": short }), 400, "API Key value should be at least 20 characters"),
        (json!({ "value": long }), 400, "API Key value exceeds maximum size of 128 characters"),
        (
            json!({ "value": "has a blank in the middle" }),
            400,
            "API Key value must be visible ASCII characters without blanks",
        ),
        (
            json!({ "value": "schlüssel-mit-umlauten" }),
            400,
            "API Key value must be visible ASCII characters without blanks",
        ),
        (json!({ "value": VALUE }), 409, "API Key already exists"),
        (json!({ "name": "n".repeat(1025) }), 400, "Invalid API Key name, can be at most 1024 characters."),
        (json!({ "description": "d".repeat(125_001) }), 400, "Invalid API Key description specified."),
        (
            json!({ "stageKeys": [{ "restApiId": api, "stageName": stage }] }),
            404,
            "Invalid Stage identifier specified",
        ),
        (
            json!({ "stageKeys": [{ "x": 1 }] }),
            400,
            "This field is not supported by this version of Tidegate: …",
        ),
        (json!({ "tags": { "aws:x": "1" } }), 400, "Invalid tag key 'aws:x': …"),
        (json!({ "enabled": "yes" }), 400, "class java.lang.String can not be converted to an Boolean"),
    ];
    for (body, status, message) in cases {
        rig.refused("POST", "/apikeys", body, status, message);
    }
    for verb in ["GET", "DELETE", "PATCH"] {
        rig.refused(verb, "/apikeys/nope", json!(null), 404, NO_KEY);
    }
    let kept = rig.expect(200, "GET", "/apikeys", json!(null));
    assert_eq!(kept["item"].as_array().unwrap().len(), 1);
}

#[test]
fn lists_are_paged_and_searched() {
    let rig = Rig::new();
    for number in 0..60 {
        let name = format!("{}-{number}", if number % 2 == 0 { "even" } else { "odd" });
        let customer = format!("c{}", number % 3);
        rig.expect(201, "POST", "/apikeys", json!({ "name": name, "customerId": customer }));
    }
    let names = |query: &str| -> Vec<String> {
        let (mut names, mut position) = (Vec::new(), String::new());
        loop {
            let page = rig.expect(200, "GET", &format!("/apikeys?{query}{position}"), json!(null));
            names.extend(page["item"].as_array().unwrap().iter().map(|key| text(&key["name"])));
            match page["position"].as_str() {
                None => return names,
                Some(next) => position = format!("&position={next}"),
            }
        }
    };
    for (query, expect) in [
        ("", 60),
        ("limit=7", 60),
        ("limit=500", 60),
        ("name=even&limit=7", 30),
        ("name=even-1", 5),
        ("name=ven", 0),
        ("customerId=c1&limit=3", 20),
        ("customerId=c", 0),
        ("name=odd&customerId=c1", 10),
    ] {
        let mut found = names(query);
        assert_eq!(found.len(), expect, "{query}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), expect, "{query}: a key came twice");
    }
    rig.refused(
        "GET",
        "/apikeys?limit=x",
        json!(null),
        400,
        "Invalid limit 'x', must be a number from 1 to 500",
    );
}

#[test]
fn updates() {
    let rig = Rig::new();
    let (api, _) = rig.stage("prod");
    let id = rig.key("one");
    let path = format!("/apikeys/{id}");
    let body = json!({ "patchOperations": [
        { "op": "replace", "path": "/name", "value": "new" },
        { "op": "replace", "path": "/description", "value": "text" },
        { "op": "replace", "path": "/enabled", "value": "false" },
        { "op": "replace", "path": "/customerId", "value": "c" },
        { "op": "add", "path": "/stages", "value": format!("{api}/prod") },
        { "op": "add", "path": "/labels", "value": "gold" },
    ]});
    let expect = json!({
        "id": id, "name": "new", "description": "text", "enabled": false, "customerId": "c",
        "stageKeys": [format!("{api}/prod")], "tags": {}, "createdDate": NOW_S, "lastUpdatedDate": NOW_S,
    });
    assert_eq!(rig.expect(200, "PATCH", &path, body), expect);
    assert_eq!(rig.expect(200, "GET", &path, json!(null)), expect);
    let gone = patch("remove", "/stages", json!(format!("{api}/prod")));
    assert_eq!(rig.expect(200, "PATCH", &path, gone.clone())["stageKeys"], json!([]));
    assert!(rig.expect(200, "PATCH", &path, replace("/name", "")).get("name").is_none());
    let replaceable = "Must be one of: [/name, /description, /enabled, /customerId]";
    let cases = [
        (
            replace("/value", VALUE),
            400,
            format!("Invalid patch path  '/value' specified for op 'replace'. {replaceable}"),
        ),
        (
            replace("/stages", "x"),
            400,
            format!("Invalid patch path  '/stages' specified for op 'replace'. {replaceable}"),
        ),
        (
            patch("add", "/name", json!("x")),
            400,
            "Invalid patch path  '/name' specified for op 'add'. Must be one of: [/labels, /stages]".into(),
        ),
        (
            patch("test", "/name", json!("x")),
            400,
            "Invalid patch path  '/name' specified for op 'test'. Please choose supported operations".into(),
        ),
        (patch("add", "/stages", json!("x/y")), 404, "Invalid Stage identifier specified".into()),
        (gone, 404, format!("Nothing to remove at /stages: {api}/prod")),
        (
            replace("/name", &"n".repeat(1025)),
            400,
            "Invalid API Key name, can be at most 1024 characters.".into(),
        ),
    ];
    for (body, status, message) in cases {
        rig.refused("PATCH", &path, body, status, &message);
    }
    assert_eq!(rig.expect(200, "GET", &path, json!(null))["description"], "text");
}

#[test]
fn two_writers_of_one_value() {
    let rig = Rig::new();
    let taken = tidegate_proto::transaction::PutV1 {
        key: key::api_key_value("0000000000000000000000000000000000000000000000000000000000000000"),
        bytes: br#"{"keyId":"rival"}"#.to_vec(),
    };
    let secret = tidegate_proto::transaction::PutV1 {
        key: key::SEAL_SECRET.into(),
        bytes: tidegate_proto::document::Document::encode(&SealSecret::new([5; 32])),
    };
    *rig.store.rivals.lock().unwrap() = vec![taken, secret];
    let made = rig.expect(201, "POST", "/apikeys", json!({ "value": VALUE }));
    let view = rig.store.view();
    let kept = view.read::<SealSecret>(key::SEAL_SECRET).unwrap().unwrap().document;
    assert_eq!(kept.secret(), Some([5; 32]), "the rival's secret is kept");
    let path = format!("/apikeys/{}?includeValue=true", text(&made["id"]));
    assert_eq!(rig.expect(200, "GET", &path, json!(null))["value"], VALUE);
}
