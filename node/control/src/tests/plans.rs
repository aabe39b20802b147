//! Usage plans.

use serde_json::{Value, json};

use super::rig::{NOW_S, Rig, patch, replace, text};
use crate::Store;

const NO_PLAN: &str = "Invalid Usage Plan ID specified";

fn patches(operations: Value) -> Value {
    json!({ "patchOperations": operations })
}

#[test]
fn a_plan_comes_and_goes() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let body = json!({
        "name": "gold", "description": "d", "tags": { "k": "v" },
        "apiStages": [{ "apiId": api, "stage": "dev", "throttle": { "/pets/GET": { "burstLimit": 3, "rateLimit": 4 } } }],
        "throttle": { "burstLimit": 1, "rateLimit": 2.0 },
        "quota": { "limit": 10, "offset": 0, "period": "DAY" },
    });
    let made = rig.expect(201, "POST", "/usageplans", body.clone());
    let id = text(&made["id"]);
    assert!(id.len() == 6 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
    let mut expect = body;
    expect["id"] = json!(id);
    expect["apiStages"][0]["throttle"]["/pets/GET"]["rateLimit"] = json!(4.0);
    assert_eq!(made, expect);
    let path = format!("/usageplans/{id}");
    assert_eq!(rig.expect(200, "GET", &path, json!(null)), expect);
    assert_eq!(rig.expect(200, "GET", "/usageplans", json!(null)), json!({ "item": [expect] }));
    rig.refused(
        "DELETE",
        &path,
        json!(null),
        400,
        &format!("Cannot delete Usage Plan {id} because there are API Stages associated with it, including {api}:dev"),
    );
    let stage = format!("{api}:dev");
    let less = rig.expect(200, "PATCH", &path, patch("remove", "/apiStages", json!(stage)));
    assert_eq!(less["apiStages"], json!([]));
    assert_eq!(rig.expect(202, "DELETE", &path, json!(null)), Value::Null);
    for verb in ["GET", "DELETE", "PATCH"] {
        rig.refused(verb, &path, json!(null), 404, NO_PLAN);
    }
}

#[test]
fn a_plan_of_nothing_but_a_name() {
    let rig = Rig::new();
    let body = json!({ "name": "bare", "description": "", "throttle": {}, "quota": {} });
    let made = rig.expect(201, "POST", "/usageplans", body);
    let id = text(&made["id"]);
    let mut expect = json!({ "id": id, "name": "bare", "apiStages": [] });
    assert_eq!(made, expect);
    assert_eq!(rig.expect(200, "GET", "/usageplans", json!(null)), json!({ "item": [expect] }));
    expect["tags"] = json!({});
    assert_eq!(rig.expect(200, "GET", &format!("/usageplans/{id}"), json!(null)), expect);
}

