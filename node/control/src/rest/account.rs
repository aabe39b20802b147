//! The account: limits over all APIs of the region. Owns its patches; must never apply a limit.

use serde_json::{Value, json};
use tidegate_proto::{
    document::{Account, BURST_LIMIT_DEFAULT, RATE_LIMIT_DEFAULT, ThrottleSettings},
    key,
    transaction::TransactionV1,
};

use super::{unsupported::Shape, usage_plan};
use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
    error::ApiError,
    patch::{self, ADD_REMOVE, Kind, Op, Patch, REPLACE, Rule, Style, Table},
};

/// The one feature that an account can have; here, as in every account of AWS that began after 2016, it is always there.
const USAGE_PLANS: &str = "UsagePlans";

const REPLACE_REMOVE: &[Op] = &[Op::Replace, Op::Remove];

const PATCHES: Table = Table {
    style: Style::Listed,
    rules: &[
        Rule {
            path: "/cloudwatchRoleArn",
            ops: REPLACE,
            kind: Kind::Later(Shape::Account, "cloudwatchRoleArn"),
        },
        Rule { path: "/features", ops: ADD_REMOVE, kind: Kind::Element },
        Rule { path: "/throttleSettings/burstLimit", ops: REPLACE_REMOVE, kind: Kind::Text },
        Rule { path: "/throttleSettings/rateLimit", ops: REPLACE_REMOVE, kind: Kind::Text },
    ],
};

/// `GetAccount`: what was set, and AWS's numbers for a fresh account where nothing was.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let found = call.view.account()?.map(|found| found.document).unwrap_or_default();
    read(Answer::ok(printed(&found)))
}

/// `UpdateAccount`. AWS raises limits through its support; here they are two more paths.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateAccountInput", call.body, &[])?;
    let found = call.view.account()?;
    let revision = found.as_ref().map_or(0, |found| found.revision);
    let mut account = found.map(|found| found.document).unwrap_or_default();
    for patch in patches.iter().filter(|patch| patch.path == "/features") {
        check_feature(patch)?;
    }
    let before = account.throttle_settings.unwrap_or_default();
    let text = |number: Option<String>| number.map_or(Value::Null, Value::String);
    let mut form = json!({ "throttleSettings": {
        "burstLimit": text(before.burst_limit.map(|burst| burst.to_string())),
        "rateLimit": text(before.rate_limit.map(|rate| rate.to_string())),
    }});
    patch::apply(&PATCHES, &mut form, &patches)?;
    let text = |field: &str| form["throttleSettings"][field].as_str();
    let settings = ThrottleSettings {
        burst_limit: text("burstLimit").map(usage_plan::parse_burst).transpose()?,
        rate_limit: text("rateLimit").map(usage_plan::parse_rate).transpose()?,
    };
    account.throttle_settings = Some(settings).filter(|settings| *settings != ThrottleSettings::default());
    let mut transaction = TransactionV1::default();
    transaction.compare(key::ACCOUNT, revision).put(key::ACCOUNT, &account);
    Ok((transaction, Answer::ok(printed(&account))))
}

fn check_feature(patch: &Patch) -> Result<(), ApiError> {
    match (patch.op, patch.value.as_deref()) {
        (Op::Remove, Some(USAGE_PLANS)) => {
            Err(ApiError::bad_request("Usage Plans cannot be disabled once enabled"))
        }
        (Op::Add | Op::Remove, found) if found != Some(USAGE_PLANS) => {
            let found = found.unwrap_or_default();
            Err(ApiError::bad_request(format!(
                "Invalid feature '{found}' specified, must be one of: [{USAGE_PLANS}]"
            )))
        }
        _ => Ok(()),
    }
}

fn printed(account: &Account) -> Value {
    let settings = account.throttle_settings.unwrap_or_default();
    json!({
        "throttleSettings": {
            "burstLimit": settings.burst_limit.unwrap_or(BURST_LIMIT_DEFAULT),
            "rateLimit": settings.rate_limit.unwrap_or(RATE_LIMIT_DEFAULT),
        },
        "features": [USAGE_PLANS],
        "apiKeyVersion": "4",
    })
}
