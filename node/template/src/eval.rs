//! The interpreter: statements and flow. Owns scopes, the budget and the output; must never know a method by name.

mod call;
mod expression;
mod scope;

use crate::ast::{Block, Expr, Form, Node, Program, Reference};
use crate::heap::{Heap, ListKind, LoopId, MapId, Value};
use crate::overrides::{self, Overrides};
use crate::print::{self, Bounded};
use crate::{Budget, Input, RenderError, limits};
use scope::Scopes;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why rendering leaves a block early.
pub(crate) enum Halt {
    Error(RenderError),
    /// `#break`: the nearest loop, macro or define, or one loop in particular.
    Break(Option<LoopId>),
    /// `#stop`: the whole template.
    Stop,
}

impl From<RenderError> for Halt {
    fn from(error: RenderError) -> Self {
        Self::Error(error)
    }
}

pub(crate) type Outcome<T> = Result<T, Halt>;

/// One rendering.
pub(crate) struct Interpreter<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) budget: &'a Budget,
    pub(crate) heap: Heap,
    /// The body, parsed on first use.
    pub(crate) body: Option<Value>,
    /// `$input.params()`, built on first use.
    pub(crate) params: Option<Value>,
    pub(crate) patterns: BTreeMap<String, regex::Regex>,
    scopes: Scopes,
    macros: BTreeMap<String, (Arc<Program>, usize)>,
    context: MapId,
    out: String,
    steps: u64,
    bytes: usize,
    depth: usize,
    /// How many texts are being collected instead of written to the result.
    captures: usize,
    macro_depth: usize,
    /// How often the same `#define` block is being rendered.
    defines: Vec<(usize, usize)>,
}

impl<'a> Interpreter<'a> {
    pub(crate) fn new(input: &'a Input<'a>, budget: &'a Budget) -> Result<Self, RenderError> {
        let mut heap = Heap::default();
        let context = heap.new_map();
        let mut interpreter = Self {
            input,
            budget,
            heap,
            body: None,
            params: None,
            patterns: BTreeMap::new(),
            scopes: Scopes::default(),
            macros: BTreeMap::new(),
            context,
            out: String::new(),
            steps: 0,
            bytes: 0,
            depth: 0,
            captures: 0,
            macro_depth: 0,
            defines: Vec::new(),
        };
        if let Some(Json::Object(members)) = input.context {
            interpreter.fill(context, members.iter().map(|(name, value)| (name.as_str(), value)))?;
        }
        let seed = overrides::seed(input.overrides);
        interpreter.fill(context, seed.iter().map(|(name, value)| (*name, value)))?;
        let stage = interpreter.heap.new_map();
        for (name, value) in input.stage_variables {
            interpreter.heap.map_mut(stage)?.put(Value::text(*name), Value::text(*value));
        }
        for (name, value) in [
            ("input", Value::Input),
            ("util", Value::Functions),
            ("context", Value::Map(context)),
            ("stageVariables", Value::Map(stage)),
        ] {
            interpreter.scopes.put(name, value);
        }
        Ok(interpreter)
    }

    /// Binds a variable to a JSON value.
    pub(crate) fn bind(&mut self, name: &str, value: &Json) -> Result<(), RenderError> {
        let value = self.import(value, 0)?;
        self.scopes.put(name, value);
        Ok(())
    }

    /// Renders a program as a whole template.
    pub(crate) fn run(&mut self, program: &Arc<Program>) -> Result<String, RenderError> {
        self.adopt(program);
        match self.block(program, &program.main) {
            Ok(()) | Err(Halt::Break(_) | Halt::Stop) => {}
            Err(Halt::Error(error)) => return Err(error),
        }
        Ok(std::mem::take(&mut self.out))
    }

    pub(crate) fn overrides(&self) -> Result<Overrides, RenderError> {
        overrides::collect(&self.heap, self.context, self.budget.memory_bytes_max)
    }

