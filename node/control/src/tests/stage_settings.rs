//! Settings of the methods of a stage, and limits by tag.

use serde_json::{Value, json};

use super::rig::{Rig, patch, replace};
use crate::Store;

fn setting(changes: Value) -> Value {
    let mut setting = json!({
        "metricsEnabled": false, "dataTraceEnabled": false, "throttlingBurstLimit": 5000,
        "throttlingRateLimit": 10000.0, "cachingEnabled": false, "cacheTtlInSeconds": 300,
        "cacheDataEncrypted": false, "requireAuthorizationForCacheControl": true,
        "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
    });
    for (field, value) in changes.as_object().unwrap() {
        setting[field] = value.clone();
    }
    setting
}

fn staged() -> (Rig, String) {
    let rig = Rig::new();
    let (api, _) = rig.stage("s");
    (rig, format!("/restapis/{api}/stages/s"))
}

#[test]
fn one_value_brings_the_whole_setting() {
    let (rig, path) = staged();
    let steps = [
        ("/*/*/throttling/burstLimit", "123", "*/*", json!({ "throttlingBurstLimit": 123 })),
        (
            "/*/*/throttling/rateLimit",
            "-1.000000",
            "*/*",
            json!({ "throttlingBurstLimit": 123, "throttlingRateLimit": -1.0 }),
        ),
        ("/~1pets/GET/throttling/rateLimit", "2.5", "~1pets/GET", json!({ "throttlingRateLimit": 2.5 })),
        (
            "/orders/{id}/POST/throttling/burstLimit",
            "-1",
            "orders/{id}/POST",
            json!({ "throttlingBurstLimit": -1 }),
        ),
        ("/~1/GET/logging/loglevel", "OFF", "~1/GET", json!({ "loggingLevel": "OFF" })),
        ("/a/PUT/metrics/enabled", "false", "a/PUT", json!({})),
        (
            "/*/*/caching/enabled",
            "true",
            "*/*",
            json!({ "throttlingBurstLimit": 123, "throttlingRateLimit": -1.0, "cachingEnabled": true }),
        ),
        ("/c/GET/caching/ttlInSeconds", "3600", "c/GET", json!({ "cacheTtlInSeconds": 3600 })),
        ("/d/GET/caching/dataEncrypted", "TRUE", "d/GET", json!({ "cacheDataEncrypted": true })),
        (
            "/e/GET/caching/requireAuthorizationForCacheControl",
            "false",
            "e/GET",
            json!({ "requireAuthorizationForCacheControl": false }),
        ),
        (
            "/f/GET/caching/unauthorizedCacheControlHeaderStrategy",
            "FAIL_WITH_403",
            "f/GET",
            json!({ "unauthorizedCacheControlHeaderStrategy": "FAIL_WITH_403" }),
        ),
        ("//b/c/ANY/throttling/burstLimit", "0", "/b/c/ANY", json!({ "throttlingBurstLimit": 0 })),
    ];
    for (at, value, name, expect) in &steps {
        let updated = rig.expect(200, "PATCH", &path, replace(at, value));
        assert_eq!(updated["methodSettings"][name], setting(expect.clone()), "{at}");
    }
    let stage = rig.expect(200, "GET", &path, json!(null));
    assert_eq!(stage["methodSettings"].as_object().unwrap().len(), 10);
    assert_eq!(rig.store.view().prefix("restapi/").filter(|(key, _)| key.contains("/stage/")).count(), 1);
    let other = rig.expect(200, "PATCH", &path, replace("/description", "text"));
    assert_eq!(other["methodSettings"], stage["methodSettings"], "other patches leave settings alone");
    for name in stage["methodSettings"].as_object().unwrap().keys() {
        let removed = rig.expect(200, "PATCH", &path, patch("remove", &format!("/{name}"), json!(null)));
        assert!(removed["methodSettings"].get(name).is_none(), "{name}");
    }
    assert_eq!(rig.expect(200, "GET", &path, json!(null))["methodSettings"], json!({}));
}

