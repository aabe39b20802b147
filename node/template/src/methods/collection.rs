//! Methods of lists, sets and maps. Owns Java's collection semantics; every growth is charged.

use super::position;
use crate::RenderError;
use crate::eval::{Interpreter, Outcome};
use crate::heap::{ListId, ListKind, MapId, Value};
use std::rc::Rc;

/// What one element weighs in the memory budget, in bytes.
const ELEMENT_BYTES: usize = 32;

impl Interpreter<'_> {
    pub(super) fn list_method(&mut self, id: ListId, name: &str, args: &[Value]) -> Outcome<Value> {
        let list = self.heap.list(id)?;
        let (length, kind) = (list.items.len(), list.kind);
        if kind == ListKind::Iterator {
            return self.iterator_method(id, name, args);
        }
        let positions = kind != ListKind::Set;
        self.step(1)?;
        Ok(match (name, args) {
            ("size" | "length", []) => Value::integer(i64::try_from(length).unwrap_or(i64::MAX)),
            ("isEmpty", []) => Value::Bool(length == 0),
            ("get", [index @ Value::Int(_)]) if positions => {
                let at = position(index, length)?;
                self.heap.list(id)?.items.get(at).cloned().unwrap_or(Value::Null)
            }
            ("contains", [value]) => Value::Bool(self.find(id, value, false)?.is_some()),
            ("containsAll", [Value::List(other)]) => {
                let wanted = self.heap.list(*other)?.items.clone();
                let mut all = true;
                for value in &wanted {
                    all = all && self.find(id, value, false)?.is_some();
                }
                Value::Bool(all)
            }
            ("indexOf" | "lastIndexOf", [value]) if positions => {
                let found = self.find(id, value, name == "lastIndexOf")?;
                Value::integer(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
            }
            ("subList", [from @ Value::Int(_), to @ Value::Int(_)]) if positions => {
                let (from, to) = (position(from, length + 1)?, position(to, length + 1)?);
                let items = self
                    .heap
                    .list(id)?
                    .items
                    .get(from..to)
                    .ok_or_else(|| RenderError::Method(name.to_owned()))?
                    .to_vec();
                self.new_list(ListKind::Array, items)?
            }
            ("iterator" | "listIterator" | "toArray", []) => {
                let mut items = self.heap.list(id)?.items.clone();
                if name == "toArray" {
                    self.new_list(ListKind::Array, items)?
                } else {
                    // The next element is the last of the handle's list, where taking it is cheap.
                    items.reverse();
                    self.new_list(ListKind::Iterator, items)?
                }
            }
            _ => self.change_list(id, positions, name, args)?,
        })
    }

    fn change_list(&mut self, id: ListId, positions: bool, name: &str, args: &[Value]) -> Outcome<Value> {
        let length = self.heap.list(id)?.items.len();
        Ok(match (name, args) {
            ("set", [index @ Value::Int(_), value]) if positions => {
                let at = position(index, length)?;
                match self.heap.list_mut(id)?.items.get_mut(at) {
                    Some(slot) => std::mem::replace(slot, value.clone()),
                    None => Value::Null,
                }
            }
            ("add", [value]) => {
                self.charge(ELEMENT_BYTES)?;
                self.heap.list_mut(id)?.items.push(value.clone());
                Value::Bool(true)
            }
            ("add", [index @ Value::Int(_), value]) if positions => {
                self.charge(ELEMENT_BYTES)?;
                self.step(length / 16)?;
                let at = position(index, length + 1)?;
                self.heap.list_mut(id)?.items.insert(at, value.clone());
                Value::Null
            }
            ("addAll", [Value::List(other)]) => {
                let items = self.heap.list(*other)?.items.clone();
                self.charge(items.len().saturating_mul(ELEMENT_BYTES))?;
                let grows = !items.is_empty();
                self.heap.list_mut(id)?.items.extend(items);
                Value::Bool(grows)
            }
            ("remove", [index @ Value::Int(_)]) if positions => {
                self.step(length / 16)?;
                let at = position(index, length)?;
                self.heap.list_mut(id)?.items.remove(at)
            }
            ("remove", [value]) => match self.find(id, value, false)? {
                Some(at) => {
                    self.heap.list_mut(id)?.items.remove(at);
                    Value::Bool(true)
                }
                None => Value::Bool(false),
            },
            ("removeAll" | "retainAll", [Value::List(other)]) => {
                self.filter(id, *other, name == "retainAll")?
            }
            ("clear", []) => {
                self.heap.list_mut(id)?.items.clear();
                Value::Null
            }
            _ => Value::Null,
        })
    }

    fn iterator_method(&mut self, id: ListId, name: &str, args: &[Value]) -> Outcome<Value> {
        match (name, args) {
            ("hasNext", []) => Ok(Value::Bool(!self.heap.list(id)?.items.is_empty())),
            ("next", []) => {
                let next = self.heap.list_mut(id)?.items.pop();
                next.ok_or_else(|| RenderError::Method(name.to_owned()).into())
            }
            _ => Ok(Value::Null),
        }
    }

    pub(super) fn map_method(&mut self, id: MapId, name: &str, args: &[Value]) -> Outcome<Value> {
        self.step(1)?;
        let map = self.heap.map(id)?;
        Ok(match (name, args) {
            ("size", []) => Value::integer(i64::try_from(map.len()).unwrap_or(i64::MAX)),
            ("isEmpty", []) => Value::Bool(map.len() == 0),
            ("get", [key]) => map.get(key).cloned().unwrap_or(Value::Null),
            ("getOrDefault", [key, other]) => map.get(key).unwrap_or(other).clone(),
            ("containsKey", [key]) => Value::Bool(map.get(key).is_some()),
            ("containsValue", [value]) => {
                let values: Vec<Value> = map.iter().map(|(_, value)| value.clone()).collect();
                let mut found = false;
                for candidate in &values {
                    found = found || self.same(candidate, value, 0)?;
                }
                Value::Bool(found)
            }
            ("put", [key, value]) => self.put(id, key, value)?,
            ("putIfAbsent", [key, value]) => match map.get(key).cloned() {
                Some(present) => present,
                None => self.put(id, key, value)?,
            },
            ("putAll", [Value::Map(other)]) => {
                let pairs: Vec<_> = self.heap.map(*other)?.iter().cloned().collect();
                for (key, value) in &pairs {
                    self.put(id, key, value)?;
                }
                Value::Null
            }
            ("remove", [key]) => self.heap.map_mut(id)?.remove(key).unwrap_or(Value::Null),
            ("clear", []) => {
                self.heap.map_mut(id)?.clear();
                Value::Null
            }
            ("keySet", []) => {
                let items = map.iter().map(|(key, _)| key.clone()).collect();
                self.new_list(ListKind::Set, items)?
            }
            ("values", []) => {
                let items = map.iter().map(|(_, value)| value.clone()).collect();
                self.new_list(ListKind::Set, items)?
            }
            ("entrySet", []) => {
                let items = map.iter().map(|pair| Value::Entry(Rc::new(pair.clone()))).collect();
                self.new_list(ListKind::Set, items)?
            }
            _ => Value::Null,
        })
    }

    pub(crate) fn new_list(&mut self, kind: ListKind, items: Vec<Value>) -> Result<Value, RenderError> {
        self.charge(items.len().saturating_mul(ELEMENT_BYTES))?;
        Ok(self.heap.new_list(kind, items))
    }

    fn put(&mut self, id: MapId, key: &Value, value: &Value) -> Result<Value, RenderError> {
        self.charge(2 * ELEMENT_BYTES)?;
        Ok(self.heap.map_mut(id)?.put(key.clone(), value.clone()).unwrap_or(Value::Null))
    }

    /// Where a list holds an equal value, from the front or the back.
    fn find(&mut self, id: ListId, value: &Value, backwards: bool) -> Outcome<Option<usize>> {
        let items = self.heap.list(id)?.items.clone();
        self.step(items.len() / 16)?;
        let mut order: Vec<usize> = (0..items.len()).collect();
        if backwards {
            order.reverse();
        }
        for at in order {
            if let Some(item) = items.get(at)
                && self.same(item, value, 0)?
            {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn filter(&mut self, id: ListId, other: ListId, keep: bool) -> Outcome<Value> {
        let items = self.heap.list(id)?.items.clone();
        let mut kept = Vec::new();
        for item in &items {
            if self.find(other, item, false)?.is_some() == keep {
                kept.push(item.clone());
            }
        }
        let changed = kept.len() != items.len();
        self.heap.list_mut(id)?.items = kept;
        Ok(Value::Bool(changed))
    }
}
