//! Variables: one global scope and one frame per macro call, whose parameters are evaluated by name in the caller's scope.

use crate::ast::Program;
use crate::heap::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A macro parameter: an argument expression of a program, still to be evaluated.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) program: Arc<Program>,
    pub(super) expr: usize,
}

/// What a name means.
pub(super) enum Binding {
    Value(Value),
    /// To be evaluated in the scope with this number.
    Argument(Argument, usize),
    Unbound,
}

#[derive(Debug, Default)]
struct Frame {
    locals: BTreeMap<String, Value>,
    arguments: BTreeMap<String, Argument>,
    parent: usize,
}

/// The chain of scopes; number 0 is the global one.
#[derive(Debug)]
pub(super) struct Scopes {
    frames: Vec<Frame>,
    current: usize,
}

impl Default for Scopes {
    fn default() -> Self {
        Self { frames: vec![Frame::default()], current: 0 }
    }
}

impl Scopes {
    /// The meaning of a name in the current scope.
    pub(super) fn lookup(&self, name: &str) -> Binding {
        let mut scope = self.current;
        while let Some(frame) = self.frames.get(scope) {
            if let Some(value) = frame.locals.get(name) {
                return Binding::Value(value.clone());
            }
            if let Some(argument) = frame.arguments.get(name) {
                return Binding::Argument(argument.clone(), frame.parent);
            }
            if scope == 0 {
                break;
            }
            scope = frame.parent;
        }
        Binding::Unbound
    }

    /// A plain value of a name, for saving it around a loop.
    pub(super) fn peek(&self, name: &str) -> Option<Value> {
        match self.lookup(name) {
            Binding::Value(value) => Some(value),
            Binding::Argument(..) | Binding::Unbound => None,
        }
    }

    /// Assigns in the current scope and all below it.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        let mut scope = self.current;
        while let Some(frame) = self.frames.get_mut(scope) {
            match frame.locals.get_mut(name) {
                Some(slot) => *slot = value.clone(),
                None => {
                    frame.locals.insert(name.to_owned(), value.clone());
                }
            }
            if scope == 0 {
                return;
            }
            scope = frame.parent;
        }
    }

    /// Forgets a name in the current scope and all below it.
    pub(super) fn remove(&mut self, name: &str) {
        let mut scope = self.current;
        while let Some(frame) = self.frames.get_mut(scope) {
            frame.locals.remove(name);
            if scope == 0 {
                return;
            }
            scope = frame.parent;
        }
    }

    /// Opens a frame and makes it current; the scope that was current comes back.
    pub(super) fn enter(
        &mut self,
        arguments: BTreeMap<String, Argument>,
        locals: BTreeMap<String, Value>,
    ) -> usize {
        let caller = self.current;
        self.frames.push(Frame { locals, arguments, parent: caller });
        self.current = self.frames.len() - 1;
        caller
    }

    /// Closes the frame opened last.
    pub(super) fn leave(&mut self, caller: usize) {
        self.frames.pop();
        self.current = caller;
    }

    /// Makes another scope current; the one that was comes back.
    pub(super) fn switch(&mut self, scope: usize) -> usize {
        std::mem::replace(&mut self.current, scope)
    }
}