#[test]
fn what_terraform_sends() {
    let (rig, path) = staged();
    let at = |end: &str| format!("/*/*/{end}");
    let body = json!({ "patchOperations": [
        { "op": "replace", "path": at("metrics/enabled"), "value": "false" },
        { "op": "replace", "path": at("logging/loglevel"), "value": "OFF" },
        { "op": "replace", "path": at("logging/dataTrace"), "value": "false" },
        { "op": "replace", "path": at("throttling/burstLimit"), "value": "-1" },
        { "op": "replace", "path": at("throttling/rateLimit"), "value": "-1.000000" },
        { "op": "replace", "path": at("caching/enabled"), "value": "false" },
        { "op": "replace", "path": at("caching/ttlInSeconds"), "value": "300" },
        { "op": "replace", "path": at("caching/dataEncrypted"), "value": "false" },
        { "op": "replace", "path": at("caching/requireAuthorizationForCacheControl"), "value": "true" },
        { "op": "replace", "path": at("caching/unauthorizedCacheControlHeaderStrategy"), "value": "SUCCEED_WITH_RESPONSE_HEADER" },
    ]});
    let expect =
        setting(json!({ "loggingLevel": "OFF", "throttlingBurstLimit": -1, "throttlingRateLimit": -1.0 }));
    assert_eq!(rig.expect(200, "PATCH", &path, body)["methodSettings"], json!({ "*/*": expect }));
}

#[test]
fn wrong_settings() {
    let (rig, path) = staged();
    rig.expect(200, "PATCH", &path, replace("/pets/GET/throttling/burstLimit", "1"));
    let burst = |text: &str| {
        format!(
            "Invalid value '{text}' specified for throttling burst limit, must be a whole number of at least 0, or -1 for no limit"
        )
    };
    let rate = |text: &str| {
        format!(
            "Invalid value '{text}' specified for throttling rate limit, must be a number of at least 0, or -1 for no limit"
        )
    };
    let later = |field: &str, value: &str| {
        format!(
            "This setting per method is not supported by this version of Tidegate: field {field}, value {value}"
        )
    };
    let some = |name: &str| {
        format!(
            "A setting for some of the methods is not supported by this version of Tidegate: field methodSettings, value {name}"
        )
    };
    let unknown =
        |path: &str| format!("Invalid method setting path: {path}. Must be one of: [/deploymentId, …");
    let cases = [
        (replace("/*/*/throttling/burstLimit", "-2"), burst("-2")),
        (replace("/*/*/throttling/burstLimit", "1.5"), burst("1.5")),
        (replace("/*/*/throttling/burstLimit", ""), burst("")),
        (replace("/*/*/throttling/rateLimit", "-2"), rate("-2")),
        (replace("/*/*/throttling/rateLimit", "inf"), rate("inf")),
        (replace("/*/*/throttling/rateLimit", "x"), rate("x")),
        (replace("/~1pets/POST/metrics/enabled", "true"), later("/~1pets/POST/metrics/enabled", "true")),
        (replace("/*/*/logging/loglevel", "INFO"), later("/*/*/logging/loglevel", "INFO")),
        (replace("/pets/*/throttling/burstLimit", "1"), some("pets/*")),
        (replace("/*/GET/throttling/burstLimit", "1"), some("*/GET")),
        (replace("/pets/get/throttling/burstLimit", "1"), unknown("/pets/get/throttling/burstLimit")),
        (replace("/pets/GET//throttling/burstLimit", "1"), unknown("/pets/GET//throttling/burstLimit")),
        (replace("/throttling/burstLimit", "1"), unknown("/throttling/burstLimit")),
        (replace("/*/*/throttling/other", "1"), unknown("/*/*/throttling/other")),
        (
            patch("add", "/*/*/throttling/burstLimit", json!("1")),
            "Invalid add operation with path: /*/*/throttling/burstLimit".into(),
        ),
        (
            replace("/~1pets/GET/throttling/burstLimit", "1"),
            "Method setting ~1pets/GET is there already under the name pets/GET".into(),
        ),
    ];
    for (body, message) in cases {
        rig.refused("PATCH", &path, body, 400, &message);
    }
    for name in ["*/*", "*/*/throttling/burstLimit", "pets/GET/throttling/burstLimit", "~1pets/GET"] {
        let message = format!(
            "Cannot remove method setting {name} because there is no method setting for this method "
        );
        rig.refused("PATCH", &path, patch("remove", &format!("/{name}"), json!(null)), 400, &message);
    }
    let kept = rig.expect(200, "GET", &path, json!(null));
    let expect = json!({ "pets/GET": setting(json!({ "throttlingBurstLimit": 1 })) });
    assert_eq!(kept["methodSettings"], expect, "nothing of what was refused is kept");
}

