//! PATCH: one engine for every entity, over its JSON form and a table of allowed paths. Owns JSON pointers and AWS's texts for
//! wrong ones; must never know an entity.

mod edit;

use serde_json::{Value, json};
use tidegate_proto::limits::PATCH_OPERATIONS_MAX;

use crate::{
    error::ApiError,
    input::{Input, enumeration, violation},
    rest::unsupported::{self, Shape},
};

/// What a patch operation does. AWS: `Op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Adds an entry or a member, or sets a value.
    Add,
    /// Removes what is there.
    Remove,
    /// Sets a value.
    Replace,
    /// Copies from another path and removes it there.
    Move,
    /// Copies from another path.
    Copy,
    /// Requires a value.
    Test,
}

/// One patch operation; values are always strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// What to do.
    pub op: Op,
    /// Where, as a JSON pointer.
    pub path: String,
    /// The value, for add, replace and test.
    pub value: Option<String>,
    /// The source, for move and copy.
    pub from: Option<String>,
}

/// How a value at a path is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A string; cleared by the empty one where the entity says so.
    Text,
    /// A boolean; anything but `true` is false, as AWS does it.
    Flag,
    /// A whole number.
    Number,
    /// An entry of a map of strings; the text says what AWS answers when it should exist and does not.
    TextEntry(Option<&'static str>),
    /// An entry of a map of booleans.
    FlagEntry(Option<&'static str>),
    /// A member of a list of strings, named by the last part of the path.
    Member,
    /// A member of a list of strings, named by the value.
    Element,
    /// The single member of a list, named by its index or its old value.
    Only,
    /// A field of a later version: only values that ask for nothing are taken.
    Later(Shape, &'static str),
}

/// A path with the operations it takes. `{}` stands for one part of a pointer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// For example `/requestParameters/{}`.
    pub path: &'static str,
    /// The operations it takes.
    pub ops: &'static [Op],
    /// How the value is kept.
    pub kind: Kind,
}

/// Which of AWS's texts a wrong path gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    /// `Invalid patch path /x`.
    Plain,
    /// `Invalid patch path  '/x' specified for op 'replace'. Must be one of: […]`, with two blanks.
    Listed,
    /// The texts of stages.
    Stage,
}

/// Everything an entity lets its patches do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// How a wrong path is answered.
    pub style: Style,
    /// The paths.
    pub rules: &'static [Rule],
}

/// Shorthand of tables: set and nothing else.
pub(crate) const REPLACE: &[Op] = &[Op::Replace];
/// Shorthand of tables: entries and members.
pub(crate) const ADD_REMOVE_REPLACE: &[Op] = &[Op::Add, Op::Remove, Op::Replace];
/// Shorthand of tables: members that have no value of their own.
pub(crate) const ADD_REMOVE: &[Op] = &[Op::Add, Op::Remove];

const OPS: [(&str, Op); 6] = [
    ("add", Op::Add),
    ("remove", Op::Remove),
    ("move", Op::Move),
    ("test", Op::Test),
    ("replace", Op::Replace),
    ("copy", Op::Copy),
];

const METHOD_SETTING_PATHS: &str = "[/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, /accessLogSettings, /accessLogSettings/destinationArn, /accessLogSettings/format, /{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/dataTrace, /{resourcePath}/{httpMethod}/logging/loglevel, /{resourcePath}/{httpMethod}/throttling/burstLimit/{resourcePath}/{httpMethod}/throttling/rateLimit/{resourcePath}/{httpMethod}/caching/ttlInSeconds, /{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, /{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, /{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, /*/*/metrics/enabled, /*/*/logging/dataTrace, /*/*/logging/loglevel, /*/*/throttling/burstLimit /*/*/throttling/rateLimit /*/*/caching/ttlInSeconds, /*/*/caching/enabled, /*/*/caching/dataEncrypted, /*/*/caching/requireAuthorizationForCacheControl, /*/*/caching/unauthorizedCacheControlHeaderStrategy, /variables/{variable_name}, /tracingEnabled]";

/// Reads `{"patchOperations":[…]}`; `shape` is AWS's name of the input, `more` are violations found outside the body.
pub(crate) fn parse(shape: &'static str, body: &[u8], more: &[String]) -> Result<Vec<Patch>, ApiError> {
    let mut input = Input::parse(shape, body)?;
    let entries = match input.take("patchOperations") {
        None => Vec::new(),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(ApiError::serialization("patchOperations: expected a list")),
    };
    if entries.len() > PATCH_OPERATIONS_MAX {
        let found = entries.len();
        return Err(ApiError::bad_request(format!(
            "patchOperations has {found} operations, the limit is {PATCH_OPERATIONS_MAX}"
        )));
    }
    let mut patches = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let text = |field: &str| entry.get(field).and_then(scalar);
        let name = text("op").unwrap_or_else(|| "null".into());
        let op = OPS.iter().find(|(known, _)| *known == name).map(|(_, op)| *op);
        if op.is_none() {
            let place = format!("{shape}.patchOperations.{}.member.op", index + 1);
            input.violation(Some(violation(&name, &place, &enumeration(&OPS.map(|(known, _)| known)))));
        }
        let path = text("path").unwrap_or_else(|| "null".into());
        patches.push(Patch { op: op.unwrap_or(Op::Test), path, value: text("value"), from: text("from") });
    }
    more.iter().for_each(|text| input.violation(Some(text.clone())));
    input.finish(Shape::Tags)?;
    Ok(patches)
}

