//! A log format, compiled once into literals and variables. Rendering is a walk over them.

use thiserror::Error;

use super::escape::{self, Style};
use super::record::Record;
use super::variable::{Read, Value, find, is_constant};
use super::{clock, digits};
use crate::limits::FORMAT_BYTES_MAX;

/// The format used when a stage names none.
pub const DEFAULT_FORMAT: &str = concat!(
    r#"{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","#,
    r#""ip":"$context.identity.sourceIp","requestTime":"$context.requestTime","#,
    r#""requestTimeEpoch":$context.requestTimeEpoch,"httpMethod":"$context.httpMethod","path":"$context.path","#,
    r#""resourcePath":"$context.resourcePath","status":$context.status,"protocol":"$context.protocol","#,
    r#""responseLength":$context.responseLength,"responseLatency":$context.responseLatency,"#,
    r#""integrationLatency":$context.integrationLatency,"integrationStatus":$context.integration.status,"#,
    r#""apiId":"$context.apiId","stage":"$context.stage","errorMessage":"$context.error.message","#,
    r#""errorResponseType":"$context.error.responseType","userAgent":"$context.identity.userAgent","#,
    r#""region":"$context.tidegate.region","az":"$context.tidegate.az","node":"$context.tidegate.node","#,
    r#""cache":"$context.tidegate.cache","routeUs":$context.tidegate.phase.route_us,"#,
    r#""integrateUs":$context.tidegate.phase.integrate_us,"respondUs":$context.tidegate.phase.respond_us}"#,
);

const MARK: &str = "$context.";

/// Why a format is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FormatError {
    /// More than AWS allows.
    #[error("access log format is {0} bytes long, at most {FORMAT_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A reference to something other than `$context`.
    #[error("access log format may only use $context variables, found {0}")]
    NotContext(String),
}

#[derive(Clone, Debug)]
enum Segment {
    Literal(String),
    /// A variable of the table; `is_inside` tells whether the literal before it left a JSON string open.
    Variable {
        read: Read,
        is_inside: bool,
        is_constant: bool,
    },
    /// `$context.authorizer.NAME`, whose names the author of the authorizer chooses.
    Authorizer {
        name: String,
        is_inside: bool,
    },
    /// A name nobody knows: always missing, as in AWS.
    Unknown {
        is_inside: bool,
    },
}

/// A compiled access-log format.
#[derive(Clone, Debug)]
pub struct Format {
    segments: Vec<Segment>,
    style: Style,
    has_request_id: bool,
    has_phases: bool,
}

impl Format {
    /// Compiles a format. Line breaks are dropped: a line is a line.
    ///
    /// # Errors
    /// [`FormatError`] when it is too long or refers to anything but `$context`.
    pub fn parse(source: &str) -> Result<Self, FormatError> {
        if source.len() > FORMAT_BYTES_MAX {
            return Err(FormatError::TooLong(source.len()));
        }
        let source: String = source.trim().chars().filter(|character| !character.is_control()).collect();
        let mut segments = Vec::new();
        let mut is_inside = false;
        let mut has_request_id = false;
        let mut has_phases = false;
        let mut rest = source.as_str();
        while let Some(start) = rest.find(MARK) {
            let (literal, after) = rest.split_at(start);
            check_literal(literal)?;
            is_inside = literal_ends_inside(literal, is_inside);
            push_literal(&mut segments, literal);
            let after = after.get(MARK.len()..).unwrap_or_default();
            let (name, after) = split_name(after);
            has_request_id |= matches!(name, "requestId" | "extendedRequestId");
            has_phases |= name.starts_with("tidegate.phase.");
            segments.push(match (find(name), name.strip_prefix("authorizer.")) {
                (Some(read), _) => Segment::Variable { read, is_inside, is_constant: is_constant(name) },
                (None, Some(name)) => Segment::Authorizer { name: name.to_owned(), is_inside },
                (None, None) => Segment::Unknown { is_inside },
            });
            rest = after;
        }
        check_literal(rest)?;
        push_literal(&mut segments, rest);
        Ok(Self { segments, style: style_of(&source), has_request_id, has_phases })
    }

    /// Whether `$context.requestId` or `$context.extendedRequestId` is used, which AWS demands of every format.
    pub fn has_request_id(&self) -> bool {
        self.has_request_id
    }

    /// Whether times of single phases are used: measuring them costs a look at the clock each.
    pub fn has_phases(&self) -> bool {
        self.has_phases
    }

