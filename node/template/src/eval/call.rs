//! Macro calls, `#define` blocks and `#evaluate`. Owns how one piece of template text invokes another.

use super::scope::Argument;
use super::{Halt, Interpreter, Outcome};
use crate::ast::{Call, Expr, Program};
use crate::heap::Value;
use crate::{RenderError, limits, parser};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Interpreter<'_> {
    /// Makes a program's macros callable; the first definition of a name wins.
    pub(super) fn adopt(&mut self, program: &Arc<Program>) {
        for (i, definition) in program.macros.iter().enumerate() {
            self.macros.entry(definition.name.clone()).or_insert_with(|| (Arc::clone(program), i));
        }
    }

    pub(super) fn call(&mut self, program: &Arc<Program>, call: &Call) -> Outcome<()> {
        let Some((owner, index)) = self.macros.get(&call.name).cloned() else {
            return Ok(self.write(&call.literal)?);
        };
        if call.bare_word {
            return Err(RenderError::Argument(format!("#{}", call.name)).into());
        }
        if self.macro_depth >= limits::MACRO_DEPTH_MAX {
            return Err(RenderError::TooDeep.into());
        }
        let Some(definition) = owner.macros.get(index) else { return Err(RenderError::Internal.into()) };
        let given = call.args.clone().map(|expr| Argument { program: Arc::clone(program), expr });
        let mut arguments = BTreeMap::new();
        let mut locals = BTreeMap::new();
        for (name, argument) in definition.parameters.iter().zip(given) {
            // A literal is bound once; everything else is evaluated whenever the parameter is used.
            let constant = matches!(
                program.exprs.get(argument.expr),
                Some(Expr::Text(_) | Expr::Integer(_) | Expr::Float(_) | Expr::Bool(_))
            );
            if constant {
                let value = self.argument_value(&argument)?;
                locals.insert(name.clone(), value);
            } else {
                arguments.insert(name.clone(), argument);
            }
        }
        if let Some(body) = call.body {
            locals.insert("bodyContent".to_owned(), Value::Block(Arc::clone(program), body));
        }
        let caller = self.scopes.enter(arguments, locals);
        self.macro_depth += 1;
        let result = match owner.blocks.get(definition.body) {
            Some(block) => self.block(&owner, block),
            None => Err(RenderError::Internal.into()),
        };
        self.macro_depth -= 1;
        self.scopes.leave(caller);
        match result {
            Err(Halt::Break(None)) => Ok(()),
            result => result,
        }
    }

    /// Renders a `#define` block in the current scope; one that renders itself stops silently.
    pub(super) fn define_block(&mut self, program: &Arc<Program>, block: usize) -> Outcome<()> {
        let identity = (Arc::as_ptr(program) as usize, block);
        if self.defines.iter().filter(|active| **active == identity).count() >= limits::DEFINE_DEPTH_MAX {
            return Ok(());
        }
        let Some(body) = program.blocks.get(block) else { return Err(RenderError::Internal.into()) };
        self.defines.push(identity);
        let result = self.block(program, body);
        self.defines.pop();
        match result {
            Err(Halt::Break(None)) => Ok(()),
            result => result,
        }
    }

    pub(super) fn evaluate(&mut self, program: &Arc<Program>, source: &Expr) -> Outcome<()> {
        let value = self.value(program, source)?;
        if matches!(value, Value::Null) {
            return Ok(());
        }
        let source = self.print_text(&value)?;
        self.step(source.len())?;
        let evaluated = Arc::new(parser::parse(&source).map_err(RenderError::Evaluate)?);
        self.adopt(&evaluated);
        match self.block(&evaluated, &evaluated.main) {
            Err(Halt::Break(None)) => Ok(()),
            result => result,
        }
    }

    pub(super) fn argument_value(&mut self, argument: &Argument) -> Outcome<Value> {
        match argument.program.exprs.get(argument.expr) {
            Some(expr) => self.value(&argument.program, expr),
            None => Err(RenderError::Internal.into()),
        }
    }
}