/// Applies patches in order to the JSON form of an entity. Nothing is valid until the entity has checked the result.
pub(crate) fn apply(table: &Table, document: &mut Value, patches: &[Patch]) -> Result<(), ApiError> {
    patches.iter().try_for_each(|patch| apply_one(table, document, patch))
}

fn apply_one(table: &Table, document: &mut Value, patch: &Patch) -> Result<(), ApiError> {
    let pointer = pointer(&patch.path);
    let rule = find(table, &pointer);
    let Some(rule) = rule.filter(|rule| rule.ops.contains(&patch.op)) else {
        return Err(wrong_path(table, rule, patch));
    };
    if let Kind::Later(shape, field) = rule.kind {
        return match patch.op {
            Op::Remove => Ok(()),
            _ => unsupported::refuse(shape, field, &json!(patch.value)),
        };
    }
    match patch.op {
        Op::Remove => edit::remove(document, rule.kind, &pointer, patch.value.as_deref()),
        Op::Add | Op::Replace => edit::set(document, rule.kind, &pointer, patch.op, patch.value.as_deref()),
        Op::Test => edit::test(document, &pointer, patch),
        Op::Copy | Op::Move => {
            let from = patch.from.as_deref().unwrap_or("null");
            let source = self::pointer(from);
            let Some(origin) = find(table, &source) else {
                return Err(ApiError::bad_request(format!("Invalid patch from {from}")));
            };
            let value = edit::read(document, &source)
                .ok_or_else(|| ApiError::bad_request(format!("Nothing to copy at patch from {from}")))?;
            if patch.op == Op::Move {
                edit::remove(document, origin.kind, &source, None)?;
            }
            edit::set(document, rule.kind, &pointer, Op::Replace, scalar(&value).as_deref())
        }
    }
}

/// The parts of a JSON pointer, unescaped (RFC 6901, section 4).
fn pointer(path: &str) -> Vec<String> {
    let parts = path.strip_prefix('/').into_iter().flat_map(|rest| rest.split('/'));
    parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
}

fn find<'a>(table: &'a Table, pointer: &[String]) -> Option<&'a Rule> {
    let fits = |rule: &Rule| {
        let mut parts = pointer.iter();
        let all = rule.path.split('/').skip(1).all(|expected| {
            parts.next().is_some_and(|part| expected == part || (expected == "{}" && !part.is_empty()))
        });
        all && parts.next().is_none()
    };
    table.rules.iter().find(|rule| fits(rule))
}

fn wrong_path(table: &Table, rule: Option<&Rule>, patch: &Patch) -> ApiError {
    let (path, op) = (&patch.path, name(patch.op));
    ApiError::bad_request(match (table.style, rule) {
        (Style::Plain, None) => format!("Invalid patch path {path}"),
        (Style::Plain, Some(rule)) => match rule.ops {
            [only] => format!("Invalid patch operation specified. Must be one of: [{}]", name(*only)),
            ops => {
                let quoted: Vec<String> = ops.iter().map(|op| format!("'{}'", name(*op))).collect();
                format!("Invalid patch operation specified. Must be {}", quoted.join("|"))
            }
        },
        (Style::Listed, _) => {
            let paths: Vec<&str> = table
                .rules
                .iter()
                .filter(|rule| rule.ops.contains(&patch.op))
                .map(|rule| rule.path)
                .collect();
            match paths.is_empty() {
                true => format!(
                    "Invalid patch path  '{path}' specified for op '{op}'. Please choose supported operations"
                ),
                false => format!(
                    "Invalid patch path  '{path}' specified for op '{op}'. Must be one of: [{}]",
                    paths.join(", ")
                ),
            }
        }
        (Style::Stage, _) if patch.op == Op::Remove => format!(
            "Cannot remove method setting {} because there is no method setting for this method ",
            path.trim_start_matches('/')
        ),
        (Style::Stage, Some(_)) => format!("Invalid {op} operation with path: {path}"),
        (Style::Stage, None) => return wrong_setting_path(path),
    })
}

/// AWS's answer to a patch path that a stage does not have.
pub(crate) fn wrong_setting_path(path: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Invalid method setting path: {path}. Must be one of: {METHOD_SETTING_PATHS}"
    ))
}

/// AWS's name of an operation.
pub(crate) fn name(op: Op) -> &'static str {
    OPS.iter().find(|(_, known)| *known == op).map_or("", |(name, _)| name)
}

/// Values are strings; a client that sends another scalar means its text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