    /// The same format with the values that are the same for all requests of a node filled in from `record`.
    #[must_use]
    pub fn bind(&self, record: &Record<'_>) -> Self {
        let mut segments = Vec::with_capacity(self.segments.len());
        let mut literal = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => literal.push_str(text),
                Segment::Variable { read, is_inside, is_constant: true } => {
                    let mut out = Vec::new();
                    self.render_value(read(record), *is_inside, &mut out);
                    literal.push_str(&String::from_utf8_lossy(&out));
                }
                other => {
                    push_literal(&mut segments, &std::mem::take(&mut literal));
                    segments.push(other.clone());
                }
            }
        }
        push_literal(&mut segments, &literal);
        Self { segments, ..self.clone() }
    }

    /// Appends one line without its end.
    pub fn render(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        for segment in &self.segments {
            let (value, is_inside) = match segment {
                Segment::Literal(literal) => {
                    out.extend_from_slice(literal.as_bytes());
                    continue;
                }
                Segment::Variable { read, is_inside, .. } => (read(record), *is_inside),
                Segment::Authorizer { name, is_inside } => {
                    let found = record.authorizer.iter().find(|(known, _)| known == name);
                    (found.map_or(Value::Missing, |(_, value)| Value::Text(value.as_bytes())), *is_inside)
                }
                Segment::Unknown { is_inside } => (Value::Missing, *is_inside),
            };
            self.render_value(value, is_inside, out);
        }
    }

    /// Outside a JSON string text brings its own quotes, so that a line stays JSON and a value cannot add members.
    fn render_value(&self, value: Value<'_>, is_inside: bool, out: &mut Vec<u8>) {
        let is_bare_json = self.style == Style::Json && !is_inside;
        let brings_quotes = match value {
            Value::Number(_) => false,
            Value::Quoted(_) => !is_inside,
            Value::Missing | Value::Text(_) | Value::Own(_) | Value::Time(_) => is_bare_json,
        };
        if brings_quotes {
            out.push(b'"');
        }
        // Quoted fields of a line of text have the same escapes as JSON.
        let style = if self.style == Style::Text && is_inside { Style::Json } else { self.style };
        match value {
            Value::Missing => out.push(b'-'),
            Value::Own(text) => out.extend_from_slice(text),
            Value::Text(text) | Value::Quoted(text) => escape::write(style, text, out),
            Value::Number(number) => digits::write(number, 1, out),
            Value::Time(epoch_ms) => clock::write_clf(epoch_ms, out),
        }
        if brings_quotes {
            out.push(b'"');
        }
    }
}

impl Default for Format {
    fn default() -> Self {
        Self::parse(DEFAULT_FORMAT).unwrap_or(Self {
            segments: Vec::new(),
            style: Style::Json,
            has_request_id: false,
            has_phases: false,
        })
    }
}

fn push_literal(segments: &mut Vec<Segment>, literal: &str) {
    if !literal.is_empty() {
        segments.push(Segment::Literal(literal.to_owned()));
    }
}

/// The name at the start of `rest`; a full stop at its end belongs to the text after it.
fn split_name(rest: &str) -> (&str, &str) {
    let end = rest
        .find(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')))
        .unwrap_or(rest.len());
    let name = rest.get(..end).unwrap_or_default().trim_end_matches(['.', '-']);
    (name, rest.get(name.len()..).unwrap_or_default())
}

fn check_literal(literal: &str) -> Result<(), FormatError> {
    let mut rest = literal;
    while let Some(start) = rest.find('$') {
        rest = rest.get(start + 1..).unwrap_or_default();
        if rest.starts_with(|character: char| character.is_ascii_alphabetic() || character == '{') {
            let name: String =
                rest.chars().take_while(|character| character.is_ascii_graphic()).take(40).collect();
            return Err(FormatError::NotContext(format!("${name}")));
        }
    }
    Ok(())
}

fn literal_ends_inside(literal: &str, mut is_inside: bool) -> bool {
    let mut is_escaped = false;
    for byte in literal.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_inside => is_escaped = true,
            b'"' => is_inside = !is_inside,
            _ => {}
        }
    }
    is_inside
}

fn style_of(source: &str) -> Style {
    if source.starts_with(['{', '[']) {
        Style::Json
    } else if source.starts_with('<') {
        Style::Xml
    } else if source.contains(',') && !source.contains('"') {
        Style::Csv
    } else {
        Style::Text
    }
}

#[cfg(test)]
mod tests;
