//! Reads a body the way json-smart's permissive mode does: bare words are strings, trailing data is ignored. Owns that leniency and its error texts.

use crate::heap::{Heap, ListKind, Value};
use crate::{RenderError, limits, number};

/// Parses a body into the heap; an empty body is an empty object.
///
/// # Errors
/// [`RenderError::Body`] with json-smart's own message.
pub(crate) fn parse(heap: &mut Heap, text: &str) -> Result<Value, RenderError> {
    let mut reader = Reader { chars: text.chars().collect(), pos: 0, heap };
    reader.skip_blanks();
    match reader.current() {
        None => Ok(Value::Map(reader.heap.new_map())),
        Some(_) => reader.value(&[], 0),
    }
}

struct Reader<'h> {
    chars: Vec<char>,
    pos: usize,
    heap: &'h mut Heap,
}

impl Reader<'_> {
    fn current(&self) -> Option<char> {
        self.chars.get(self.pos).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.current(), Some(' ' | '\t' | '\r' | '\n')) {
            self.pos += 1;
        }
    }

    fn end<T>(&self, what: &str) -> Result<T, RenderError> {
        let position = self.pos.saturating_sub(1);
        body_error(&format!("Unexpected End Of File position {position}: {what}"))
    }

    fn unexpected<T>(&self, c: char) -> Result<T, RenderError> {
        body_error(&format!("Unexpected character ({c}) at position {}.", self.pos))
    }

    /// Any value; a bare word or number ends at one of `stops`.
    fn value(&mut self, stops: &[char], depth: usize) -> Result<Value, RenderError> {
        if depth > limits::VALUE_DEPTH_MAX {
            return Err(RenderError::TooDeep);
        }
        self.skip_blanks();
        match self.current() {
            None => self.end("EOF"),
            Some(c @ (':' | '}' | ']')) => self.unexpected(c),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"' | '\'') => Ok(Value::text(self.string()?)),
            Some(_) => Ok(bare(&self.word(stops))),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, RenderError> {
        self.pos += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            match self.current() {
                None => return self.end("EOF"),
                Some(']') => {
                    self.pos += 1;
                    return Ok(self.heap.new_list(ListKind::Json, items));
                }
                Some(c @ (':' | '}')) => return self.unexpected(c),
                Some(',') => self.pos += 1,
                Some(_) => items.push(self.value(&[',', ']'], depth + 1)?),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, RenderError> {
        self.pos += 1;
        let map = self.heap.new_map();
        loop {
            self.skip_blanks();
            let key = match self.current() {
                None => return self.end("null"),
                Some('}') => {
                    self.pos += 1;
                    return Ok(Value::Map(map));
                }
                Some(',') => {
                    self.pos += 1;
                    continue;
                }
                Some(c @ (':' | ']' | '[' | '{')) => return self.unexpected(c),
                Some('"' | '\'') => self.string()?,
                Some(_) => self.word(&[':', ',', '}']),
            };
            self.skip_blanks();
            match self.current() {
                Some(':') => self.pos += 1,
                None => return self.end("null"),
                Some(c) => return self.unexpected(c),
            }
            let value = self.value(&[',', '}'], depth + 1)?;
            self.heap.map_mut(map)?.put(Value::text(key), value);
            self.skip_blanks();
            match self.current() {
                Some(',' | '}') => {}
                None => return self.end("null"),
                Some(c) => return self.unexpected(c),
            }
        }
    }

    fn word(&mut self, stops: &[char]) -> String {
        let rest = self.chars.get(self.pos..).unwrap_or_default();
        let length = rest.iter().take_while(|c| !stops.contains(c)).count();
        let text: String = rest.iter().take(length).collect();
        self.pos += length;
        text.trim_end().to_owned()
    }

    fn string(&mut self) -> Result<String, RenderError> {
        let quote = self.current();
        self.pos += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.current() else { return self.end("null") };
            self.pos += 1;
            match c {
                _ if Some(c) == quote => return Ok(out),
                '\\' => self.escape(&mut out)?,
                '\0'..='\u{1f}' | '\u{7f}' => {}
                _ => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), RenderError> {
        let Some(c) = self.current() else { return self.end("null") };
        self.pos += 1;
        match c {
            't' => out.push('\t'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            'f' => out.push('\u{c}'),
            'b' => out.push('\u{8}'),
            '\\' | '/' | '\'' | '"' => out.push(c),
            'x' => {
                let code = self.hex(2)?;
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            'u' => {
                let first = self.hex(4)?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first)
                    && self.chars.get(self.pos..self.pos + 2) == Some(&['\\', 'u'])
                {
                    self.pos += 2;
                    units.push(self.hex(4)?);
                }
                let units: Vec<u16> = units.into_iter().filter_map(|unit| u16::try_from(unit).ok()).collect();
                out.push_str(&String::from_utf16_lossy(&units));
            }
            _ => {}
        }
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32, RenderError> {
        let mut code = 0;
        for _ in 0..digits {
            match self.current() {
                None => return self.end("EOF"),
                Some(c) => match c.to_digit(16) {
                    Some(digit) => code = code * 16 + digit,
                    None => return self.unexpected(c),
                },
            }
            self.pos += 1;
        }
        Ok(code)
    }
}

fn body_error<T>(message: &str) -> Result<T, RenderError> {
    Err(RenderError::Body(format!(
        "Could not process payloadnet.minidev.json.parser.ParseException: {message}"
    )))
}

/// A word without quotes: a literal, a number, or itself.
fn bare(word: &str) -> Value {
    match word {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "NaN" => Value::Double(f64::NAN),
        _ => parse_number(word).unwrap_or_else(|| Value::text(word)),
    }
}

fn parse_number(word: &str) -> Option<Value> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(number::parse_integer(word));
    }
    let shaped = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !shaped {
        return None;
    }
    let value = word.parse::<f64>().ok()?;
    Some(if word.len() > 18 && !word.contains(['e', 'E']) {
        Value::Decimal(word.into())
    } else {
        Value::Double(value)
    })
}
