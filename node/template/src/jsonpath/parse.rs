//! Path syntax. Owns text to steps; must never look at a document.

use super::filter::{self, Filter};
use super::{Path, PathError, Step};
use crate::limits;

/// Compiles a path; one that does not begin with `$` is relative to the root.
///
/// # Errors
/// [`PathError`] with the place of the first character that fits no rule.
pub fn parse(text: &str) -> Result<Path, PathError> {
    if text.len() > limits::PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    let text = text.trim();
    let full = if text.starts_with(['$', '@']) { text.to_owned() } else { format!("$.{text}") };
    let mut cursor = Cursor::new(&full);
    cursor.bump();
    let steps = steps(&mut cursor)?;
    if cursor.peek().is_some() { cursor.fail() } else { Ok(Path { steps }) }
}

/// Characters of a path and the place reached.
pub(super) struct Cursor {
    chars: Vec<char>,
    pub(super) pos: usize,
}

impl Cursor {
    fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), pos: 0 }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.pos).copied()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek();
        self.pos += usize::from(c.is_some());
        c
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.chars.get(self.pos..).unwrap_or_default();
        let found = rest.len() >= text.len() && rest.iter().zip(text.chars()).all(|(a, b)| *a == b);
        self.pos += if found { text.len() } else { 0 };
        found
    }

    pub(super) fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.pos += 1;
        }
    }

    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let start = self.pos;
        while self.peek().is_some_and(&accept) {
            self.pos += 1;
        }
        self.chars.get(start..self.pos).unwrap_or_default().iter().collect()
    }

    pub(super) fn fail<T>(&self) -> Result<T, PathError> {
        Err(PathError::Syntax(self.pos))
    }

    pub(super) fn require(&mut self, text: &str) -> Result<(), PathError> {
        if self.eat(text) { Ok(()) } else { self.fail() }
    }

    /// A quoted name; a backslash keeps the character behind it.
    pub(super) fn quoted(&mut self) -> Result<String, PathError> {
        let Some(quote @ ('\'' | '"')) = self.bump() else { return self.fail() };
        let mut out = String::new();
        loop {
            match self.bump() {
                None => return self.fail(),
                Some(c) if c == quote => return Ok(out),
                Some('\\') => out.extend(self.bump()),
                Some(c) => out.push(c),
            }
        }
    }
}

/// Steps up to a character that begins none.
pub(super) fn steps(cursor: &mut Cursor) -> Result<Vec<Step>, PathError> {
    let mut steps = Vec::new();
    loop {
        if cursor.eat("..") {
            steps.push(Step::Scan);
            if cursor.peek() == Some('[') { continue } else { steps.push(dotted(cursor)?) }
        } else if cursor.eat(".") {
            steps.push(dotted(cursor)?);
        } else if cursor.eat("[") {
            steps.push(bracketed(cursor)?);
        } else {
            return Ok(steps);
        }
    }
}

fn dotted(cursor: &mut Cursor) -> Result<Step, PathError> {
    if cursor.eat("*") {
        return Ok(Step::Any);
    }
    let stop = |c: char| {
        matches!(c, '.' | '[' | ']' | '(' | ')' | '=' | '!' | '<' | '>' | '&' | '|' | ',' | '~')
            || c.is_whitespace()
    };
    let name = cursor.take_while(|c| !stop(c));
    if name.is_empty() { cursor.fail() } else { Ok(Step::Names(vec![name])) }
}

fn bracketed(cursor: &mut Cursor) -> Result<Step, PathError> {
    cursor.blanks();
    let step = match cursor.peek() {
        Some('*') => {
            cursor.bump();
            Step::Any
        }
        Some('\'' | '"') => Step::Names(list(cursor, Cursor::quoted)?),
        Some('?') => {
            cursor.bump();
            cursor.blanks();
            Step::Filter(parenthesised(cursor)?)
        }
        _ => numbers(cursor)?,
    };
    cursor.blanks();
    cursor.require("]")?;
    Ok(step)
}

fn parenthesised(cursor: &mut Cursor) -> Result<Filter, PathError> {
    cursor.require("(")?;
    let filter = filter::parse(cursor, 0)?;
    cursor.blanks();
    cursor.require(")")?;
    Ok(filter)
}

fn numbers(cursor: &mut Cursor) -> Result<Step, PathError> {
    let first = number(cursor)?;
    cursor.blanks();
    if cursor.eat(":") {
        cursor.blanks();
        return Ok(Step::Slice(first, number(cursor)?));
    }
    let Some(first) = first else { return cursor.fail() };
    let mut indexes = vec![first];
    while cursor.eat(",") {
        cursor.blanks();
        match number(cursor)? {
            Some(index) => indexes.push(index),
            None => return cursor.fail(),
        }
        cursor.blanks();
    }
    Ok(Step::Indexes(indexes))
}

fn number(cursor: &mut Cursor) -> Result<Option<i64>, PathError> {
    let text = cursor.take_while(|c| c == '-' || c.is_ascii_digit());
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).or_else(|_| cursor.fail())
}

fn list<T>(
    cursor: &mut Cursor,
    item: impl Fn(&mut Cursor) -> Result<T, PathError>,
) -> Result<Vec<T>, PathError> {
    let mut items = vec![item(cursor)?];
    cursor.blanks();
    while cursor.eat(",") {
        cursor.blanks();
        items.push(item(cursor)?);
        cursor.blanks();
    }
    Ok(items)
}
