//! JSON request bodies. Owns shape checks and their texts; must never let a field pass that nobody read.

use serde_json::{Map as Object, Value};
use tidegate_proto::document::Map;

use crate::{
    error::ApiError,
    rest::unsupported::{self, Shape},
};

/// A request body whose fields are taken out one by one, so that what is left over can be refused.
#[derive(Debug)]
pub(crate) struct Input {
    shape: &'static str,
    fields: Object<String, Value>,
    violations: Vec<String>,
}

impl Input {
    /// Reads a body; `shape` is AWS's name of it, such as `createStageInput`. No body is an empty one.
    pub(crate) fn parse(shape: &'static str, body: &[u8]) -> Result<Self, ApiError> {
        let fields = match body.trim_ascii() {
            [] => Object::new(),
            text => match serde_json::from_slice(text) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(ApiError::serialization("the request body is not a JSON object")),
                Err(error) => {
                    return Err(ApiError::serialization(format!("the request body is not JSON: {error}")));
                }
            },
        };
        Ok(Self { shape, fields, violations: Vec::new() })
    }

    /// An object inside this input, as an input of its own; its faults are collected here by [`Input::absorb`].
    pub(crate) fn object(&mut self, field: &str) -> Result<Option<Self>, ApiError> {
        self.take(field).map(|value| self.inner(field, value)).transpose()
    }

    /// Ends an inner object: leftover fields are refused, its violations become this input's.
    pub(crate) fn absorb(&mut self, inner: Self, shape: Shape) -> Result<(), ApiError> {
        self.violations.extend(inner.violations);
        refuse_leftovers(&inner.fields, shape)
    }

    /// The objects in a list inside this input.
    pub(crate) fn objects(&mut self, field: &str) -> Result<Vec<Self>, ApiError> {
        match self.take(field) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.into_iter().map(|value| self.inner(field, value)).collect(),
            Some(_) => Err(ApiError::serialization(format!("{field}: expected a list"))),
        }
    }

    /// The objects in a map inside this input, with their names.
    pub(crate) fn object_map(&mut self, field: &str) -> Result<Vec<(String, Self)>, ApiError> {
        match self.take(field) {
            None => Ok(Vec::new()),
            Some(Value::Object(entries)) => {
                let inner = |(name, value)| Ok((name, self.inner(field, value)?));
                entries.into_iter().map(inner).collect()
            }
            Some(_) => Err(ApiError::serialization(format!("{field}: expected an object"))),
        }
    }

    /// Takes a field as it came; `null` counts as absent.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.shift_remove(field).filter(|value| !value.is_null())
    }

    /// A string.
    pub(crate) fn string(&mut self, field: &str) -> Result<Option<String>, ApiError> {
        self.take(field).map(into_string).transpose()
    }

    /// A string that must be there; its absence is a violation.
    pub(crate) fn required(&mut self, field: &str) -> Result<String, ApiError> {
        let value = self.string(field)?;
        if value.is_none() {
            self.violate("null", field, "Member must not be null");
        }
        Ok(value.unwrap_or_default())
    }

    /// A string out of a closed set, in AWS's order.
    pub(crate) fn choice(&mut self, field: &str, set: &[&str]) -> Result<Option<String>, ApiError> {
        let value = self.string(field)?;
        if let Some(value) = value.as_deref().filter(|value| !set.contains(value)) {
            self.violate(value, field, &enumeration(set));
        }
        Ok(value)
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, field: &str) -> Result<Option<bool>, ApiError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&other, "an Boolean")),
        }
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, field: &str) -> Result<Option<i64>, ApiError> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong_type(&value, "an Integer")),
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, field: &str) -> Result<Option<f64>, ApiError> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong_type(&value, "an Double")),
        }
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, field: &str) -> Result<Option<Vec<String>>, ApiError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                values.into_iter().map(into_string).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(ApiError::serialization(format!("{field}: expected a list"))),
        }
    }

    /// A map of strings.
    pub(crate) fn string_map(&mut self, field: &str) -> Result<Map<String>, ApiError> {
        self.map(field, |value| into_string(value.unwrap_or_default()))
    }

    /// A map of strings in which `null` and the empty string mean the same.
    pub(crate) fn nullable_map(&mut self, field: &str) -> Result<Map<Option<String>>, ApiError> {
        self.map(field, |value| {
            Ok(value.map(into_string).transpose()?.filter(|text: &String| !text.is_empty()))
        })
    }

    /// A map of booleans.
    pub(crate) fn bool_map(&mut self, field: &str) -> Result<Map<bool>, ApiError> {
        self.map(field, |value| match value {
            Some(Value::Bool(value)) => Ok(value),
            other => Err(wrong_type(&other.unwrap_or_default(), "an Boolean")),
        })
    }

    /// Notes a broken constraint on a field of this shape; all are reported together.
    pub(crate) fn violate(&mut self, value: &str, field: &str, rule: &str) {
        let place = format!("{}.{field}", self.shape);
        self.violations.push(violation(value, &place, rule));
    }

    /// Notes a violation whose text is complete.
    pub(crate) fn violation(&mut self, text: Option<String>) {
        self.violations.extend(text);
    }

    /// Ends the reading: reports violations, then refuses every field that was not taken.
    pub(crate) fn finish(self, shape: Shape) -> Result<(), ApiError> {
        if !self.violations.is_empty() {
            return Err(ApiError::validation(&self.violations));
        }
        refuse_leftovers(&self.fields, shape)
    }

    fn inner(&self, field: &str, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(fields) => Ok(Self { shape: self.shape, fields, violations: Vec::new() }),
            _ => Err(ApiError::serialization(format!("{field}: expected an object"))),
        }
    }

    fn map<V>(
        &mut self,
        field: &str,
        read: impl Fn(Option<Value>) -> Result<V, ApiError>,
    ) -> Result<Map<V>, ApiError> {
        match self.take(field) {
            None => Ok(Map::new()),
            Some(Value::Object(entries)) => entries
                .into_iter()
                .map(|(name, value)| Ok((name, read(Some(value).filter(|value| !value.is_null()))?)))
                .collect(),
            Some(_) => Err(ApiError::serialization(format!("{field}: expected an object"))),
        }
    }
}

/// One broken constraint in AWS's words.
pub(crate) fn violation(value: &str, place: &str, rule: &str) -> String {
    let quoted = if value == "null" { value.to_owned() } else { format!("'{value}'") };
    format!("Value {quoted} at '{place}' failed to satisfy constraint: {rule}")
}

/// The constraint of a closed set.
pub(crate) fn enumeration(set: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", set.join(", "))
}

fn refuse_leftovers(fields: &Object<String, Value>, shape: Shape) -> Result<(), ApiError> {
    fields.iter().try_for_each(|(field, value)| unsupported::refuse(shape, field, value))
}

fn into_string(value: Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&other, "an String")),
    }
}

/// AWS reports the class that its own parser made of the value.
fn wrong_type(value: &Value, target: &str) -> ApiError {
    let class = match value {
        Value::Null => return ApiError::serialization(format!("null can not be converted to {target}")),
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(_) => "com.amazon.coral.value.json.numbers.TruncatingBigNumber",
        Value::String(_) => "java.lang.String",
        Value::Array(_) => "java.util.ArrayList",
        Value::Object(_) => "java.util.HashMap",
    };
    ApiError::serialization(format!("class {class} can not be converted to {target}"))
}
