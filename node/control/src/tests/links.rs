//! VPC links, and integrations that go through them.

use serde_json::{Value, json};

use super::rig::{Rig, patch, replace, text};

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/orders/50dc6c495c0c9188";
const NO_LINK: &str = "Invalid Vpc Link identifier specified";
const READY: &str = "Your vpc link is ready for use";
const REFERENCED: &str = "in format of [RESTApiId:Method:Resource:Stage].";

/// A link with a target, and its id.
fn link(rig: &Rig) -> String {
    let tags = json!({ "tidegate:targets:az-a": "10.1.0.7:8080" });
    let body = json!({ "name": "orders", "targetArns": [ARN], "tags": tags });
    text(&rig.expect(202, "POST", "/vpclinks", body)["id"])
}

fn through(link: &str) -> Value {
    json!({ "type": "HTTP_PROXY", "httpMethod": "GET", "uri": "http://orders.internal/", "connectionType": "VPC_LINK", "connectionId": link })
}

/// An API with a method, and the path of its integration.
fn method(rig: &Rig) -> (String, String, String) {
    let (api, root) = rig.api();
    let method = format!("/restapis/{api}/resources/{root}/methods/GET");
    rig.expect(201, "PUT", &method, json!({ "authorizationType": "NONE" }));
    (api, root, format!("{method}/integration"))
}

#[test]
fn a_link_comes_and_goes() {
    let rig = Rig::new();
    let tags = json!({ "tidegate:targets:az-a": "10.1.0.7:8080", "Team": "orders" });
    let body = json!({ "name": "orders", "description": "d", "targetArns": [ARN], "tags": tags });
    let made = rig.expect(202, "POST", "/vpclinks", body.clone());
    let id = text(&made["id"]);
    assert!(id.len() == 6 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
    let mut expect = body;
    (expect["id"], expect["status"]) = (json!(id), json!("PENDING"));
    assert_eq!(made, expect);
    (expect["status"], expect["statusMessage"]) = (json!("AVAILABLE"), json!(READY));
    let path = format!("/vpclinks/{id}");
    assert_eq!(rig.expect(200, "GET", &path, json!(null)), expect);
    assert_eq!(rig.expect(200, "GET", "/vpclinks", json!(null)), json!({ "item": [expect] }));
    let patches = json!({ "patchOperations": [{ "op": "replace", "path": "/name", "value": "n" }, { "op": "replace", "path": "/description", "value": "" }] });
    let changed = rig.expect(200, "PATCH", &path, patches);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("n"), &Value::Null));
    assert_eq!(rig.expect(202, "DELETE", &path, json!(null)), Value::Null);
    for verb in ["GET", "DELETE", "PATCH"] {
        rig.refused(verb, &path, json!(null), 404, NO_LINK);
    }
    assert_eq!(rig.expect(200, "GET", "/vpclinks", json!(null)), json!({ "item": [] }));
}

#[test]
fn links_come_in_pages() {
    let rig = Rig::new();
    let mut ids: Vec<String> = (0..3).map(|_| link(&rig)).collect();
    ids.sort();
    let first = rig.expect(200, "GET", "/vpclinks?limit=2", json!(null));
    let position = text(&first["position"]);
    let second = rig.expect(200, "GET", &format!("/vpclinks?limit=2&position={position}"), json!(null));
    let items = |page: &Value| {
        page["item"].as_array().unwrap().iter().map(|one| text(&one["id"])).collect::<Vec<_>>()
    };
    assert_eq!([items(&first), items(&second)].concat(), ids);
    assert_eq!(second["position"], Value::Null);
}

