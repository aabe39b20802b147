//! The edits behind patch operations, on plain JSON. Owns how strings become values; must never choose a path.

use serde_json::{Map as Object, Value, json};

use super::{Kind, Op, Patch, scalar};
use crate::error::ApiError;

/// The value at a pointer, if there is one.
pub(super) fn read(document: &Value, pointer: &[String]) -> Option<Value> {
    let mut value = document;
    for part in pointer {
        value = value.get(part)?;
    }
    Some(value.clone()).filter(|value| !value.is_null())
}

/// Adds or replaces.
pub(super) fn set(
    document: &mut Value,
    kind: Kind,
    pointer: &[String],
    op: Op,
    value: Option<&str>,
) -> Result<(), ApiError> {
    let Some((last, above)) = pointer.split_last() else { return Ok(()) };
    match kind {
        Kind::Text => insert(document, above, last, json!(value)),
        Kind::Flag => insert(document, above, last, flag(value)),
        Kind::Number => insert(document, above, last, number(last, value)?),
        Kind::TextEntry(missing) => {
            require(document, pointer, op, missing)?;
            insert(document, above, last, json!(value.unwrap_or_default()));
        }
        Kind::FlagEntry(missing) => {
            require(document, pointer, op, missing)?;
            insert(document, above, last, flag(value));
        }
        Kind::Member => {
            let fresh = match (op, value) {
                (Op::Replace, Some(value)) => value.replace("~1", "/"),
                _ => last.clone(),
            };
            edit_list(document, above, |members| {
                members.retain(|member| op != Op::Replace || member != last);
                if !members.iter().any(|member| *member == fresh) {
                    members.push(json!(fresh));
                }
            });
        }
        Kind::Element => {
            let fresh = json!(value.unwrap_or_default());
            edit_list(document, pointer, |members| {
                if !members.contains(&fresh) {
                    members.push(fresh);
                }
            });
        }
        Kind::Only => {
            edit_list(document, above, |members| {
                members.retain(|_| op != Op::Replace);
                members.push(json!(value.unwrap_or_default()));
            });
        }
        Kind::Later(..) => {}
    }
    Ok(())
}

/// Removes; only elements of lists are named by a value.
pub(super) fn remove(
    document: &mut Value,
    kind: Kind,
    pointer: &[String],
    value: Option<&str>,
) -> Result<(), ApiError> {
    let Some((last, above)) = pointer.split_last() else { return Ok(()) };
    match kind {
        Kind::TextEntry(missing) | Kind::FlagEntry(missing) => {
            require(document, pointer, Op::Remove, missing)?;
        }
        Kind::Member => {
            let kept = |members: &mut Vec<Value>| {
                let before = members.len();
                members.retain(|member| member != last);
                members.len() == before
            };
            return match edit_list(document, above, kept) {
                Some(true) => Err(ApiError::not_found(format!("Nothing to remove at {}", joined(pointer)))),
                _ => Ok(()),
            };
        }
        Kind::Element => {
            let gone = value.unwrap_or_default();
            let kept = |members: &mut Vec<Value>| {
                let before = members.len();
                members.retain(|member| member != gone);
                members.len() == before
            };
            return match edit_list(document, pointer, kept) {
                Some(true) => {
                    let at = joined(pointer);
                    Err(ApiError::not_found(format!("Nothing to remove at {at}: {gone}")))
                }
                _ => Ok(()),
            };
        }
        Kind::Only => {
            let by_index = last.bytes().all(|b| b.is_ascii_digit());
            edit_list(document, above, |members| members.retain(|member| !by_index && member != last));
            return Ok(());
        }
        Kind::Text | Kind::Flag | Kind::Number | Kind::Later(..) => {}
    }
    if let Some(object) = object(document, above) {
        object.shift_remove(last);
    }
    Ok(())
}

/// Requires that the value is there already.
pub(super) fn test(document: &Value, pointer: &[String], patch: &Patch) -> Result<(), ApiError> {
    let found = read(document, pointer).and_then(|value| scalar(&value));
    if found.as_deref().unwrap_or_default() == patch.value.as_deref().unwrap_or_default() {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "Test of patch path {} failed: expected '{}', found '{}'",
        patch.path,
        patch.value.as_deref().unwrap_or_default(),
        found.unwrap_or_default()
    )))
}

fn require(document: &Value, pointer: &[String], op: Op, text: Option<&'static str>) -> Result<(), ApiError> {
    match text {
        Some(text) if op != Op::Add && !exists(document, pointer) => Err(ApiError::not_found(text)),
        _ => Ok(()),
    }
}

/// Whether there is an entry at a pointer, be it `null`.
fn exists(document: &Value, pointer: &[String]) -> bool {
    pointer.iter().try_fold(document, |value, part| value.get(part)).is_some()
}

fn insert(document: &mut Value, above: &[String], last: &str, value: Value) {
    if let Some(object) = object(document, above) {
        object.insert(last.to_owned(), value);
    }
}

/// The object at a pointer, made on the way where nothing is.
fn object<'a>(document: &'a mut Value, pointer: &[String]) -> Option<&'a mut Object<String, Value>> {
    let mut value = document;
    for part in pointer {
        value = value.as_object_mut()?.entry(part.clone()).or_insert_with(|| json!({}));
    }
    value.as_object_mut()
}

/// Edits the list at a pointer; tables point only at lists of strings.
fn edit_list<T>(
    document: &mut Value,
    pointer: &[String],
    edit: impl FnOnce(&mut Vec<Value>) -> T,
) -> Option<T> {
    let (last, above) = pointer.split_last()?;
    let object = object(document, above)?;
    let mut members = match object.get_mut(last).map(Value::take) {
        Some(Value::Array(members)) => members,
        _ => Vec::new(),
    };
    let result = edit(&mut members);
    object.insert(last.clone(), Value::Array(members));
    Some(result)
}

fn flag(value: Option<&str>) -> Value {
    json!(value.is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

fn number(field: &str, value: Option<&str>) -> Result<Value, ApiError> {
    let text = value.unwrap_or_default();
    let number: Result<i64, _> = text.parse();
    number.map(|number| json!(number)).map_err(|_| {
        ApiError::bad_request(format!("Invalid value '{text}' specified for {field}, must be a whole number"))
    })
}

fn joined(pointer: &[String]) -> String {
    pointer.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}