    pub(crate) fn step(&mut self, count: usize) -> Result<(), RenderError> {
        self.steps = self.steps.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.steps > self.budget.steps_max { Err(RenderError::TooManySteps) } else { Ok(()) }
    }

    /// A text value, charged to the memory budget.
    pub(crate) fn text(&mut self, text: String) -> Result<Value, RenderError> {
        self.charge(text.len())?;
        Ok(Value::text(text))
    }

    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), RenderError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.budget.memory_bytes_max {
            return Err(RenderError::TooMuchMemory);
        }
        self.step(1 + bytes / 64)
    }

    /// What may still be built.
    pub(crate) fn bounded(&self) -> Bounded {
        Bounded::new(self.budget.memory_bytes_max.saturating_sub(self.bytes))
    }

    /// Java's `toString()`; blocks render.
    pub(crate) fn print_text(&mut self, value: &Value) -> Outcome<String> {
        if let Value::Text(text) = value {
            return Ok(text.to_string());
        }
        if let Value::Block(program, block) = value {
            let (program, block) = (Arc::clone(program), *block);
            return self.capture(|interpreter| interpreter.define_block(&program, block));
        }
        let mut out = self.bounded();
        print::print(&self.heap, value, &mut out, 0)?;
        let text = out.finish();
        self.charge(text.len())?;
        Ok(text)
    }

    /// Runs with a deeper stack, within the bound.
    pub(crate) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= limits::RENDER_DEPTH_MAX {
            return Err(RenderError::TooDeep.into());
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// Collects what a block writes, and what it wrote before it stopped.
    pub(crate) fn capture(&mut self, run: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<String> {
        let outer = std::mem::take(&mut self.out);
        self.captures += 1;
        let result = run(self);
        self.captures -= 1;
        let text = std::mem::replace(&mut self.out, outer);
        result?;
        self.charge(text.len())?;
        Ok(text)
    }

    fn import(&mut self, value: &Json, depth: usize) -> Result<Value, RenderError> {
        if depth > limits::VALUE_DEPTH_MAX {
            return Err(RenderError::TooDeep);
        }
        Ok(match value {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) if n.is_f64() => Value::Double(n.as_f64().unwrap_or(f64::NAN)),
            Json::Number(n) => crate::number::parse_integer(&n.to_string()),
            Json::String(text) => Value::text(text.as_str()),
            Json::Array(items) => {
                let items =
                    items.iter().map(|item| self.import(item, depth + 1)).collect::<Result<_, _>>()?;
                self.heap.new_list(ListKind::Array, items)
            }
            Json::Object(members) => {
                let map = self.heap.new_map();
                for (name, value) in members {
                    let value = self.import(value, depth + 1)?;
                    self.heap.map_mut(map)?.put(Value::text(name.as_str()), value);
                }
                Value::Map(map)
            }
        })
    }

    fn fill<'j>(
        &mut self,
        map: MapId,
        members: impl Iterator<Item = (&'j str, &'j Json)>,
    ) -> Result<(), RenderError> {
        for (name, value) in members {
            let value = self.import(value, 0)?;
            self.heap.map_mut(map)?.put(Value::text(name), value);
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), RenderError> {
        let length = self.out.len() + text.len();
        if self.captures > 0 && length > self.budget.memory_bytes_max {
            return Err(RenderError::TooMuchMemory);
        }
        if self.captures == 0 && length > self.budget.output_bytes_max {
            return Err(RenderError::TooMuchOutput);
        }
        self.out.push_str(text);
        self.step(text.len() / 64)
    }

    fn block(&mut self, program: &Arc<Program>, block: &Block) -> Outcome<()> {
        self.deeper(|interpreter| block.iter().try_for_each(|node| interpreter.node(program, node)))
    }

    fn node(&mut self, program: &Arc<Program>, node: &Node) -> Outcome<()> {
        self.step(1)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Reference(reference) => self.print_reference(program, reference)?,
            Node::Set { target, value } => self.set(program, target, value)?,
            Node::If { arms, otherwise } => {
                for (condition, block) in arms {
                    if self.truth(program, condition)? {
                        return self.block(program, block);
                    }
                }
                self.block(program, otherwise)?;
            }
            Node::Foreach { variable, over, body } => self.foreach(program, variable, over, body)?,
            Node::Define { name, body } => self.scopes.put(name, Value::Block(Arc::clone(program), *body)),
            Node::Call(call) => self.call(program, call)?,
            Node::Evaluate(source) => self.evaluate(program, source)?,
            Node::Load { directive, name } => match self.value(program, name)? {
                Value::Null => {}
                _ => return Err(RenderError::Load(directive).into()),
            },
            Node::Break(None) => return Err(Halt::Break(None)),
            Node::Break(Some(scope)) => {
                return Err(match self.value(program, scope)? {
                    Value::Loop(id) => Halt::Break(Some(id)),
                    _ => RenderError::Argument("#break".to_owned()).into(),
                });
            }
            Node::Stop => return Err(Halt::Stop),
        }
        Ok(())
    }

    fn print_reference(&mut self, program: &Arc<Program>, reference: &Reference) -> Outcome<()> {
        if reference.form == Form::Plain {
            return Ok(self.write(&reference.literal)?);
        }
        let value = self.reference(program, reference)?;
        self.write(&reference.prefix)?;
        match (reference.form, value) {
            (Form::Escaped, _) => self.write(&reference.literal)?,
            (_, Value::Text(text)) => self.write(&text)?,
            (_, Value::Block(owner, block)) => self.define_block(&owner, block)?,
            (_, value) => {
                let text = self.print_text(&value)?;
                self.write(&text)?;
            }
        }
        Ok(())
    }

    /// An assignment of nothing (a failed calculation) leaves the target as it was.
    fn set(&mut self, program: &Arc<Program>, target: &Reference, value: &Expr) -> Outcome<()> {
        match self.value(program, value)? {
            Value::Null => Ok(()),
            value => self.assign(program, target, value),
        }
    }

    fn foreach(&mut self, program: &Arc<Program>, variable: &str, over: &Expr, body: &Block) -> Outcome<()> {
        let over = self.value(program, over)?;
        let items = match over {
            Value::List(id) => {
                let list = self.heap.list(id)?;
                let mut items = list.items.clone();
                if list.kind == ListKind::Iterator {
                    items.reverse();
                }
                items
            }
            Value::Map(id) => self.heap.map(id)?.iter().map(|(_, value)| value.clone()).collect(),
            _ => return Ok(()),
        };
        self.step(items.len() / 16)?;
        let names = [variable, "velocityCount", "velocityHasNext", "foreach"];
        let saved = names.map(|name| self.scopes.peek(name));
        let parent = match saved.last().and_then(Option::as_ref) {
            Some(Value::Loop(id)) => Some(*id),
            _ => None,
        };
        let id = self.heap.new_loop(parent);
        self.scopes.put("foreach", Value::Loop(id));
        let result = self.iterate(program, variable, id, items, body);
        for (name, value) in names.into_iter().zip(saved) {
            match value {
                Some(value) => self.scopes.put(name, value),
                None => self.scopes.remove(name),
            }
        }
        match result {
            Err(Halt::Break(None)) => Ok(()),
            Err(Halt::Break(Some(other))) if other == id => Ok(()),
            result => result,
        }
    }

    fn iterate(
        &mut self,
        program: &Arc<Program>,
        variable: &str,
        id: LoopId,
        items: Vec<Value>,
        body: &Block,
    ) -> Outcome<()> {
        let last = items.len().saturating_sub(1);
        for (index, item) in items.into_iter().enumerate().take(self.budget.foreach_max) {
            self.step(1)?;
            let control = self.heap.loop_mut(id)?;
            control.index = index;
            control.has_next = index < last;
            self.scopes.put("velocityHasNext", Value::Bool(index < last));
            self.scopes.put(
                "velocityCount",
                Value::integer(i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1)),
            );
            self.scopes.put(variable, item);
            self.block(program, body)?;
        }
        Ok(())
    }
}