#[test]
fn wrong_plans() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let with = |field: &str, value: Value| {
        let mut body = json!({ "name": "gold" });
        body[field] = value;
        body
    };
    let stage = |api: &str, stage: &str| with("apiStages", json!([{ "apiId": api, "stage": stage }]));
    let method = |name: &str| {
        with("apiStages", json!([{ "apiId": api, "stage": "dev", "throttle": { name: { "rateLimit": 1 } } }]))
    };
    let quota = |limit: i64, offset: i64, period: &str| {
        with("quota", json!({ "limit": limit, "offset": offset, "period": period }))
    };
    let gone = |api: &str, stage: &str| {
        format!("Invalid API Stage {{api: {api}, stage: {stage}}} specified for usageplan gold")
    };
    let whole = |field: &str, value: &str| {
        format!("Invalid value '{value}' specified for {field}, must be a whole number of at least 0")
    };
    let rate =
        "Invalid value '-1' specified for throttle rate limit, must be a number of at least 0".to_owned();
    let half = "Usage Plan quota must have a limit and a period".to_owned();
    let twice = json!([{ "apiId": api, "stage": "dev" }, { "apiId": api, "stage": "dev" }]);
    let cases = [
        (json!({}), 400, "1 validation error detected: Value null at 'createUsagePlanInput.name' failed to satisfy constraint: Member must not be null".to_owned()),
        (json!({ "name": "" }), 400, "Invalid Usage Plan name specified, must be 1 to 1024 characters".into()),
        (stage("nope", "dev"), 404, gone("nope", "dev")),
        (stage(&api, "nope"), 404, gone(&api, "nope")),
        (stage(&api, "dev/x"), 404, gone(&api, "dev/x")),
        (stage("", "dev"), 400, "Invalid API Stage specified".into()),
        (stage(&api, ""), 400, "Invalid API Stage specified".into()),
        (with("apiStages", twice), 409, format!("API Stage {{api: {api}, stage: dev}} is in usageplan gold already")),
        (method("/pets/get"), 400, "Invalid method '/pets/get' specified for throttling, must be a resource path and a method such as /pets/GET".into()),
        (method("*/*"), 400, "Invalid method '*/*' specified for throttling, …".into()),
        (with("throttle", json!({ "rateLimit": -1 })), 400, rate),
        (with("throttle", json!({ "rateLimit": "1" })), 400, "class java.lang.String can not be converted to an Double".into()),
        (with("throttle", json!({ "burstLimit": -1 })), 400, whole("throttle burst limit", "-1")),
        (with("throttle", json!({ "burstLimit": 1.5 })), 400, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an Integer".into()),
        (quota(-1, 0, "DAY"), 400, whole("quota limit", "-1")),
        (quota(1, -1, "DAY"), 400, whole("quota offset", "-1")),
        (quota(1, 0, "YEAR"), 400, "1 validation error detected: Value 'YEAR' at 'createUsagePlanInput.quota.period' failed to satisfy constraint: Member must satisfy enum value set: [DAY, WEEK, MONTH]".into()),
        (quota(1, 1, "DAY"), 400, "Usage Plan quota offset must be zero in the DAY period".into()),
        (quota(1, 7, "WEEK"), 400, "Usage Plan quota offset must be between 0 and 6 inclusive in the WEEK period".into()),
        (quota(1, 28, "MONTH"), 400, "Usage Plan quota offset must be between 0 and 27 inclusive in the MONTH period".into()),
        (with("quota", json!({ "limit": 1 })), 400, half.clone()),
        (with("quota", json!({ "period": "DAY" })), 400, half),
        (with("productCode", json!("x")), 400, "This field is not supported by this version of Tidegate: field productCode, value x".into()),
        (with("tags", json!({ "tidegate:strict": "1" })), 400, "Invalid value '1' of tag tidegate:strict: must be true or false".into()),
    ];
    for (body, status, message) in cases {
        rig.refused("POST", "/usageplans", body, status, &message);
    }
    assert_eq!(rig.expect(200, "GET", "/usageplans", json!(null)), json!({ "item": [] }));
}

#[test]
fn bounds() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let methods = |count: usize| -> Value {
        let limits = (0..count).map(|at| (format!("/p{at}/GET"), json!({ "rateLimit": 1 })));
        let limits: serde_json::Map<String, Value> = limits.collect();
        json!({ "name": "n", "apiStages": [{ "apiId": api, "stage": "dev", "throttle": limits }] })
    };
    rig.expect(201, "POST", "/usageplans", methods(1_000));
    rig.refused("POST", "/usageplans", methods(1_001), 400, "A usage plan can limit 1000 methods, not 1001");
    let stages: Vec<Value> =
        (0..1_001).map(|at| json!({ "apiId": "a", "stage": format!("s{at}") })).collect();
    let body = json!({ "name": "n", "apiStages": stages });
    rig.refused("POST", "/usageplans", body, 400, "A usage plan can have 1000 API stages, not 1001");
    let mut transaction = tidegate_proto::transaction::TransactionV1::default();
    for number in 1..1_000 {
        let plan = tidegate_proto::document::UsagePlan { id: format!("{number:06}"), ..Default::default() };
        transaction.put(tidegate_proto::key::usage_plan(&plan.id), &plan);
    }
    rig.store.state.lock().unwrap().apply(transaction);
    let message = "Maximum number of usage plans for this cluster has been reached: 1000";
    rig.refused("POST", "/usageplans", json!({ "name": "n" }), 429, message);
}