#[test]
fn wrong_links() {
    let rig = Rig::new();
    let with = |field: &str, value: Value| {
        let mut body = json!({ "name": "orders", "targetArns": [ARN] });
        body[field] = value;
        body
    };
    let tag = |name: &str, value: &str| with("tags", json!({ name: value }));
    for (body, message) in [
        (
            with("name", json!(null)),
            "1 validation error detected: Value null at 'createVpcLinkInput.name' failed to satisfy constraint: Member must not be null",
        ),
        (
            with("targetArns", json!(null)),
            "1 validation error detected: Value null at 'createVpcLinkInput.targetArns' failed to satisfy constraint: Member must not be null",
        ),
        (with("name", json!("")), "Invalid VPC link name specified, must be 1 to 1024 characters"),
        (with("targetArns", json!([ARN, ARN])), "More than one target arn specified for vpc link."),
        (with("targetArns", json!([])), "Invalid targetArns [], must hold the ARN of a load balancer"),
        (with("targetArns", json!(["nlb"])), "Invalid targetArns 'nlb', must be the ARN of a load balancer"),
        (
            tag("tidegate:targets:az-a", "10.1.0.7:80 10.1.0.8"),
            "Invalid value '10.1.0.8' of tag tidegate:targets:az-a: must be ADDRESS:PORT, NAME:PORT or srv:_SERVICE._PROTOCOL.NAME, several with a blank between them",
        ),
        (
            tag("tidegate:health-check", "up"),
            "Invalid value 'up' of tag tidegate:health-check: must be a path that starts with a slash",
        ),
        (tag("aws:x", "y"), "Invalid tag key 'aws:x': use 1 to 128 characters that do not start with aws:"),
    ] {
        rig.refused("POST", "/vpclinks", body, 400, message);
    }
    let path = format!("/vpclinks/{}", link(&rig));
    for (body, message) in [
        (replace("/targetArns/0", ARN), "Target arns are not allowed to be changed/added."),
        (replace("/name", ""), "Invalid VPC link name specified, must be 1 to 1024 characters"),
        (
            replace("/status", "FAILED"),
            "Invalid patch path  '/status' specified for op 'replace'. Must be one of: [/description, /name]",
        ),
        (
            patch("add", "/name", json!("x")),
            "Invalid patch path  '/name' specified for op 'add'. Please choose supported operations",
        ),
    ] {
        rig.refused("PATCH", &path, body, 400, message);
    }
}

#[test]
fn tags_say_where_a_link_leads() {
    let rig = Rig::new();
    let made = rig.expect(202, "POST", "/vpclinks", json!({ "name": "orders", "targetArns": [ARN] }));
    let id = text(&made["id"]);
    let message = || text(&rig.expect(200, "GET", &format!("/vpclinks/{id}"), json!(null))["statusMessage"]);
    assert!(message().starts_with(&format!("{READY}, but has no targets")), "{}", message());
    let arn = format!("/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Fvpclinks%2F{id}");
    let tags = json!({ "tidegate:targets": "orders.internal:80" });
    rig.expect(204, "PUT", &arn, json!({ "tags": tags }));
    assert_eq!(message(), READY);
    assert_eq!(rig.expect(200, "GET", &arn, json!(null)), json!({ "tags": tags }));
    let wrong = json!({ "tags": { "tidegate:targets:az-b": "orders.internal:80" } });
    rig.refused(
        "PUT",
        &arn,
        wrong,
        400,
        "Invalid value 'orders.internal:80' of tag tidegate:targets:az-b: must be named once, in one zone",
    );
    rig.expect(204, "DELETE", &format!("{arn}?tagKeys=tidegate%3Atargets"), json!(null));
    assert_ne!(message(), READY);
}

