//! Properties and methods by kind of value. Owns the dispatch; a name that a kind does not have is nothing, never an error.

mod collection;
mod text;

use crate::RenderError;
use crate::eval::{Halt, Interpreter, Outcome};
use crate::heap::{LoopId, Value};
use crate::number;

impl Interpreter<'_> {
    /// `value.name`
    pub(crate) fn property(&mut self, value: &Value, name: &str) -> Outcome<Value> {
        Ok(match (value, name) {
            (_, "class") => Value::Null,
            (Value::Map(id), _) => self.heap.map(*id)?.get_text(name).cloned().unwrap_or(Value::Null),
            (Value::Entry(pair), "key") => pair.0.clone(),
            (Value::Entry(pair), "value") => pair.1.clone(),
            (Value::Text(text), "empty") => Value::Bool(text.is_empty()),
            (Value::List(id), "empty") => Value::Bool(self.heap.list(*id)?.items.is_empty()),
            (Value::Loop(id), _) => self.loop_property(*id, name)?,
            (Value::Input, "body") => self.body_text()?,
            _ => Value::Null,
        })
    }

    /// `#set($value.name = …)`
    pub(crate) fn put_property(&mut self, owner: &Value, name: &str, value: Value) -> Outcome<()> {
        if let Value::Map(id) = owner {
            self.charge(name.len() + 64)?;
            self.heap.map_mut(*id)?.put(Value::text(name), value);
        }
        Ok(())
    }

    /// `value.name(args)`
    pub(crate) fn method(&mut self, value: &Value, name: &str, args: &[Value]) -> Outcome<Value> {
        match (name, args) {
            ("getClass", _) => return Ok(Value::Null),
            ("toString", []) if !matches!(value, Value::Input | Value::Functions) => {
                let text = self.print_text(value)?;
                return Ok(self.text(text)?);
            }
            ("equals", [other]) => return Ok(Value::Bool(self.same(value, other, 0)?)),
            _ => {}
        }
        match value {
            Value::Text(text) => self.text_method(text, name, args),
            Value::List(id) => self.list_method(*id, name, args),
            Value::Map(id) => self.map_method(*id, name, args),
            Value::Entry(pair) => Ok(match (name, args) {
                ("getKey", []) => pair.0.clone(),
                ("getValue", []) => pair.1.clone(),
                _ => Value::Null,
            }),
            Value::Loop(id) => self.loop_method(*id, name, args),
            Value::Input => self.input_method(name, args),
            Value::Functions => self.function(name, args),
            Value::Bool(b) if (name, args.len()) == ("hashCode", 0) => {
                Ok(Value::Int(if *b { 1231 } else { 1237 }))
            }
            _ if number::is_number(value) => number_method(value, name, args),
            _ => Ok(Value::Null),
        }
    }

    fn loop_property(&mut self, id: LoopId, name: &str) -> Outcome<Value> {
        let control = self.heap.loop_at(id)?.clone();
        let position = |index: usize| Value::integer(i64::try_from(index).unwrap_or(i64::MAX));
        Ok(match name {
            "index" => position(control.index),
            "count" => position(control.index + 1),
            "first" => Value::Bool(control.index == 0),
            "last" => Value::Bool(!control.has_next),
            "hasNext" => Value::Bool(control.has_next),
            "parent" => control.parent.map_or(Value::Null, Value::Loop),
            "topmost" => {
                let mut top = id;
                while let Some(parent) = self.heap.loop_at(top)?.parent {
                    self.step(1)?;
                    top = parent;
                }
                Value::Loop(top)
            }
            _ => Value::Null,
        })
    }

    fn loop_method(&mut self, id: LoopId, name: &str, args: &[Value]) -> Outcome<Value> {
        if !args.is_empty() {
            return Ok(Value::Null);
        }
        let property = match name {
            "stop" => return Err(Halt::Break(Some(id))),
            "hasNext" | "getHasNext" => "hasNext",
            "getIndex" => "index",
            "getCount" => "count",
            "isFirst" | "getFirst" => "first",
            "isLast" | "getLast" => "last",
            "getParent" => "parent",
            "getTopmost" => "topmost",
            _ => return Ok(Value::Null),
        };
        self.loop_property(id, property)
    }
}

fn number_method(value: &Value, name: &str, args: &[Value]) -> Outcome<Value> {
    let failed = || RenderError::Method(name.to_owned());
    Ok(match (value, name, args) {
        // Java's narrowing conversions wrap for longs and saturate for doubles.
        (Value::Long(l), "intValue", []) => Value::Int(*l as i32),
        (Value::Double(d), "intValue", []) => Value::Int(*d as i32),
        (Value::Double(d), "longValue", []) => Value::Long(*d as i64),
        (Value::Int(i), "longValue", []) => Value::Long(i64::from(*i)),
        (Value::Int(i), "doubleValue", []) => Value::Double(f64::from(*i)),
        (Value::Long(l), "doubleValue", []) => Value::Double(*l as f64),
        (_, "intValue" | "longValue" | "doubleValue", []) => value.clone(),
        (Value::Int(_), "parseInt" | "valueOf", [Value::Text(text)]) => {
            Value::Int(text.parse().map_err(|_| failed())?)
        }
        (Value::Long(_), "parseLong" | "valueOf", [Value::Text(text)]) => {
            Value::Long(text.parse().map_err(|_| failed())?)
        }
        (Value::Double(_), "parseDouble" | "valueOf", [Value::Text(text)]) => {
            Value::Double(text.trim().parse().map_err(|_| failed())?)
        }
        (Value::Int(i), "hashCode", []) => Value::Int(*i),
        (Value::Long(l), "hashCode", []) => Value::Int(fold_hash(*l as u64)),
        (Value::Double(d), "hashCode", []) => Value::Int(fold_hash(d.to_bits())),
        (Value::Int(_), "compareTo", [Value::Int(_)])
        | (Value::Long(_), "compareTo", [Value::Long(_)])
        | (Value::Double(_), "compareTo", [Value::Double(_)]) => {
            number::compare(value, args.first().unwrap_or(&Value::Null))
                .map_or(Value::Null, |order| Value::Int(order as i32))
        }
        (_, "compareTo", [_]) => return Err(failed().into()),
        _ => Value::Null,
    })
}

/// How Java folds 64 bits into a hash of 32.
fn fold_hash(bits: u64) -> i32 {
    (bits ^ (bits >> 32)) as u32 as i32
}

/// A position in a list or text.
pub(crate) fn position(index: &Value, length: usize) -> Outcome<usize> {
    let index = match index {
        Value::Int(i) => i64::from(*i),
        Value::Long(l) => *l,
        _ => return Err(RenderError::Method("get".to_owned()).into()),
    };
    match usize::try_from(index) {
        Ok(position) if position < length => Ok(position),
        _ => Err(RenderError::IndexOutOfBounds { index, length }.into()),
    }
}
