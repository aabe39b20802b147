//! Methods of strings. Owns Java's UTF-16 positions and its regular expression dialect as far as a linear engine goes.

use super::position;
use crate::eval::{Interpreter, Outcome};
use crate::heap::{ListKind, Value};
use crate::print::Bounded;
use crate::{RenderError, limits};
use std::borrow::Cow;

/// Compiled patterns kept for one rendering.
const PATTERNS_MAX: usize = 32;

impl Interpreter<'_> {
    pub(super) fn text_method(&mut self, text: &str, name: &str, args: &[Value]) -> Outcome<Value> {
        self.step(1 + text.len() / 64)?;
        if let [Value::Text(other)] = args {
            return self.with_text(text, name, other);
        }
        Ok(match (name, args) {
            ("length", []) => integer(units(text).len()),
            ("isEmpty", []) => Value::Bool(text.is_empty()),
            ("isBlank", []) => Value::Bool(text.trim().is_empty()),
            ("trim", []) => self.text(text.trim_matches(|c: char| c <= ' ').to_owned())?,
            ("strip", []) => self.text(text.trim().to_owned())?,
            ("toUpperCase", []) => self.text(text.to_uppercase())?,
            ("toLowerCase", []) => self.text(text.to_lowercase())?,
            ("intern", []) => Value::text(text),
            ("hashCode", []) => {
                let hash = units(text)
                    .iter()
                    .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(*unit)));
                Value::Int(hash)
            }
            ("charAt", [index @ Value::Int(_)]) => {
                let units = units(text);
                let at = position(index, units.len())?;
                self.slice(&units, at, at + 1, name)?
            }
            ("substring", [from @ Value::Int(_)]) => {
                let units = units(text);
                let from = position(from, units.len() + 1)?;
                self.slice(&units, from, units.len(), name)?
            }
            ("substring" | "subSequence", [from @ Value::Int(_), to @ Value::Int(_)]) => {
                let units = units(text);
                let (from, to) = (position(from, units.len() + 1)?, position(to, units.len() + 1)?);
                self.slice(&units, from, to, name)?
            }
            ("repeat", [Value::Int(count)]) => {
                let mut out = self.bounded();
                for _ in 0..*count {
                    self.step(1)?;
                    out.push(text)?;
                }
                self.text(out.finish())?
            }
            ("replace", [Value::Text(from), Value::Text(to)]) => self.replace(text, from, to)?,
            ("replaceAll", [Value::Text(pattern), Value::Text(to)]) => {
                self.replace_pattern(text, pattern, to, usize::MAX)?
            }
            ("replaceFirst", [Value::Text(pattern), Value::Text(to)]) => {
                self.replace_pattern(text, pattern, to, 1)?
            }
            ("split", [Value::Text(pattern), Value::Int(limit)]) => self.split(text, pattern, *limit)?,
            ("indexOf", [Value::Text(other), Value::Int(from)]) => {
                let (units, other) = (units(text), units(other));
                let from = usize::try_from(*from).unwrap_or(0);
                found(find(units.get(from..).unwrap_or_default(), &other).map(|at| at + from))
            }
            ("startsWith", [Value::Text(other), Value::Int(from)]) => {
                let (units, other) = (units(text), units(other));
                let rest = usize::try_from(*from).ok().and_then(|from| units.get(from..));
                Value::Bool(rest.is_some_and(|rest| rest.starts_with(&other)))
            }
            _ => Value::Null,
        })
    }

    /// Methods that take one string.
    fn with_text(&mut self, text: &str, name: &str, other: &str) -> Outcome<Value> {
        Ok(match name {
            "contains" => Value::Bool(text.contains(other)),
            "startsWith" => Value::Bool(text.starts_with(other)),
            "endsWith" => Value::Bool(text.ends_with(other)),
            "equalsIgnoreCase" => Value::Bool(text.to_lowercase() == other.to_lowercase()),
            "contentEquals" => Value::Bool(text == other),
            "concat" => {
                let mut out = self.bounded();
                out.push(text)?;
                out.push(other)?;
                self.text(out.finish())?
            }
            "indexOf" => found(text.find(other).map(|at| units(text.get(..at).unwrap_or_default()).len())),
            "lastIndexOf" => {
                found(text.rfind(other).map(|at| units(text.get(..at).unwrap_or_default()).len()))
            }
            "matches" => {
                let pattern = self.pattern(&format!("^(?:{other})$"), text.len())?;
                Value::Bool(pattern.is_match(text))
            }
            "split" => self.split(text, other, 0)?,
            "compareTo" => Value::Int(compare(&units(text), &units(other))),
            "compareToIgnoreCase" => {
                Value::Int(compare(&units(&text.to_lowercase()), &units(&other.to_lowercase())))
            }
            _ => Value::Null,
        })
    }

    fn slice(&mut self, units: &[u16], from: usize, to: usize, name: &str) -> Outcome<Value> {
        match units.get(from..to) {
            Some(units) => Ok(self.text(String::from_utf16_lossy(units))?),
            None => Err(RenderError::Method(name.to_owned()).into()),
        }
    }

    fn replace(&mut self, text: &str, from: &str, to: &str) -> Outcome<Value> {
        let mut out = self.bounded();
        let mut rest = 0;
        for (at, matched) in text.match_indices(from) {
            out.push(text.get(rest..at).unwrap_or_default())?;
            out.push(to)?;
            rest = at + matched.len();
        }
        out.push(text.get(rest..).unwrap_or_default())?;
        Ok(self.text(out.finish())?)
    }

    fn replace_pattern(&mut self, text: &str, pattern: &str, to: &str, limit: usize) -> Outcome<Value> {
        let pattern = self.pattern(pattern, text.len())?;
        let mut out = self.bounded();
        let mut rest = 0;
        for captures in pattern.captures_iter(text).take(limit) {
            let Some(whole) = captures.get(0) else { continue };
            out.push(text.get(rest..whole.start()).unwrap_or_default())?;
            expand(to, &captures, &mut out)?;
            rest = whole.end();
        }
        out.push(text.get(rest..).unwrap_or_default())?;
        Ok(self.text(out.finish())?)
    }

    /// `String.split`: trailing empty parts are dropped unless the limit is negative, a leading one only for an empty match.
    fn split(&mut self, text: &str, pattern: &str, limit: i32) -> Outcome<Value> {
        let pattern = self.pattern(pattern, text.len())?;
        let parts_max = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        let mut rest = 0;
        for found in pattern.find_iter(text) {
            let empty_at_edge = found.is_empty() && (found.start() == 0 || found.start() == text.len());
            if parts.len() + 1 >= parts_max {
                break;
            }
            if !empty_at_edge && (found.end() != 0) {
                parts.push(text.get(rest..found.start()).unwrap_or_default());
                rest = found.end();
            }
        }
        parts.push(text.get(rest..).unwrap_or_default());
        while limit == 0 && parts.len() > 1 && parts.last() == Some(&"") {
            parts.pop();
        }
        self.charge(text.len())?;
        let items = parts.into_iter().map(Value::text).collect();
        Ok(self.new_list(ListKind::Array, items)?)
    }

    fn pattern(&mut self, source: &str, text_bytes: usize) -> Result<regex::Regex, RenderError> {
        self.step(1 + text_bytes / 8)?;
        if let Some(pattern) = self.patterns.get(source) {
            return Ok(pattern.clone());
        }
        self.step(2_000)?;
        if source.len() > limits::PATTERN_BYTES_MAX {
            return Err(RenderError::Pattern);
        }
        let pattern = regex::RegexBuilder::new(&translate(source))
            .size_limit(limits::PATTERN_MEMORY_BYTES_MAX)
            .dfa_size_limit(limits::PATTERN_MEMORY_BYTES_MAX)
            .build()
            .map_err(|_| RenderError::Pattern)?;
        if self.patterns.len() >= PATTERNS_MAX {
            self.patterns.clear();
        }
        self.patterns.insert(source.to_owned(), pattern.clone());
        Ok(pattern)
    }
}

