//! Tags of APIs and stages, and ids pinned by tag.

use serde_json::{Value, json};

use super::rig::{ACCOUNT, Rig};

fn arn(rest: &str) -> String {
    format!("/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A{}", rest.replace('/', "%2F"))
}

#[test]
fn tags_come_and_go() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    rig.mock(&api, &root, "a");
    rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), json!({ "stageName": "prod" }));
    let (plan, key) = (rig.plan("gold", &[]), rig.key("one"));
    for target in [
        format!("/restapis/{api}"),
        format!("/restapis/{api}/stages/prod"),
        format!("/usageplans/{plan}"),
        format!("/apikeys/{key}"),
    ] {
        let tags = arn(&target);
        assert_eq!(rig.expect(200, "GET", &tags, json!(null)), json!({ "tags": {} }));
        assert_eq!(
            rig.expect(204, "PUT", &tags, json!({ "tags": { "a": "1", "b": "2", "c d": "3" } })),
            Value::Null
        );
        rig.expect(204, "PUT", &tags, json!({ "tags": { "a": "9" } }));
        rig.expect(204, "DELETE", &format!("{tags}?tagKeys=b&tagKeys=c%20d&tagKeys=absent"), json!(null));
        assert_eq!(rig.expect(200, "GET", &tags, json!(null)), json!({ "tags": { "a": "9" } }));
        assert_eq!(rig.expect(200, "GET", &target, json!(null))["tags"], json!({ "a": "9" }));
    }
}

#[test]
fn wrong_tags() {
    let rig = Rig::new();
    let (api, root) = rig.api();
    rig.mock(&api, &root, "a");
    let invalid = |arn: &str| format!("Invalid ARN specified in the request: {arn}");
    let no_api = format!("Invalid API identifier specified {ACCOUNT}:nope");
    let cases = [
        ("GET", "/tags/x".to_owned(), json!(null), 400, invalid("x")),
        ("GET", arn("/vpclinks/x"), json!(null), 404, "Invalid Vpc Link identifier specified".into()),
        ("GET", arn("/models/x"), json!(null), 400, invalid("arn:aws:apigateway:eu-west-1::/models/x")),
        ("GET", arn("/restapis/nope"), json!(null), 404, no_api.clone()),
        ("PUT", arn("/restapis/nope"), json!({ "tags": {} }), 404, no_api),
        ("GET", arn("/usageplans/nope"), json!(null), 404, "Invalid Usage Plan ID specified".into()),
        (
            "PUT",
            arn("/apikeys/nope"),
            json!({ "tags": {} }),
            404,
            "Invalid API Key identifier specified".into(),
        ),
        ("GET", arn("/apikeys/"), json!(null), 400, invalid("arn:aws:apigateway:eu-west-1::/apikeys/")),
        (
            "GET",
            arn(&format!("/restapis/{api}/stages/x")),
            json!(null),
            404,
            "Invalid Stage identifier specified".into(),
        ),
        (
            "DELETE",
            arn(&format!("/restapis/{api}")),
            json!(null),
            400,
            "tagKeys must name at least one tag".into(),
        ),
        (
            "PUT",
            arn(&format!("/restapis/{api}")),
            json!({ "tags": { "aws:x": "1" } }),
            400,
            "Invalid tag key 'aws:x': use 1 to 128 characters that do not start with aws:".into(),
        ),
        (
            "PUT",
            arn(&format!("/restapis/{api}")),
            json!({ "tags": { "k": "v".repeat(257) } }),
            400,
            "Invalid value of tag 'k': use at most 256 characters".into(),
        ),
        (
            "PUT",
            arn(&format!("/restapis/{api}")),
            json!({ "tags": { "tidegate:id": "x" } }),
            400,
            format!("An id is pinned when an API is created; this API is '{api}' already"),
        ),
    ];
    for (verb, target, body, status, message) in cases {
        rig.refused(verb, &target, body, status, &message);
    }
    let many: serde_json::Map<String, Value> = (0..51).map(|i| (format!("k{i}"), json!("v"))).collect();
    rig.refused(
        "PUT",
        &arn(&format!("/restapis/{api}")),
        json!({ "tags": many }),
        400,
        "A resource can have 50 tags, not 51",
    );
}

#[test]
fn ids_are_pinned() {
    let rig = Rig::new();
    for (tag, id) in [("_custom_id_", "petstore"), ("tidegate:id", "my-api_1")] {
        let body = json!({ "name": "n", "tags": { tag: id } });
        let api = rig.expect(201, "POST", "/restapis", body.clone());
        assert_eq!((&api["id"], &api["tags"]), (&json!(id), &json!({ tag: id })));
        rig.refused("POST", "/restapis", body, 409, &format!("The id '{id}' is taken by another REST API"));
    }
    for bad in ["", "Pets", "a.b", "a/b", "-a"] {
        let body = json!({ "name": "n", "tags": { "tidegate:id": bad } });
        rig.refused("POST", "/restapis", body, 400, &format!("Invalid id '{bad}' in tag tidegate:id: …"));
    }
    let both = json!({ "name": "n", "tags": { "tidegate:id": "a", "_custom_id_": "b" } });
    rig.refused(
        "POST",
        "/restapis",
        both,
        400,
        "Tags tidegate:id and _custom_id_ pin different ids: 'a' and 'b'",
    );
}