#[test]
fn a_link_stays_while_a_stage_calls_through_it() {
    let rig = Rig::new();
    let (id, other) = (link(&rig), link(&rig));
    let (api, root, integration) = method(&rig);
    let put = rig.expect(201, "PUT", &integration, through(&id));
    assert_eq!((&put["connectionType"], &put["connectionId"]), (&json!("VPC_LINK"), &json!(id)));
    assert_eq!(rig.expect(200, "GET", &integration, json!(null)), put);
    let path = format!("/vpclinks/{id}");
    let deploy = format!("/restapis/{api}/deployments");
    rig.expect(201, "POST", &deploy, json!({ "stageName": "prod" }));
    let refusal = format!(
        "Cannot delete vpc link. Vpc link '{id}', is referenced in [{api}:GET:{root}:prod] {REFERENCED}"
    );
    rig.refused("DELETE", &path, json!(null), 400, &refusal);
    // Deployments are copies: what the draft says now is not what is served.
    rig.expect(200, "PATCH", &integration, replace("/connectionId", &other));
    rig.refused("DELETE", &path, json!(null), 400, &refusal);
    rig.expect(201, "POST", &deploy, json!({ "stageName": "prod" }));
    rig.expect(202, "DELETE", &path, json!(null));
}

#[test]
fn a_stage_variable_names_a_link() {
    let rig = Rig::new();
    let id = link(&rig);
    let (api, root, integration) = method(&rig);
    rig.expect(201, "PUT", &integration, through("${stageVariables.link}"));
    let body = json!({ "stageName": "prod", "variables": { "link": id } });
    rig.expect(201, "POST", &format!("/restapis/{api}/deployments"), body);
    let refusal = format!(
        "Cannot delete vpc link. Vpc link '{id}', is referenced in [{api}:GET:{root}:prod] {REFERENCED}"
    );
    rig.refused("DELETE", &format!("/vpclinks/{id}"), json!(null), 400, &refusal);
    let stage = format!("/restapis/{api}/stages/prod");
    rig.expect(200, "PATCH", &stage, replace("/variables/link", "other"));
    rig.expect(202, "DELETE", &format!("/vpclinks/{id}"), json!(null));
}

#[test]
fn connections_that_make_no_sense() {
    let rig = Rig::new();
    let id = link(&rig);
    let (_, _, integration) = method(&rig);
    let with = |kind: &str, connection: &str, link: Option<&str>| json!({ "type": kind, "httpMethod": "GET", "uri": "http://a.test/", "connectionType": connection, "connectionId": link });
    for (body, message) in [
        (with("HTTP", "VPC_LINK", None), "connectionId must be specified for connectionType VPC_LINK"),
        (with("HTTP", "VPC_LINK", Some("nope")), "Invalid Vpc Link identifier specified: nope"),
        (with("HTTP", "VPC_LINK", Some("a/b")), "Invalid Vpc Link identifier specified: a/b"),
        (
            with("HTTP", "INTERNET", Some(&id)),
            "connectionId can only be specified for connectionType VPC_LINK",
        ),
        (
            with("MOCK", "VPC_LINK", Some(&id)),
            "Integrations of type MOCK cannot have connectionType VPC_LINK",
        ),
    ] {
        rig.refused("PUT", &integration, body, 400, message);
    }
    rig.expect(201, "PUT", &integration, with("HTTP", "INTERNET", None));
    let both = |kind: &str, link: &str| {
        json!({ "patchOperations": [
            { "op": "replace", "path": "/connectionType", "value": kind },
            { "op": "replace", "path": "/connectionId", "value": link },
        ] })
    };
    rig.refused(
        "PATCH",
        &integration,
        both("X", &id),
        400,
        "Invalid connectionType 'X' specified. Must be one of: [INTERNET, VPC_LINK]",
    );
    let changed = rig.expect(200, "PATCH", &integration, both("VPC_LINK", &id));
    assert_eq!(changed["connectionId"], json!(id));
    let back = rig.expect(200, "PATCH", &integration, both("INTERNET", ""));
    assert_eq!((&back["connectionType"], &back["connectionId"]), (&json!("INTERNET"), &Value::Null));
}

#[test]
fn the_upstreams_of_a_node_are_listed() {
    let rig = Rig::new();
    let expect = json!({ "node": 0, "az": "", "upstreams": [] });
    assert_eq!(rig.expect(200, "GET", "/_tidegate/upstreams", json!(null)), expect);
}