#[test]
fn wrong_settings_of_caching() {
    let (rig, path) = staged();
    let cache = |value: &str, field: &str, rule: &str| {
        format!("Invalid value '{value}' specified for caching {field}, must be {rule}")
    };
    let seconds = "a whole number of seconds from 0 to 3600";
    let cases = [
        (replace("/*/*/caching/enabled", "on"), cache("on", "enabled", "true or false")),
        (replace("/*/*/caching/ttlInSeconds", "3601"), cache("3601", "ttlInSeconds", seconds)),
        (replace("/*/*/caching/ttlInSeconds", "-1"), cache("-1", "ttlInSeconds", seconds)),
        (replace("/*/*/caching/ttlInSeconds", "1.5"), cache("1.5", "ttlInSeconds", seconds)),
        (replace("/a/GET/caching/dataEncrypted", ""), cache("", "dataEncrypted", "true or false")),
        (
            replace("/*/*/caching/requireAuthorizationForCacheControl", "1"),
            cache("1", "requireAuthorizationForCacheControl", "true or false"),
        ),
        (
            replace("/*/*/caching/unauthorizedCacheControlHeaderStrategy", "FAIL"),
            cache(
                "FAIL",
                "unauthorizedCacheControlHeaderStrategy",
                "one of [FAIL_WITH_403, SUCCEED_WITH_RESPONSE_HEADER, SUCCEED_WITHOUT_RESPONSE_HEADER]",
            ),
        ),
    ];
    for (body, message) in cases {
        rig.refused("PATCH", &path, body, 400, &message);
    }
    assert_eq!(rig.expect(200, "GET", &path, json!(null))["methodSettings"], json!({}));
}

#[test]
fn a_new_deployment_keeps_the_settings() {
    let (rig, path) = staged();
    rig.expect(200, "PATCH", &path, replace("/*/*/throttling/burstLimit", "9"));
    let api = path.strip_suffix("/stages/s").unwrap();
    rig.expect(201, "POST", &format!("{api}/deployments"), json!({ "stageName": "s" }));
    let stage = rig.expect(200, "GET", &path, json!(null));
    assert_eq!(stage["methodSettings"]["*/*"]["throttlingBurstLimit"], 9);
    let all = rig.expect(200, "GET", &format!("{api}/stages"), json!(null));
    assert_eq!(all["item"][0]["methodSettings"], stage["methodSettings"]);
}

#[test]
fn tags_that_say_how_answers_are_cached() {
    let (rig, path) = staged();
    let stage = format!("/tags/arn:aws:apigateway:eu-west-1::{path}");
    let wrong =
        |tag: &str, value: &str, rule: &str| format!("Invalid value '{value}' of tag tidegate:{tag}: {rule}");
    let names = "must be names of headers other than Authorization and Cookie, separated by spaces";
    let good = json!({ "tidegate:cache": "rfc9111", "tidegate:cache-unkeyed-headers": "X-A x-b" });
    rig.expect(204, "PUT", &stage, json!({ "tags": good }));
    let cases = [
        (json!({ "tidegate:cache": "on" }), wrong("cache", "on", "must be aws, rfc9111 or off")),
        (json!({ "tidegate:cache-isolated": "x" }), wrong("cache-isolated", "x", "must be serve or bypass")),
        (
            json!({ "tidegate:cache-status": "never" }),
            wrong("cache-status", "never", "must be always or request"),
        ),
        (
            json!({ "tidegate:cache-set-cookie": "1" }),
            wrong("cache-set-cookie", "1", "must be true or false"),
        ),
        (
            json!({ "tidegate:cache-unkeyed-headers": "X-A Cookie" }),
            wrong("cache-unkeyed-headers", "X-A Cookie", names),
        ),
        (
            json!({ "tidegate:cache-unkeyed-headers": "x-a:x" }),
            wrong("cache-unkeyed-headers", "x-a:x", names),
        ),
    ];
    for (tags, message) in cases {
        rig.refused("PUT", &stage, json!({ "tags": tags }), 400, &message);
    }
}

