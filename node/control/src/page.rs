//! Paging of list operations. Owns `position` and `limit`; must never depend on what is listed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidegate_proto::limits::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};

use crate::{error::ApiError, query::Query};

/// What a caller wants to see of a list. `position` names the last key of the page before, so a page stays right when rows come
/// and go between two calls.
#[derive(Debug)]
pub(crate) struct Page {
    limit: usize,
    after: Option<String>,
}

/// The rows of one page, and where the next one begins.
pub(crate) type Rows<T> = (Vec<(String, T)>, Option<String>);

impl Page {
    /// Reads `limit` and `position`.
    pub(crate) fn read(query: &Query) -> Result<Self, ApiError> {
        let limit = read_limit(query.get("limit"))?;
        Ok(Self { limit, after: query.get("position").map(read_position).transpose()? })
    }

    /// The key behind which the page begins, if it is not the first one.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Takes the page off `rows`, which are sorted by their unique key. Rows before the page are skipped, rows behind it are not
    /// looked at, except for the first.
    pub(crate) fn take<T>(
        &self,
        rows: impl Iterator<Item = Result<(String, T), ApiError>>,
    ) -> Result<Rows<T>, ApiError> {
        let mut taken: Vec<(String, T)> = Vec::new();
        for row in rows {
            let (key, row) = row?;
            if self.after().is_some_and(|after| *key <= *after) {
                continue;
            }
            if taken.len() == self.limit {
                let last = taken.last().map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
                return Ok((taken, last));
            }
            taken.push((key, row));
        }
        Ok((taken, None))
    }
}

/// One page of `rows`, which are sorted by their unique key.
pub(crate) fn page<T>(
    rows: Vec<(String, T)>,
    query: &Query,
    print: impl Fn(T) -> Value,
) -> Result<Value, ApiError> {
    Ok(printed(Page::read(query)?.take(rows.into_iter().map(Ok))?, print))
}

/// A page as AWS prints it.
pub(crate) fn printed<T>((rows, position): Rows<T>, print: impl Fn(T) -> Value) -> Value {
    let items: Vec<Value> = rows.into_iter().map(|(_, row)| print(row)).collect();
    match position {
        None => json!({ "item": items }),
        Some(position) => json!({ "position": position, "item": items }),
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
