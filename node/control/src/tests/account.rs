//! The account: limits of the region and the feature that is always there.

use serde_json::{Value, json};

use super::rig::{Rig, patch, replace};

fn account(burst: Value, rate: Value) -> Value {
    json!({
        "throttleSettings": { "burstLimit": burst, "rateLimit": rate },
        "features": ["UsagePlans"], "apiKeyVersion": "4",
    })
}

#[test]
fn limits_of_the_region_are_set_and_taken_back() {
    let rig = Rig::new();
    let fresh = account(json!(5000), json!(10000.0));
    let steps = [
        (json!({}), fresh.clone()),
        (replace("/throttleSettings/rateLimit", "12.5"), account(json!(5000), json!(12.5))),
        (replace("/throttleSettings/burstLimit", "7"), account(json!(7), json!(12.5))),
        (patch("add", "/features", json!("UsagePlans")), account(json!(7), json!(12.5))),
        (replace("/cloudwatchRoleArn", ""), account(json!(7), json!(12.5))),
        (patch("remove", "/throttleSettings/rateLimit", json!(null)), account(json!(7), json!(10000.0))),
        (replace("/throttleSettings/burstLimit", "0"), account(json!(0), json!(10000.0))),
        (patch("remove", "/throttleSettings/burstLimit", json!(null)), fresh.clone()),
    ];
    assert_eq!(rig.expect(200, "GET", "/account", json!(null)), fresh);
    for (body, expect) in steps {
        assert_eq!(rig.expect(200, "PATCH", "/account", body.clone()), expect, "{body}");
        assert_eq!(rig.expect(200, "GET", "/account", json!(null)), expect, "{body}");
    }
}

#[test]
fn what_the_region_knows_of_its_limit() {
    use crate::Store;
    let rig = Rig::new();
    assert!(rig.store.view().account().unwrap().is_none());
    rig.expect(200, "PATCH", "/account", replace("/throttleSettings/rateLimit", "3"));
    let settings = rig.store.view().account().unwrap().unwrap().document.throttle_settings.unwrap();
    assert_eq!(
        (settings.rate_limit, settings.burst_limit),
        (Some(3.0), None),
        "what is not set is not a limit"
    );
    rig.expect(200, "PATCH", "/account", patch("remove", "/throttleSettings/rateLimit", json!(null)));
    assert_eq!(rig.store.view().account().unwrap().unwrap().document.throttle_settings, None);
}

#[test]
fn wrong_updates() {
    let rig = Rig::new();
    let rate = |text: &str| {
        format!("Invalid value '{text}' specified for throttle rate limit, must be a number of at least 0")
    };
    let burst = |text: &str| {
        format!(
            "Invalid value '{text}' specified for throttle burst limit, must be a whole number of at least 0"
        )
    };
    let cases = [
        (replace("/throttleSettings/rateLimit", "-1"), rate("-1")),
        (replace("/throttleSettings/rateLimit", "NaN"), rate("NaN")),
        (replace("/throttleSettings/rateLimit", ""), rate("")),
        (replace("/throttleSettings/burstLimit", "1.5"), burst("1.5")),
        (replace("/throttleSettings/burstLimit", "-1"), burst("-1")),
        (
            patch("remove", "/features", json!("UsagePlans")),
            "Usage Plans cannot be disabled once enabled".into(),
        ),
        (
            patch("add", "/features", json!("Other")),
            "Invalid feature 'Other' specified, must be one of: [UsagePlans]".into(),
        ),
        (
            replace("/cloudwatchRoleArn", "arn:aws:iam::1:role/x"),
            "A role for logs is not supported by this version of Tidegate: field cloudwatchRoleArn, value arn:aws:iam::1:role/x".into(),
        ),
        (
            replace("/apiKeyVersion", "1"),
            "Invalid patch path  '/apiKeyVersion' specified for op 'replace'. Must be one of: [/cloudwatchRoleArn, /throttleSettings/burstLimit, /throttleSettings/rateLimit]".into(),
        ),
    ];
    for (body, message) in cases {
        rig.refused("PATCH", "/account", body, 400, &message);
    }
    let fresh = account(json!(5000), json!(10000.0));
    assert_eq!(rig.expect(200, "GET", "/account", json!(null)), fresh);
}