#[test]
fn tags_that_say_how_limits_are_kept() {
    let (rig, path) = staged();
    let api = path.strip_suffix("/stages/s").unwrap().strip_prefix("/restapis/").unwrap();
    let plan = rig.plan("gold", &[]);
    let arn = |rest: String| format!("/tags/arn:aws:apigateway:eu-west-1::{rest}");
    let (stage, plan) = (arn(path.clone()), arn(format!("/usageplans/{plan}")));
    let good = [
        json!({ "tidegate:strict": "true" }),
        json!({ "tidegate:strict": "false", "tidegate:isolated": "last", "tidegate:scope": "global" }),
    ];
    for (target, tags) in
        [&stage, &plan].iter().flat_map(|target| good.iter().map(move |tags| (target, tags)))
    {
        rig.expect(204, "PUT", target, json!({ "tags": tags }));
    }
    let limits = json!({ "tidegate:rate-limit-headers": "true", "tidegate:stage-rate-limit": "5.5", "tidegate:stage-burst-limit": "2" });
    rig.expect(204, "PUT", &stage, json!({ "tags": limits }));
    let wrong =
        |tag: &str, value: &str, rule: &str| format!("Invalid value '{value}' of tag tidegate:{tag}: {rule}");
    let both = "must be closed, or absent, where tidegate:strict is true";
    let needs = "needs the tag tidegate:stage-rate-limit beside it";
    let cases = [
        (&plan, json!({ "tidegate:strict": "yes" }), wrong("strict", "yes", "must be true or false")),
        (&plan, json!({ "tidegate:strict": "true" }), wrong("isolated", "last", both)),
        (&stage, json!({ "tidegate:strict": "true" }), wrong("isolated", "last", both)),
        (&stage, json!({ "tidegate:scope": "world" }), wrong("scope", "world", "must be region or global")),
        (
            &stage,
            json!({ "tidegate:rate-limit-headers": "" }),
            wrong("rate-limit-headers", "", "must be true or false"),
        ),
        (
            &stage,
            json!({ "tidegate:stage-rate-limit": "0" }),
            wrong("stage-rate-limit", "0", "must be a number above 0"),
        ),
        (
            &stage,
            json!({ "tidegate:stage-burst-limit": "0" }),
            wrong("stage-burst-limit", "0", "must be a whole number of at least 1"),
        ),
    ];
    for (target, tags, message) in cases {
        rig.refused("PUT", target, json!({ "tags": tags }), 400, &message);
    }
    let untag = format!("{stage}?tagKeys=tidegate%3Astage-rate-limit");
    rig.refused("DELETE", &untag, json!(null), 400, &wrong("stage-burst-limit", "2", needs));
    rig.expect(204, "DELETE", &format!("{untag}&tagKeys=tidegate%3Astage-burst-limit"), json!(null));
    let deployment = rig.expect(200, "GET", &path, json!(null))["deploymentId"].clone();
    let body = json!({ "stageName": "t", "deploymentId": deployment, "tags": { "tidegate:isolated": "x" } });
    let message = wrong("isolated", "x", "must be even, last or closed");
    rig.refused("POST", &format!("/restapis/{api}/stages"), body, 400, &message);
}
