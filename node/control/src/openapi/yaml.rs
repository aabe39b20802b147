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
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = writeln!(out, " {value}");
        }
    }
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
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