#[test]
fn updates() {
    let rig = Rig::new();
    let ((api, _), (other, _)) = (rig.stage("dev"), rig.stage("prod"));
    let path = format!("/usageplans/{}", rig.plan("gold", &[(&api, "dev")]));
    let (dev, prod) = (format!("{api}:dev"), format!("{other}:prod"));
    let at = |method: &str, limit: &str| format!("/apiStages/{dev}/throttle/{method}/{limit}");
    let updated = rig.expect(
        200,
        "PATCH",
        &path,
        patches(json!([
            { "op": "replace", "path": "/name", "value": "silver" },
            { "op": "replace", "path": "/description", "value": "text" },
            { "op": "add", "path": "/productCode", "value": "p" },
            { "op": "replace", "path": "/throttle/rateLimit", "value": "200" },
            { "op": "add", "path": "/throttle/burstLimit", "value": "100" },
            { "op": "replace", "path": "/quota/limit", "value": "9" },
            { "op": "replace", "path": "/quota/offset", "value": "2" },
            { "op": "replace", "path": "/quota/period", "value": "WEEK" },
            { "op": "add", "path": "/apiStages", "value": prod },
            { "op": "replace", "path": at("~1pets~1{id}/GET", "rateLimit"), "value": "1.5" },
            { "op": "replace", "path": at("/pets/{id}/GET", "burstLimit"), "value": "4" },
            { "op": "replace", "path": at("~1/POST", "burstLimit"), "value": "5" },
            { "op": "add", "path": at("a/PUT", "burstLimit"), "value": "6" },
        ])),
    );
    let expect = json!({
        "id": updated["id"], "name": "silver", "description": "text", "productCode": "p", "tags": {},
        "throttle": { "burstLimit": 100, "rateLimit": 200.0 },
        "quota": { "limit": 9, "offset": 2, "period": "WEEK" },
        "apiStages": [
            { "apiId": api, "stage": "dev", "throttle": {
                "/pets/{id}/GET": { "burstLimit": 4, "rateLimit": 1.5 }, "//POST": { "burstLimit": 5 },
                "/a/PUT": { "burstLimit": 6 },
            } },
            { "apiId": other, "stage": "prod" },
        ],
    });
    assert_eq!(updated, expect);
    assert_eq!(rig.expect(200, "GET", &path, json!(null)), expect);
    let less = rig.expect(
        200,
        "PATCH",
        &path,
        patches(json!([
            { "op": "remove", "path": format!("/apiStages/{dev}/throttle/~1pets~1{{id}}/GET") },
            { "op": "remove", "path": "/quota" },
            { "op": "remove", "path": "/throttle" },
            { "op": "remove", "path": "/productCode" },
            { "op": "replace", "path": "/description", "value": "" },
            { "op": "remove", "path": "/apiStages", "value": prod },
        ])),
    );
    let expect = json!({
        "id": updated["id"], "name": "silver", "tags": {},
        "apiStages": [{ "apiId": api, "stage": "dev", "throttle": {
            "//POST": { "burstLimit": 5 }, "/a/PUT": { "burstLimit": 6 },
        } }],
    });
    assert_eq!(less, expect);
    let bare =
        rig.expect(200, "PATCH", &path, patch("remove", &format!("/apiStages/{dev}/throttle"), json!(null)));
    assert_eq!(bare["apiStages"], json!([{ "apiId": api, "stage": "dev" }]));
}

