//! A log format, compiled once into literals and variables. Rendering is a walk over them.

use std::hint::black_box;

use thiserror::Error;

use super::escape::{self, Style};
use super::literal::Literal;
use super::variable::{Facts, Value, Variable};
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
    r#""apiKeyId":"$context.identity.apiKeyId","throttleLimit":"$context.tidegate.throttle.limit","#,
    r#""throttlePlan":"$context.tidegate.throttle.plan","throttleReason":"$context.tidegate.throttle.reason","#,
    r#""throttleLease":"$context.tidegate.throttle.lease","#,
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

/// A piece of text and the value after it.
#[derive(Clone, Debug)]
struct Segment {
    before: Literal,
    shown: Shown,
    place: Place,
}

#[derive(Clone, Debug)]
enum Shown {
    /// A variable of the table.
    Variable(Variable),
    /// `$context.authorizer.NAME`, whose names the author of the authorizer chooses.
    Authorizer(Box<str>),
    /// A name nobody knows: always missing, as in AWS.
    Unknown,
    /// Text follows text.
    Nothing,
}

/// What stands around a value.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The escapes that hold here. Quoted fields of a line of text have the same as JSON.
    style: Style,
    /// The literal before left a JSON string open.
    is_inside: bool,
    /// Outside a JSON string text brings its own quotes, so that a line stays JSON and a value cannot add members.
    is_bare_json: bool,
}

impl Place {
    fn new(style: Style, is_inside: bool) -> Self {
        let escapes = if style == Style::Text && is_inside { Style::Json } else { style };
        Self { style: escapes, is_inside, is_bare_json: style == Style::Json && !is_inside }
    }

    #[inline(always)]
    fn write(self, value: Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Number(number) => digits::write(number, 1, out),
            Value::Own(text) => quoted(self.is_bare_json, out, |out| out.extend_from_slice(text)),
            Value::Text(text) => quoted(self.is_bare_json, out, |out| escape::write(self.style, text, out)),
            Value::Quoted(text) => quoted(!self.is_inside, out, |out| escape::write(self.style, text, out)),
            Value::Missing => quoted(self.is_bare_json, out, |out| out.push(b'-')),
            Value::Time(epoch_ms) => {
                quoted(self.is_bare_json, out, |out| clock::write_clf(epoch_ms, out));
            }
        }
    }
}

/// A compiled access-log format.
#[derive(Clone, Debug)]
pub struct Format {
    segments: Vec<Segment>,
    has_request_id: bool,
    has_phases: bool,
    reads_head: bool,
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
        let style = style_of(&source);
        let mut segments = Vec::new();
        let mut is_inside = false;
        let mut has_request_id = false;
        let mut has_phases = false;
        let mut reads_head = false;
        let mut rest = source.as_str();
        while let Some(start) = rest.find(MARK) {
            let (literal, after) = rest.split_at(start);
            check_literal(literal)?;
            is_inside = literal_ends_inside(literal, is_inside);
            let after = after.get(MARK.len()..).unwrap_or_default();
            let (name, after) = split_name(after);
            has_request_id |= matches!(name, "requestId" | "extendedRequestId");
            has_phases |= name.starts_with("tidegate.phase.");
            let shown = match (Variable::find(name), name.strip_prefix("authorizer.")) {
                (Some(variable), _) => Shown::Variable(variable),
                (None, Some(name)) => Shown::Authorizer(name.into()),
                (None, None) => Shown::Unknown,
            };
            reads_head |= matches!(shown, Shown::Variable(variable) if variable.is_of_head());
            let place = Place::new(style, is_inside);
            push(&mut segments, literal.as_bytes(), shown, place);
            rest = after;
        }
        check_literal(rest)?;
        push(&mut segments, rest.as_bytes(), Shown::Nothing, Place::new(style, is_inside));
        Ok(Self { segments, has_request_id, has_phases, reads_head })
    }

    /// Whether `$context.requestId` or `$context.extendedRequestId` is used, which AWS demands of every format.
    pub fn has_request_id(&self) -> bool {
        self.has_request_id
    }

    /// Whether times of single phases are used: measuring them costs a look at the clock each.
    pub fn has_phases(&self) -> bool {
        self.has_phases
    }

    /// Whether something is shown as the client sent it, so that the request's head has to be kept until the line is written.
    pub fn reads_head(&self) -> bool {
        self.reads_head
    }

    /// The same format with the values that are the same for all requests of a node filled in from `facts`.
    #[must_use]
    pub fn bind(&self, facts: &impl Facts) -> Self {
        let mut segments = Vec::with_capacity(self.segments.len());
        let mut literal = Vec::new();
        let mut end = Place::new(Style::Text, false);
        for Segment { before, shown, place } in &self.segments {
            before.write(&mut literal);
            match shown {
                Shown::Variable(variable) if variable.is_constant() => {
                    place.write(facts.value(*variable), &mut literal);
                }
                Shown::Nothing => {}
                Shown::Variable(_) | Shown::Authorizer(_) | Shown::Unknown => {
                    push(&mut segments, &std::mem::take(&mut literal), shown.clone(), *place);
                }
            }
            end = *place;
        }
        push(&mut segments, &literal, Shown::Nothing, end);
        Self { segments, ..*self }
    }

    /// Appends one line without its end.
    pub fn render(&self, facts: &impl Facts, out: &mut Vec<u8>) {
        for Segment { before, shown, place } in &self.segments {
            before.write(out);
            // Or else the compiler gets ready, ahead of the loop and for each line, all that any variable may show.
            let facts = black_box(facts);
            let value = match shown {
                Shown::Variable(variable) => facts.value(*variable),
                Shown::Authorizer(name) => Value::text(facts.authorizer(name)),
                Shown::Unknown => Value::Missing,
                Shown::Nothing => continue,
            };
            place.write(value, out);
        }
    }
}

fn push(segments: &mut Vec<Segment>, before: &[u8], shown: Shown, place: Place) {
    let (full, last) = Literal::pieces(before);
    segments.extend(full.into_iter().map(|before| Segment { before, shown: Shown::Nothing, place }));
    if !last.is_empty() || !matches!(shown, Shown::Nothing) {
        segments.push(Segment { before: last, shown, place });
    }
}

#[inline(always)]
fn quoted(has_quotes: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if has_quotes {
        out.push(b'"');
    }
    write(out);
    if has_quotes {
        out.push(b'"');
    }
}

impl Default for Format {
    fn default() -> Self {
        Self::parse(DEFAULT_FORMAT).unwrap_or(Self {
            segments: Vec::new(),
            has_request_id: false,
            has_phases: false,
            reads_head: false,
        })
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
