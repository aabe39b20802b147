//! Paging of list operations. Owns `position` and `limit`; must never depend on what is listed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidegate_proto::limits::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};

use crate::{error::ApiError, query::Query};

/// One page of `rows`, which are sorted by their unique key. `position` names the last key of the page before, so a page
/// stays right when rows come and go between two calls.
pub(crate) fn page<T>(
    rows: Vec<(String, T)>,
    query: &Query,
    print: impl Fn(T) -> Value,
) -> Result<Value, ApiError> {
    let limit = read_limit(query.get("limit"))?;
    let after = query.get("position").map(read_position).transpose()?;
    let is_later = |key: &str| after.as_deref().is_none_or(|after| key > after);
    let mut later = rows.into_iter().filter(|(key, _)| is_later(key)).peekable();
    let (mut items, mut last) = (Vec::new(), String::new());
    while items.len() < limit
        && let Some((key, row)) = later.next()
    {
        items.push(print(row));
        last = key;
    }
    match later.peek() {
        None => Ok(json!({ "item": items })),
        Some(_) => Ok(json!({ "position": URL_SAFE_NO_PAD.encode(last), "item": items })),
    }
}

/// As AWS: more than the largest page is the largest page.
fn read_limit(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(PAGE_LIMIT_DEFAULT) };
    match text.parse::<usize>() {
        Ok(limit) if limit > 0 => Ok(limit.min(PAGE_LIMIT_MAX)),
        _ => Err(ApiError::bad_request(format!(
            "Invalid limit '{text}', must be a number from 1 to {PAGE_LIMIT_MAX}"
        ))),
    }
}

fn read_position(text: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| ApiError::bad_request(format!("Invalid position parameter specified: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let rows = || (0..60).map(|i| (format!("{i:03}"), i)).collect::<Vec<_>>();
        let list = |text: &str| page(rows(), &Query::parse(text), |i| json!(i)).unwrap();
        let mut seen = Vec::new();
        let mut answer = list("");
        for _ in 0..5 {
            seen.extend(answer["item"].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()));
            let Some(position) = answer["position"].as_str().map(str::to_owned) else { break };
            answer = list(&format!("position={position}"));
        }
        assert_eq!(seen, (0..60).collect::<Vec<_>>());
        assert_eq!(list("limit=2")["item"], json!([0, 1]));
        assert_eq!(list("limit=9999")["item"].as_array().unwrap().len(), 60);
        for bad in ["limit=0", "limit=x", "limit=-1", "position=%21"] {
            assert_eq!(page(rows(), &Query::parse(bad), |i| json!(i)).unwrap_err().status, 400, "{bad}");
        }
    }
}