#[test]
fn stages_that_are_taken_out_and_in_again() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let path = format!("/usageplans/{}", rig.plan("gold", &[(&api, "dev")]));
    let dev = format!("{api}:dev");
    let at = |limit: &str| format!("/apiStages/{dev}/throttle//pets/GET/{limit}");
    // What the Terraform provider sends when anything about a stage changes.
    let again = rig.expect(
        200,
        "PATCH",
        &path,
        patches(json!([
            { "op": "remove", "path": "/apiStages", "value": dev },
            { "op": "add", "path": "/apiStages", "value": dev },
            { "op": "replace", "path": at("rateLimit"), "value": "3" },
            { "op": "replace", "path": at("burstLimit"), "value": "2" },
        ])),
    );
    let limits = json!({ "/pets/GET": { "burstLimit": 2, "rateLimit": 3.0 } });
    assert_eq!(again["apiStages"], json!([{ "apiId": api, "stage": "dev", "throttle": limits }]));
}

#[test]
fn wrong_stages_of_a_plan() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let id = rig.plan("gold", &[(&api, "dev")]);
    let path = format!("/usageplans/{id}");
    let removable = "Must be one of: [/apiStages, /quota, /throttle, /productCode, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>, /apiStages/<apidId:stageName>/throttle]";
    let gone = |api: &str, stage: &str| {
        format!("Invalid API Stage {{api: {api}, stage: {stage}}} specified for usageplan {id}")
    };
    let invalid = "Invalid API Stage specified".to_owned();
    let cases = [
        (
            patch("remove", &format!("/apiStages/{api}:dev"), json!(null)),
            400,
            format!("Invalid patch path  '/apiStages/{api}:dev' specified for op 'remove'. {removable}"),
        ),
        (
            patch("remove", "/name", json!(null)),
            400,
            format!("Invalid patch path  '/name' specified for op 'remove'. {removable}"),
        ),
        (
            replace("/apiStages", "x:y"),
            400,
            "Invalid patch path  '/apiStages' specified for op 'replace'. Must be one of: [/name, …".into(),
        ),
        (
            patch("copy", "/name", json!("x")),
            400,
            "Invalid patch path  '/name' specified for op 'copy'. Please choose supported operations".into(),
        ),
        (patch("add", "/apiStages", json!(null)), 400, invalid.clone()),
        (patch("remove", "/apiStages", json!(null)), 400, invalid.clone()),
        (patch("add", "/apiStages", json!("only")), 400, invalid.clone()),
        (patch("add", "/apiStages", json!("a:b:c")), 400, invalid),
        (patch("add", "/apiStages", json!("nope:dev")), 404, gone("nope", "dev")),
        (patch("add", "/apiStages", json!(format!("{api}:nope"))), 404, gone(&api, "nope")),
        (patch("remove", "/apiStages", json!(format!("{api}:nope"))), 404, gone(&api, "nope")),
        (
            patch("add", "/apiStages", json!(format!("{api}:dev"))),
            409,
            format!("API Stage {{api: {api}, stage: dev}} is in usageplan {id} already"),
        ),
    ];
    for (body, status, message) in cases {
        rig.refused("PATCH", &path, body, status, &message);
    }
}

