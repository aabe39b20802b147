//! `$input`: the body and the parameters. Owns when the body is parsed (on first use, so that an unread body may be anything).

use crate::eval::{Interpreter, Outcome};
use crate::heap::{Heap, ListId, ListKind, MapId, Value};
use crate::jsonpath::{self, Document, Hit, Scalar, Selection};
use crate::print::{self, Slash};
use crate::{RenderError, json};
use std::rc::Rc;

impl Interpreter<'_> {
    pub(crate) fn input_method(&mut self, name: &str, args: &[Value]) -> Outcome<Value> {
        match (name, args) {
            ("body" | "getBody", []) => Ok(self.body_text()?),
            ("params", []) => self.all_params(),
            ("params", [Value::Text(wanted)]) => Ok(self.param(wanted)),
            ("path", [Value::Text(path)]) => Ok(self.select(path)?.unwrap_or(Value::Null)),
            ("json", [Value::Text(path)]) => {
                let selected = self.select(path)?.unwrap_or(Value::Null);
                let mut out = self.bounded();
                match selected {
                    Value::Null => out.push("\"\"")?,
                    selected => print::json(&self.heap, &selected, Slash::Plain, &mut out, 0)?,
                }
                Ok(self.text(out.finish())?)
            }
            _ => Ok(Value::Null),
        }
    }

    /// The body as received; an empty one is an empty object.
    pub(crate) fn body_text(&mut self) -> Result<Value, RenderError> {
        let body = self.input.body;
        self.text(if body.is_empty() { "{}" } else { body }.to_owned())
    }

    /// Path, query, header: the first that has the name; within one, the last value.
    fn param(&self, wanted: &str) -> Value {
        [self.input.path, self.input.querystring, self.input.header]
            .iter()
            .find_map(|pairs| pairs.iter().rev().find(|(name, _)| *name == wanted))
            .map_or(Value::Null, |(_, value)| Value::text(*value))
    }

    fn all_params(&mut self) -> Outcome<Value> {
        if let Some(params) = &self.params {
            return Ok(params.clone());
        }
        let all = self.heap.new_map();
        for (group, pairs) in [
            ("path", self.input.path),
            ("querystring", self.input.querystring),
            ("header", self.input.header),
        ] {
            let map = self.heap.new_map();
            for (name, value) in pairs {
                let value = self.text((*value).to_owned())?;
                self.heap.map_mut(map)?.put(Value::text(*name), value);
            }
            self.heap.map_mut(all)?.put(Value::text(group), Value::Map(map));
        }
        self.params = Some(Value::Map(all));
        Ok(Value::Map(all))
    }

    fn select(&mut self, path: &str) -> Outcome<Option<Value>> {
        let body = match &self.body {
            Some(body) => body.clone(),
            None => {
                self.charge(self.input.body.len())?;
                let body = json::parse(&mut self.heap, self.input.body)?;
                self.body = Some(body.clone());
                body
            }
        };
        self.step(4 + path.len())?;
        let path = jsonpath::parse(path).map_err(RenderError::from)?;
        let (selection, visits) =
            path.select_in(Cell { heap: &self.heap, value: body }).map_err(RenderError::from)?;
        let found = match selection {
            Selection::Missing => Found::Nothing,
            Selection::One(hit) => Found::One(detach(hit)),
            Selection::Many(hits) => Found::Many(hits.into_iter().map(detach).collect()),
        };
        self.step(visits)?;
        Ok(match found {
            Found::Nothing => None,
            Found::One(hit) => Some(self.attach(hit)?),
            Found::Many(hits) => {
                let items = hits.into_iter().map(|hit| self.attach(hit)).collect::<Outcome<_>>()?;
                Some(self.new_list(ListKind::Json, items)?)
            }
        })
    }

    fn attach(&mut self, hit: Hit<Value>) -> Outcome<Value> {
        match hit {
            Hit::Node(value) => Ok(value),
            Hit::Object(pairs) => {
                let map = self.heap.new_map();
                for (name, value) in pairs {
                    self.charge(name.len() + 64)?;
                    self.heap.map_mut(map)?.put(Value::text(name), value);
                }
                Ok(Value::Map(map))
            }
        }
    }
}

/// A selection without its hold on the heap.
enum Found {
    Nothing,
    One(Hit<Value>),
    Many(Vec<Hit<Value>>),
}

fn detach(hit: Hit<Cell<'_>>) -> Hit<Value> {
    match hit {
        Hit::Node(cell) => Hit::Node(cell.value),
        Hit::Object(pairs) => Hit::Object(pairs.into_iter().map(|(name, cell)| (name, cell.value)).collect()),
    }
}

/// A value with the heap it lives in.
#[derive(Clone)]
struct Cell<'h> {
    heap: &'h Heap,
    value: Value,
}

impl Cell<'_> {
    fn of(&self, value: &Value) -> Self {
        Self { heap: self.heap, value: value.clone() }
    }

    fn map(&self) -> Option<MapId> {
        if let Value::Map(id) = self.value { Some(id) } else { None }
    }

    fn list(&self) -> Option<ListId> {
        if let Value::List(id) = self.value { Some(id) } else { None }
    }
}

impl Document for Cell<'_> {
    fn member(&self, name: &str) -> Option<Self> {
        self.heap.map(self.map()?).ok()?.get_text(name).map(|value| self.of(value))
    }

    fn is_object(&self) -> bool {
        self.map().is_some()
    }

    fn members(&self) -> Option<Vec<Self>> {
        Some(self.heap.map(self.map()?).ok()?.iter().map(|(_, value)| self.of(value)).collect())
    }

    fn elements(&self) -> Option<Vec<Self>> {
        Some(self.heap.list(self.list()?).ok()?.items.iter().map(|value| self.of(value)).collect())
    }

    fn scalar(&self) -> Scalar {
        match &self.value {
            Value::Bool(b) => Scalar::Bool(*b),
            Value::Int(i) => Scalar::Number(f64::from(*i)),
            Value::Long(l) => Scalar::Number(*l as f64),
            Value::Double(d) => Scalar::Number(*d),
            Value::Big(digits) | Value::Decimal(digits) => Scalar::Number(digits.parse().unwrap_or(f64::NAN)),
            Value::Text(text) => Scalar::Text(Rc::clone(text).to_string()),
            Value::List(id) => Scalar::Compound(self.heap.list(*id).map_or(0, |list| list.items.len())),
            Value::Map(id) => Scalar::Compound(self.heap.map(*id).map_or(0, crate::heap::Map::len)),
            _ => Scalar::Null,
        }
    }
}