/// Java accepts escapes of ordinary characters that this engine refuses.
fn translate(source: &str) -> Cow<'_, str> {
    if !source.contains('\\') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(next)) => {
                chars.next();
                let plain = matches!(
                    next,
                    '/' | '"' | '\'' | ' ' | ':' | ';' | ',' | '=' | '@' | '!' | '%' | '_' | '`'
                );
                if !plain {
                    out.push('\\');
                }
                out.push(next);
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Java's replacement syntax: `$1`, `${name}`, and a backslash that makes the next character plain.
fn expand(to: &str, captures: &regex::Captures<'_>, out: &mut Bounded) -> Outcome<()> {
    let bad = || RenderError::Method("replaceAll".to_owned());
    let mut chars = to.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_char(chars.next().ok_or_else(bad)?)?,
            '$' if chars.peek() == Some(&'{') => {
                let name: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push(captures.name(&name).ok_or_else(bad)?.as_str())?;
            }
            '$' => {
                let digit = chars.next().and_then(|c| c.to_digit(10)).ok_or_else(bad)?;
                let mut group = usize::try_from(digit).unwrap_or(0);
                // Java reads further digits as long as such a group exists.
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + usize::try_from(digit).unwrap_or(0);
                    if longer >= captures.len() {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                if group >= captures.len() {
                    return Err(bad().into());
                }
                out.push(captures.get(group).map_or("", |found| found.as_str()))?;
            }
            _ => out.push_char(c)?,
        }
    }
    Ok(())
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn integer(value: usize) -> Value {
    Value::integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn found(at: Option<usize>) -> Value {
    at.map_or(Value::Int(-1), integer)
}

fn find(units: &[u16], other: &[u16]) -> Option<usize> {
    if other.is_empty() {
        return Some(0);
    }
    // Searching the text form keeps this linear.
    let (text, other) = (String::from_utf16_lossy(units), String::from_utf16_lossy(other));
    text.find(&other).map(|at| text.get(..at).unwrap_or_default().encode_utf16().count())
}

fn compare(left: &[u16], right: &[u16]) -> i32 {
    let different = left.iter().zip(right).find(|(a, b)| a != b);
    match different {
        Some((a, b)) => i32::from(*a) - i32::from(*b),
        None => {
            i32::try_from(left.len()).unwrap_or(i32::MAX) - i32::try_from(right.len()).unwrap_or(i32::MAX)
        }
    }
}
