//! Values of one rendering and the heap that holds lists and maps. Owns identity and mutation; must never print or compare.
//!
//! Lists and maps are handles into an arena: templates can build cycles and chains of any depth, and an arena frees both without recursion.

use crate::RenderError;
use crate::ast::Program;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A value as Java would see it; cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    /// An integer beyond 64 bits, in decimal.
    Big(Rc<str>),
    Double(f64),
    /// A fraction with more digits than a double, as written.
    Decimal(Rc<str>),
    Text(Rc<str>),
    List(ListId),
    Map(MapId),
    /// One entry of a map: key and value.
    Entry(Rc<(Self, Self)>),
    /// `$foreach`.
    Loop(LoopId),
    /// A block that renders where it is printed.
    Block(Arc<Program>, usize),
    /// `$input`.
    Input,
    /// `$util`.
    Functions,
}

impl Value {
    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn integer(value: i64) -> Self {
        i32::try_from(value).map_or(Self::Long(value), Self::Int)
    }
}

/// Handle of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListId(usize);
/// Handle of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MapId(usize);
/// Handle of a loop's control value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LoopId(usize);

/// What kind of Java collection a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Prints with blanks after commas.
    Array,
    /// Came from JSON: prints as JSON.
    Json,
    /// A view of a map: no positions.
    Set,
    /// What is left to iterate over, last element first.
    Iterator,
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) kind: ListKind,
    pub(crate) items: Vec<Value>,
}

/// The part of a key that decides equality; Java's `1` and `"1"` are different keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Number(String),
    Text(Rc<str>),
    List(ListId),
    Map(MapId),
    Other,
}

/// A map in insertion order.
#[derive(Debug, Default)]
pub(crate) struct Map {
    index: BTreeMap<Key, usize>,
    slots: Vec<Option<(Value, Value)>>,
}

impl Map {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn get(&self, key: &Value) -> Option<&Value> {
        let slot = *self.index.get(&key_of(key))?;
        self.slots.get(slot)?.as_ref().map(|(_, value)| value)
    }

    pub(crate) fn get_text(&self, key: &str) -> Option<&Value> {
        self.get(&Value::text(key))
    }

    /// Stores a value; the old one comes back.
    pub(crate) fn put(&mut self, key: Value, value: Value) -> Option<Value> {
        let slot = self.index.get(&key_of(&key)).copied();
        if let Some(entry) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            let old = entry.take().map(|(_, old)| old);
            *entry = Some((key, value));
            return old;
        }
        self.index.insert(key_of(&key), self.slots.len());
        self.slots.push(Some((key, value)));
        None
    }

    pub(crate) fn remove(&mut self, key: &Value) -> Option<Value> {
        let slot = self.index.remove(&key_of(key))?;
        self.slots.get_mut(slot)?.take().map(|(_, value)| value)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Value, Value)> {
        self.slots.iter().flatten()
    }
}

/// The control value of one `#foreach`.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) index: usize,
    pub(crate) has_next: bool,
    pub(crate) parent: Option<LoopId>,
}

/// All lists, maps and loops of one rendering.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    lists: Vec<List>,
    maps: Vec<Map>,
    loops: Vec<Loop>,
}

impl Heap {
    pub(crate) fn new_list(&mut self, kind: ListKind, items: Vec<Value>) -> Value {
        self.lists.push(List { kind, items });
        Value::List(ListId(self.lists.len() - 1))
    }

    pub(crate) fn new_map(&mut self) -> MapId {
        self.maps.push(Map::default());
        MapId(self.maps.len() - 1)
    }

    pub(crate) fn new_loop(&mut self, parent: Option<LoopId>) -> LoopId {
        self.loops.push(Loop { index: 0, has_next: false, parent });
        LoopId(self.loops.len() - 1)
    }

    pub(crate) fn list(&self, id: ListId) -> Result<&List, RenderError> {
        self.lists.get(id.0).ok_or(RenderError::Internal)
    }

    pub(crate) fn list_mut(&mut self, id: ListId) -> Result<&mut List, RenderError> {
        self.lists.get_mut(id.0).ok_or(RenderError::Internal)
    }

    pub(crate) fn map(&self, id: MapId) -> Result<&Map, RenderError> {
        self.maps.get(id.0).ok_or(RenderError::Internal)
    }

    pub(crate) fn map_mut(&mut self, id: MapId) -> Result<&mut Map, RenderError> {
        self.maps.get_mut(id.0).ok_or(RenderError::Internal)
    }

    pub(crate) fn loop_mut(&mut self, id: LoopId) -> Result<&mut Loop, RenderError> {
        self.loops.get_mut(id.0).ok_or(RenderError::Internal)
    }

    pub(crate) fn loop_at(&self, id: LoopId) -> Result<&Loop, RenderError> {
        self.loops.get(id.0).ok_or(RenderError::Internal)
    }
}

fn key_of(value: &Value) -> Key {
    match value {
        Value::Null => Key::Null,
        Value::Bool(b) => Key::Bool(*b),
        Value::Int(i) => Key::Int(*i),
        Value::Long(l) => Key::Long(*l),
        Value::Big(digits) | Value::Decimal(digits) => Key::Number(digits.to_string()),
        Value::Double(d) => Key::Number(format!("{d:?}")),
        Value::Text(text) => Key::Text(Rc::clone(text)),
        Value::List(id) => Key::List(*id),
        Value::Map(id) => Key::Map(*id),
        Value::Entry(_) | Value::Loop(_) | Value::Block(..) | Value::Input | Value::Functions => Key::Other,
    }
}
