//! JSON values as block-style YAML 1.2 that YAML 1.1 readers understand alike: every text is double-quoted.

use std::fmt::Write as _;

use serde_json::Value;

use super::limits::YAML_KEY_BYTES_MAX;

/// Words that some YAML reader takes for something else than text.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// Writes one document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::from("---");
    node(&mut out, value, 0, true);
    out
}

/// Writes `value` after a key, a dash or the start of the document; `level` is the depth of its own lines.
fn node(out: &mut String, value: &Value, level: usize, fresh_line: bool) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut first = !fresh_line;
            for (name, field) in fields {
                start_line(out, level, &mut first);
                key(out, name);
                // A list may stand at the level of its key.
                let below = if field.is_array() { level } else { level + 1 };
                node(out, field, below, true);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let mut first = !fresh_line;
            for item in items {
                start_line(out, level, &mut first);
                out.push('-');
                // A mapping starts on the line of its dash; a list inside a list does not.
                node(out, item, level + 1, item.is_array());
            }
        }
        Value::Object(_) => out.push_str(" {}\n"),
        Value::Array(_) => out.push_str(" []\n"),
        Value::String(text) => {
            out.push(' ');
            quoted(out, text);
            out.push('\n');
        }
        Value::Number(number) => {
            let _ = writeln!(out, " {}", signed_exponent(&number.to_string()));
        }
        Value::Null | Value::Bool(_) => {
            let _ = writeln!(out, " {value}");
        }
    }
}

/// A JSON number in the form that YAML 1.1 takes for a number too: `1e30` is text there, `1.0e+30` is not.
fn signed_exponent(number: &str) -> String {
    let Some((digits, exponent)) = number.split_once('e') else { return number.to_owned() };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

fn start_line(out: &mut String, level: usize, first: &mut bool) {
    if std::mem::take(first) {
        out.push(' ');
        return;
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n("  ", level));
}

fn key(out: &mut String, name: &str) {
    if is_plain(name) {
        out.push_str(name);
        out.push(':');
        return;
    }
    let start = out.len();
    quoted(out, name);
    if out.len() - start > YAML_KEY_BYTES_MAX {
        let text = out.split_off(start);
        let indent = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
        let _ = write!(out, "? {text}\n{}", " ".repeat(indent));
    }
    out.push(':');
}

/// Whether every YAML reader takes `name` for a text key as it stands.
fn is_plain(name: &str) -> bool {
    name.len() <= YAML_KEY_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '$')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./{}+$-".contains(&byte))
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Controls, line breaks of YAML 1.1, the byte order mark and non-characters may not stand as they are.
            '\0'..='\x1f'
            | '\x7f'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::source;
    use super::*;

    #[test]
    fn values_have_one_form() {
        for (value, text) in [
            (json!({}), "--- {}\n"),
            (json!([]), "--- []\n"),
            (json!("a"), "--- \"a\"\n"),
            (json!({ "a": 1, "on": true, "200": null }), "---\na: 1\n\"on\": true\n\"200\": null\n"),
            (
                json!({ "a": { "b": [1, { "c": 2, "d": [] }] } }),
                "---\na:\n  b:\n  - 1\n  - c: 2\n    d: []\n",
            ),
            (json!([[1, [2]], [{ "a": [3] }]]), "---\n-\n  - 1\n  -\n    - 2\n-\n  - a:\n    - 3\n"),
            (json!({ "/a/{b+}": "x: #\n\u{2028}\u{85}" }), "---\n/a/{b+}: \"x: #\\n\\u2028\\u0085\"\n"),
            (json!([1e30, -2.5e-9, 0.5]), "---\n- 1.0e+30\n- -2.5e-9\n- 0.5\n"),
        ] {
            assert_eq!(write(&value), text);
            assert_eq!(source::read(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn long_keys_are_written_out() {
        let key = "k:".repeat(400);
        for value in [json!({ &key: 1 }), json!([{ &key: { "a": [1] }, "b": [{ &key: [2] }] }])] {
            let text = write(&value);
            assert!(text.contains("? \"k:"), "{text}");
            assert_eq!(source::read(text.as_bytes()), Ok(value), "{text}");
        }
    }
}