#[test]
fn wrong_values_of_a_plan() {
    let rig = Rig::new();
    let (api, _) = rig.stage("dev");
    let id = rig.plan("gold", &[(&api, "dev")]);
    let path = format!("/usageplans/{id}");
    let gone = |api: &str, stage: &str| {
        format!("Invalid API Stage {{api: {api}, stage: {stage}}} specified for usageplan {id}")
    };
    let on = |stage: &str| format!("/apiStages/{stage}/throttle/~1pets/GET/rateLimit");
    let cases = [
        (replace(&on("nope:dev"), "1"), 404, gone("nope", "dev")),
        (replace(&on("nope"), "1"), 400, "Invalid API Stage specified".into()),
        (
            replace(&on(&format!("{api}:dev")), "x"),
            400,
            "Invalid value 'x' specified for throttle rate limit, must be a number of at least 0".into(),
        ),
        (
            replace(&format!("/apiStages/{api}:dev/throttle/pets/rateLimit"), "1"),
            400,
            "Invalid method 'pets' specified for throttling, …".into(),
        ),
        (
            patch("remove", &format!("/apiStages/{api}:dev/throttle/~1pets/GET"), json!(null)),
            404,
            format!("Nothing to remove at /apiStages/{api}:dev/throttle/~1pets/GET"),
        ),
        (replace("/quota/limit", "5"), 400, "Usage Plan quota must have a limit and a period".into()),
        (
            replace("/quota/limit", "-5"),
            400,
            "Invalid value '-5' specified for quota limit, must be a whole number of at least 0".into(),
        ),
        (
            replace("/quota/period", "YEAR"),
            400,
            "Invalid value 'YEAR' specified for quota period, must be one of: [DAY, WEEK, MONTH]".into(),
        ),
        (
            replace("/throttle/burstLimit", "4294967296"),
            400,
            "Invalid value '4294967296' specified for throttle burst limit, …".into(),
        ),
        (replace("/name", ""), 400, "Invalid Usage Plan name specified, must be 1 to 1024 characters".into()),
    ];
    for (body, status, message) in cases {
        rig.refused("PATCH", &path, body, status, &message);
    }
    let kept = rig.expect(200, "GET", &path, json!(null));
    assert_eq!(
        kept,
        json!({ "id": id, "name": "gold", "tags": {}, "apiStages": [{ "apiId": api, "stage": "dev" }] })
    );
}

#[test]
fn the_first_period_of_a_quota_is_remembered() {
    let rig = Rig::new();
    let id = rig.plan("gold", &[]);
    let path = format!("/usageplans/{id}");
    let since = || rig.store.view().usage_plan(&id).unwrap().unwrap().document.quota_since_s;
    let set_since = |since_s: i64| {
        let mut plan = rig.store.view().usage_plan(&id).unwrap().unwrap().document;
        plan.quota_since_s = Some(since_s);
        let mut transaction = tidegate_proto::transaction::TransactionV1::default();
        transaction.put(tidegate_proto::key::usage_plan(&id), &plan);
        rig.store.state.lock().unwrap().apply(transaction);
    };
    assert_eq!(since(), None);
    let whole = patches(json!([
        { "op": "replace", "path": "/quota/limit", "value": "9" },
        { "op": "replace", "path": "/quota/period", "value": "WEEK" },
    ]));
    let printed = rig.expect(200, "PATCH", &path, whole);
    assert!(printed.get("quotaSinceS").is_none());
    assert_eq!(since(), Some(NOW_S));
    set_since(7);
    rig.expect(200, "PATCH", &path, replace("/quota/limit", "8"));
    rig.expect(200, "PATCH", &path, replace("/quota/period", "WEEK"));
    assert_eq!(since(), Some(7), "neither the limit nor the same period begin anew");
    rig.expect(200, "PATCH", &path, replace("/quota/period", "MONTH"));
    assert_eq!(since(), Some(NOW_S));
    rig.expect(200, "PATCH", &path, patch("remove", "/quota", json!(null)));
    assert_eq!(since(), None);
}

#[test]
fn what_is_deleted_leaves_its_plans() {
    let rig = Rig::new();
    let ((api, _), (other, _)) = (rig.stage("dev"), rig.stage("prod"));
    let plans = [rig.plan("a", &[(&api, "dev"), (&other, "prod")]), rig.plan("b", &[(&api, "dev")])];
    let stages = |plan: &str| {
        let answer = rig.expect(200, "GET", &format!("/usageplans/{plan}"), json!(null));
        answer["apiStages"].as_array().unwrap().len()
    };
    rig.expect(202, "DELETE", &format!("/restapis/{api}/stages/dev"), json!(null));
    assert_eq!(plans.each_ref().map(|plan| stages(plan)), [1, 0]);
    rig.expect(202, "DELETE", &format!("/restapis/{other}"), json!(null));
    assert_eq!(plans.each_ref().map(|plan| stages(plan)), [0, 0]);
}
