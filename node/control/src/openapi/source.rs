//! Bytes to a JSON value: tells JSON from YAML and bounds size, depth and alias expansion. Knows nothing of OpenAPI.

use serde_json::Value;
use tidegate_proto::limits::CONTROL_BODY_BYTES_MAX;

use super::limits::{
    DEPTH_MAX, QUOTE_CHARS_MAX, YAML_NODES_MAX, YAML_REPLAYED_EVENTS_MAX, YAML_TEXT_BYTES_MAX,
};

/// Why bytes are no document; the text is for the sender of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// Reads JSON or YAML.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Unreadable> {
    if bytes.len() > CONTROL_BODY_BYTES_MAX {
        return Err(Unreadable(format!("the document is larger than {CONTROL_BODY_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable("the document is not UTF-8".into()))?;
    let text = text.trim_start_matches('\u{feff}');
    let value = match text.trim_start().starts_with(['{', '[']) {
        // A YAML document may start with a brace too; its error would only hide the JSON one.
        true => read_json(text).or_else(|error| read_yaml(text).map_err(|_| error)),
        false => read_yaml(text),
    }?;
    if deeper_than(&value, DEPTH_MAX) {
        return Err(Unreadable(format!("the document is nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(value)
}

fn read_json(text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))
}

fn read_yaml(text: &str) -> Result<Value, Unreadable> {
    let budget = serde_saphyr::budget! {
        max_depth: DEPTH_MAX,
        max_nodes: YAML_NODES_MAX,
        max_events: YAML_NODES_MAX * 2,
        max_documents: 1,
        max_total_scalar_bytes: YAML_TEXT_BYTES_MAX,
        max_recorded_anchor_bytes: YAML_TEXT_BYTES_MAX,
        max_recorded_anchor_events: YAML_REPLAYED_EVENTS_MAX,
    };
    let aliases = serde_saphyr::alias_limits! { max_total_replayed_events: YAML_REPLAYED_EVENTS_MAX };
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: aliases,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Unreadable(one_line(&error.to_string())))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTE_CHARS_MAX * 2).collect()
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, below)),
        Value::Object(fields) => fields.values().any(|field| deeper_than(field, below)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_give_the_same_values() {
        for (text, value) in [
            ("\u{feff}{\"a\": 1}", json!({ "a": 1 })),
            ("  {a: 1, b: [x]}", json!({ "a": 1, "b": ["x"] })),
            ("a: 1.0\nb: '1.0'\nc: 1", json!({ "a": 1.0, "b": "1.0", "c": 1 })),
            ("200: {on: yes, off: no, t: true}", json!({ "200": { "on": "yes", "off": "no", "t": true } })),
            ("a: 0755\nb: 1_000\nc: 2026-11-21", json!({ "a": "0755", "b": "1_000", "c": "2026-11-21" })),
            ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", json!({ "a": "x\ny\n", "b": "x y" })),
            (
                "a: &a {b: 1}\nc: {<<: *a, d: *a}",
                json!({ "a": { "b": 1 }, "c": { "b": 1, "d": { "b": 1 } } }),
            ),
        ] {
            assert_eq!(read(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_would_be_read_two_ways_is_refused() {
        for text in
            ["a: 1\na: 2", "a: 1\n---\nb: 2", "a: !custom 1", "a: .nan", "? {b: 1}\n: 2", "a: *b", "a: [1"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text} gives {:?}", read(text.as_bytes()));
        }
    }
}
