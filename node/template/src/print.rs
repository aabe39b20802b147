//! `toString()` and `toJson()` of values. Owns Java's and json-smart's formats; must never change a value.

use crate::heap::{Heap, List, ListKind, Value};
use crate::{RenderError, limits, number};
use std::fmt::Write as _;

/// Text as it grows, with the length it may reach.
pub(crate) struct Bounded {
    text: String,
    bytes_max: usize,
}

impl Bounded {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<(), RenderError> {
        if self.text.len() + text.len() > self.bytes_max {
            return Err(RenderError::TooMuchMemory);
        }
        self.text.push_str(text);
        Ok(())
    }

    pub(crate) fn push_char(&mut self, c: char) -> Result<(), RenderError> {
        self.push(c.encode_utf8(&mut [0; 4]))
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// How JSON text treats a slash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slash {
    /// `\/`, as JSON arrays print themselves.
    Escaped,
    /// `/`, as `$input.json` prints.
    Plain,
}

/// Appends what Java's `toString()` gives.
pub(crate) fn print(heap: &Heap, value: &Value, out: &mut Bounded, depth: usize) -> Result<(), RenderError> {
    if depth > limits::VALUE_DEPTH_MAX {
        return Err(RenderError::TooDeep);
    }
    match value {
        Value::Null => out.push("null"),
        Value::Bool(b) => out.push(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push(&i.to_string()),
        Value::Long(l) => out.push(&l.to_string()),
        Value::Double(d) => out.push(&number::print_double(*d)),
        Value::Big(text) | Value::Decimal(text) | Value::Text(text) => out.push(text),
        Value::List(id) => match heap.list(*id)? {
            List { kind: ListKind::Json, .. } => json(heap, value, Slash::Escaped, out, depth),
            List { items, .. } => {
                out.push("[")?;
                for (i, item) in items.iter().enumerate() {
                    out.push(if i > 0 { ", " } else { "" })?;
                    print(heap, item, out, depth + 1)?;
                }
                out.push("]")
            }
        },
        Value::Map(id) => {
            out.push("{")?;
            for (i, (key, value)) in heap.map(*id)?.iter().enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                print_pair(heap, key, value, out, depth)?;
            }
            out.push("}")
        }
        Value::Entry(pair) => print_pair(heap, &pair.0, &pair.1, out, depth),
        Value::Loop(_) => out.push("{}"),
        Value::Block(..) | Value::Input | Value::Functions => Ok(()),
    }
}

/// Appends JSON as json-smart writes it.
pub(crate) fn json(
    heap: &Heap,
    value: &Value,
    slash: Slash,
    out: &mut Bounded,
    depth: usize,
) -> Result<(), RenderError> {
    if depth > limits::VALUE_DEPTH_MAX {
        return Err(RenderError::TooDeep);
    }
    match value {
        Value::Text(text) => json_string(text, slash, out),
        Value::List(id) => {
            out.push("[")?;
            for (i, item) in heap.list(*id)?.items.iter().enumerate() {
                out.push(if i > 0 { "," } else { "" })?;
                json(heap, item, slash, out, depth + 1)?;
            }
            out.push("]")
        }
        Value::Map(id) => {
            out.push("{")?;
            for (i, (key, value)) in heap.map(*id)?.iter().enumerate() {
                out.push(if i > 0 { "," } else { "" })?;
                let mut name = Bounded::new(out.bytes_max);
                print(heap, key, &mut name, depth + 1)?;
                json_string(&name.finish(), slash, out)?;
                out.push(":")?;
                json(heap, value, slash, out, depth + 1)?;
            }
            out.push("}")
        }
        Value::Double(d) if !d.is_finite() => out.push("null"),
        Value::Entry(_) | Value::Loop(_) | Value::Block(..) | Value::Input | Value::Functions => {
            let mut text = Bounded::new(out.bytes_max);
            print(heap, value, &mut text, depth + 1)?;
            json_string(&text.finish(), slash, out)
        }
        _ => print(heap, value, out, depth),
    }
}

fn print_pair(
    heap: &Heap,
    key: &Value,
    value: &Value,
    out: &mut Bounded,
    depth: usize,
) -> Result<(), RenderError> {
    print(heap, key, out, depth + 1)?;
    out.push("=")?;
    print(heap, value, out, depth + 1)
}

fn json_string(text: &str, slash: Slash, out: &mut Bounded) -> Result<(), RenderError> {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\u{8}' => escaped.push_str("\\b"),
            '\u{c}' => escaped.push_str("\\f"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '/' if slash == Slash::Escaped => escaped.push_str("\\/"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2000}'..='\u{20ff}' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{:04X}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped.push('"');
    out.push(&escaped)
}
