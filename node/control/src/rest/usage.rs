//! Usage of plans: what is asked and how the answer is printed. Owns dates and pages; must never ask.

use serde_json::{Value, json};
use tidegate_proto::limits::USAGE_DAYS_MAX;
use time::{Date, format_description::BorrowedFormatItem, macros::format_description};

use super::{usage_plan, usage_plan_key};
use crate::{
    call::Call,
    error::ApiError,
    input::violation,
    page::Page,
    patch::{self, Kind, REPLACE, Rule, Style, Table},
    store::KeyUsage,
};

const PATCHES: Table =
    Table { style: Style::Listed, rules: &[Rule { path: "/remaining", ops: REPLACE, kind: Kind::Text }] };

const FORM: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// 1970-01-01 as a Julian day.
const EPOCH: i32 = 2_440_588;
const DAY_S: i64 = 86_400;
/// What AWS's clients can hold; printed as what remains where nothing limits.
const UNLIMITED: u64 = i64::MAX as u64;

/// A question about the usage of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Id of the plan.
    pub plan: String,
    /// Ids of the keys, in order.
    pub keys: Vec<String>,
    /// First day, counted from 1970-01-01 UTC.
    pub first_day: i32,
    /// Last day, not before the first.
    pub last_day: i32,
    /// The whole quota of a period.
    limit: u64,
    /// Where the next page begins.
    position: Option<String>,
}

/// `GetUsage`: of one key, or of a page of all keys of the plan.
pub(crate) fn get(call: &Call<'_>) -> Result<Asked, ApiError> {
    let missing: Vec<String> = ["startDate", "endDate"]
        .into_iter()
        .filter(|field| call.query.get(field).is_none_or(str::is_empty))
        .map(|field| violation("null", &format!("getUsageInput.{field}"), "Member must not be null"))
        .collect();
    if !missing.is_empty() {
        return Err(ApiError::validation(&missing));
    }
    let day = |field: &'static str| read_day(field, call.query.get(field).unwrap_or_default());
    let (first_day, last_day) = (day("startDate")?, day("endDate")?);
    let plan = usage_plan::find(call)?.document;
    if first_day > last_day {
        let (first, last) = (print_day(first_day), print_day(last_day));
        return Err(ApiError::bad_request(format!("startDate {first} must not be after endDate {last}")));
    }
    if last_day - first_day >= USAGE_DAYS_MAX {
        let days = last_day - first_day + 1;
        return Err(ApiError::bad_request(format!(
            "startDate and endDate span {days} days, at most {USAGE_DAYS_MAX} are answered"
        )));
    }
    let (keys, position) = match call.query.get("keyId").filter(|id| !id.is_empty()) {
        Some(id) => {
            let member = call.view.usage_plan_key(&plan.id, id)?;
            (vec![member.ok_or_else(super::api_key::no_key)?.document.key_id], None)
        }
        None => {
            let page = Page::read(call.query)?;
            let ids = usage_plan_key::member_ids(call, &plan.id, page.after());
            let (rows, position) = page.take(ids.map(|id| Ok((id, ()))))?;
            (rows.into_iter().map(|(id, ())| id).collect(), position)
        }
    };
    let limit = plan.quota.map_or(UNLIMITED, |quota| quota.limit);
    Ok(Asked { plan: plan.id, keys, first_day, last_day, limit, position })
}

/// `UpdateUsage`: what shall remain of a key's quota in this period, and the question about today that is answered with.
pub(crate) fn update(call: &Call<'_>) -> Result<(Asked, u64), ApiError> {
    let patches = patch::parse("updateUsageInput", call.body, &[])?;
    let plan = usage_plan::find(call)?.document;
    let key = usage_plan_key::find(call)?.document;
    let mut form = json!({});
    patch::apply(&PATCHES, &mut form, &patches)?;
    let Some(text) = form["remaining"].as_str() else {
        return Err(ApiError::bad_request("A patch operation for path /remaining is required"));
    };
    let remaining = usage_plan::read_remaining(text)?;
    let Some(quota) = plan.quota else {
        return Err(ApiError::bad_request(format!("Usage Plan {} has no quota", plan.id)));
    };
    let today = i32::try_from(call.stamps.now_s.div_euclid(DAY_S)).unwrap_or_default();
    let asked = Asked {
        plan: plan.id,
        keys: vec![key.id],
        first_day: today,
        last_day: today,
        limit: quota.limit,
        position: None,
    };
    Ok((asked, remaining))
}

/// The answer: for each key one pair per day, what was used and what remained. A day that nobody counted had no use.
pub(crate) fn printed(asked: &Asked, usage: &[KeyUsage]) -> Value {
    let mut values = serde_json::Map::new();
    for key in &asked.keys {
        let days = usage.iter().find(|one| one.key == *key).map(|one| one.days.as_slice());
        let pair = |day: i32| match days.unwrap_or_default().iter().find(|one| one.day == day) {
            Some(one) => json!([one.used.min(UNLIMITED), one.remaining.min(UNLIMITED)]),
            None => json!([0, asked.limit]),
        };
        let pairs: Vec<Value> = (asked.first_day..=asked.last_day).map(pair).collect();
        values.insert(key.clone(), pairs.into());
    }
    let mut form = json!({
        "usagePlanId": asked.plan, "startDate": print_day(asked.first_day),
        "endDate": print_day(asked.last_day), "values": values,
    });
    if let Some(position) = &asked.position {
        form["position"] = json!(position);
    }
    form
}

fn read_day(field: &str, text: &str) -> Result<i32, ApiError> {
    let date = Date::parse(text, FORM).ok().filter(|_| text.len() == 10);
    date.map(|date| date.to_julian_day() - EPOCH).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        ApiError::bad_request(format!("Invalid {field} '{shown}' specified, must be a date like 2026-01-31"))
    })
}

fn print_day(day: i32) -> String {
    let date = Date::from_julian_day(day.saturating_add(EPOCH)).ok();
    date.and_then(|date| date.format(FORM).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_the_epoch() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1970-01-02", 1),
            ("1969-12-31", -1),
            ("2024-02-29", 19_782),
            ("2026-01-31", 20_484),
        ] {
            assert_eq!(read_day("startDate", text), Ok(day), "{text}");
            assert_eq!(print_day(day), text);
        }
        for text in ["", "2026-1-1", "2026-02-30", "01-01-2026", "2026-01-01T00:00:00Z", "+2026-01-1", "x"] {
            assert!(read_day("startDate", text).is_err(), "{text}");
        }
    }
}
