//! API keys out of files.

use serde_json::{Value, json};

use super::rig::{Rig, text};

const IMPORT: &str = "/apikeys?mode=import&format=csv";

fn import(rig: &Rig, target: &str, file: &str) -> (u16, Value) {
    let response = rig.signed("POST", target, file.as_bytes().to_vec());
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

/// The keys of the rig by name, with their values.
fn keys(rig: &Rig) -> Vec<Value> {
    let answer = rig.expect(200, "GET", "/apikeys?limit=500&includeValues=true", json!(null));
    let mut keys = answer["item"].as_array().unwrap().clone();
    keys.sort_by_key(|key| key["value"].to_string());
    keys
}

#[test]
fn files_of_keys() {
    let rig = Rig::new();
    let (gold, iron) = (rig.plan("gold", &[]), rig.plan("iron", &[]));
    let file = format!(
        "Enabled,name,KEY,Colour,usageplanIds,Description\r\n\
         true,first,a-key-of-twenty-chars,red,\"{gold}, {iron}\",\"one, \"\"quoted\"\"\"\r\n\
         FALSE,second,b-key-of-twenty-chars,,'{gold}',\r\n\
         \r\n\
         ,,c-key-of-twenty-chars,,,\n"
    );
    let (status, answer) = import(&rig, IMPORT, &file);
    assert_eq!((status, &answer["warnings"]), (201, &json!([])), "{answer}");
    let ids: Vec<String> = answer["ids"].as_array().unwrap().iter().map(text).collect();
    let found = keys(&rig);
    let rows = [
        (Some("first"), true, Some("one, \"quoted\""), "a-key-of-twenty-chars"),
        (Some("second"), false, None, "b-key-of-twenty-chars"),
        (None, true, None, "c-key-of-twenty-chars"),
    ];
    assert_eq!(found.len(), rows.len());
    for ((key, id), (name, enabled, description, value)) in found.iter().zip(&ids).zip(rows) {
        assert_eq!(key["id"], json!(id));
        assert_eq!(key.get("name").and_then(Value::as_str), name);
        assert_eq!(key.get("description").and_then(Value::as_str), description);
        assert_eq!((&key["enabled"], &key["value"]), (&json!(enabled), &json!(value)));
    }
    let members = |plan: &str| -> Vec<String> {
        let answer = rig.expect(200, "GET", &format!("/usageplans/{plan}/keys"), json!(null));
        answer["item"].as_array().unwrap().iter().map(|key| text(&key["id"])).collect()
    };
    let mut both = vec![ids[0].clone(), ids[1].clone()];
    both.sort();
    assert_eq!(members(&gold), both);
    assert_eq!(members(&iron), [ids[0].clone()]);
}

#[test]
fn a_value_that_is_known_changes_its_key() {
    let rig = Rig::new();
    let plan = rig.plan("gold", &[]);
    let made = rig.expect(
        201,
        "POST",
        "/apikeys",
        json!({ "name": "old", "value": "a-key-of-twenty-chars", "customerId": "c" }),
    );
    let file = format!(
        "Name,Key,UsagePlanIds\nnew,a-key-of-twenty-chars,{plan}\ntwice,a-key-of-twenty-chars,{plan}\n"
    );
    for _ in 0..2 {
        let (status, answer) = import(&rig, IMPORT, &file);
        assert_eq!((status, &answer), (201, &json!({ "ids": [made["id"]], "warnings": [] })));
        let found = keys(&rig);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0]["name"], &found[0]["enabled"]), (&json!("twice"), &json!(true)));
        assert_eq!(found[0]["customerId"], "c", "what the file has no column for is kept");
    }
    let members = rig.expect(200, "GET", &format!("/usageplans/{plan}/keys"), json!(null));
    assert_eq!(members["item"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_wrong_with_rows() {
    let rig = Rig::new();
    let (api, _) = rig.stage("prod");
    let (gold, iron) = (rig.plan("gold", &[(&api, "prod")]), rig.plan("iron", &[(&api, "prod")]));
    let file = format!(
        "Name,Key,Enabled,UsagePlanIds\n\
         short,too-short,,\n\
         good,a-key-of-twenty-chars,,\"nope,{gold}\"\n\
         odd,b-key-of-twenty-chars,maybe,\n\
         both,c-key-of-twenty-chars,,\"{gold},{iron}\"\n\
         {},d-key-of-twenty-chars,,\n",
        "n".repeat(1025)
    );
    let expect = [
        "Line 2: API Key value should be at least 20 characters".to_owned(),
        "Line 3: Invalid Usage Plan ID specified: nope".into(),
        "Line 4: Invalid value 'maybe' of Enabled, must be TRUE or FALSE".into(),
        "Line 5: API Key ".into(),
        "Line 6: Invalid API Key name, can be at most 1024 characters.".into(),
    ];
    let (status, answer) = import(&rig, &format!("{IMPORT}&failonwarnings=true"), &file);
    assert_eq!(status, 400);
    for warning in &expect {
        assert!(text(&answer["message"]).contains(warning), "{warning}: {answer}");
    }
    assert!(keys(&rig).is_empty());
    let (status, answer) = import(&rig, &format!("{IMPORT}&failonwarnings=false"), &file);
    assert_eq!(status, 201);
    assert_eq!(answer["ids"].as_array().unwrap().len(), 2);
    for (warning, start) in answer["warnings"].as_array().unwrap().iter().zip(&expect) {
        assert!(text(warning).starts_with(start), "{warning}");
    }
    assert_eq!(answer["warnings"].as_array().unwrap().len(), expect.len());
    let names: Vec<String> = keys(&rig).iter().map(|key| text(&key["name"])).collect();
    assert_eq!(names, ["good", "both"]);
    for (plan, count) in [(gold, 2), (iron, 0)] {
        let members = rig.expect(200, "GET", &format!("/usageplans/{plan}/keys"), json!(null));
        assert_eq!(members["item"].as_array().unwrap().len(), count);
    }
}

#[test]
fn files_that_are_refused() {
    let rig = Rig::new();
    let many =
        format!("Name,Key\n{}", (0..5_001).map(|i| format!("n,key-number-{i:012}\n")).collect::<String>());
    let cases = [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("Name,Value\na,b", "column Key is missing"),
        ("Key\na", "column Name is missing"),
        ("Name,Key,key\na,b,c", "column Key is there more than once"),
        ("Name,Key\na", "line 2 has 1 fields, the first line has 2"),
        ("Name,Key\na,\"b", "a quote on line 2 is not closed"),
        (&many, "it has more than 5000 keys"),
    ];
    for (file, message) in cases {
        let (status, answer) = import(&rig, IMPORT, file);
        assert_eq!(status, 400);
        assert_eq!(answer["message"], format!("Invalid CSV file of API keys: {message}"));
    }
    for (query, found) in [("mode=import", "null"), ("mode=import&format=json", "'json'")] {
        let (status, answer) = import(&rig, &format!("/apikeys?{query}"), "Name,Key\n");
        let expect = format!(
            "1 validation error detected: Value {found} at 'importApiKeysInput.format' failed to satisfy constraint: Member must satisfy enum value set: [csv]"
        );
        assert_eq!((status, text(&answer["message"])), (400, expect));
    }
    let response = rig.signed("POST", IMPORT, vec![0xff, 0xfe]);
    assert_eq!(response.status(), 400);
}

#[test]
fn a_full_file_fits_one_transaction() {
    let rig = Rig::new();
    let plan = rig.plan("gold", &[]);
    let rows: String = (0..5_000).map(|i| format!("n,key-number-{i:012},{plan}\n")).collect();
    let (status, answer) = import(&rig, IMPORT, &format!("\u{feff}Name,Key,UsagePlanIds\n{rows}"));
    assert_eq!(status, 201, "{}", text(&answer["message"]));
    assert_eq!(answer["ids"].as_array().unwrap().len(), 5_000);
}
