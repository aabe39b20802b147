//! Expressions: values, truth, references, assignment. Owns Velocity's notions of equality and of what is false.

use super::scope::Binding;
use super::{Interpreter, Outcome};
use crate::ast::{Expr, Operator, Part, Program, Reference};
use crate::heap::{ListKind, Value};
use crate::{RenderError, limits, number};
use std::cmp::Ordering;
use std::sync::Arc;

impl Interpreter<'_> {
    /// The value of an expression; a reference without one is the empty text, as API Gateway has it.
    pub(super) fn value(&mut self, program: &Arc<Program>, expr: &Expr) -> Outcome<Value> {
        self.step(1)?;
        self.deeper(|interpreter| interpreter.value_of(program, expr))
    }

    fn value_of(&mut self, program: &Arc<Program>, expr: &Expr) -> Outcome<Value> {
        Ok(match expr {
            Expr::Text(text) | Expr::Word(text) => Value::text(text.as_str()),
            Expr::Interpolated { block, trim } => {
                let Some(body) = program.blocks.get(*block) else { return Err(RenderError::Internal.into()) };
                let mut text = self.capture(|interpreter| interpreter.block(program, body))?;
                if *trim {
                    text.pop();
                }
                Value::text(text)
            }
            Expr::Integer(digits) => number::parse_integer(digits),
            Expr::Float(digits) => Value::Double(digits.parse().unwrap_or(f64::NAN)),
            Expr::Bool(b) => Value::Bool(*b),
            Expr::Reference(reference) => self.reference(program, reference)?,
            Expr::List(items) => {
                let items = items.iter().map(|item| self.value(program, item)).collect::<Outcome<_>>()?;
                self.heap.new_list(ListKind::Array, items)
            }
            Expr::Map(pairs) => {
                let map = self.heap.new_map();
                for (key, value) in pairs {
                    let (key, value) = (self.value(program, key)?, self.value(program, value)?);
                    self.heap.map_mut(map)?.put(key, value);
                }
                Value::Map(map)
            }
            Expr::Range(from, to) => {
                let (from, to) = (self.value(program, from)?, self.value(program, to)?);
                self.range(&from, &to)?
            }
            Expr::Not(_) => Value::Bool(self.truth(program, expr)?),
            Expr::Chain(first, rest) => self.chain(program, first, rest)?,
        })
    }

    /// A bare literal other than `true` is false; a reference is false only when its value is.
    pub(super) fn truth(&mut self, program: &Arc<Program>, expr: &Expr) -> Outcome<bool> {
        self.step(1)?;
        self.deeper(|interpreter| match expr {
            Expr::Bool(b) => Ok(*b),
            Expr::Not(inner) => Ok(!interpreter.truth(program, inner)?),
            Expr::Reference(reference) => {
                Ok(!matches!(interpreter.reference(program, reference)?, Value::Bool(false) | Value::Null))
            }
            Expr::Chain(first, rest) => match rest.first() {
                Some((Operator::Or, _)) => interpreter.any(program, first, rest, true),
                Some((Operator::And, _)) => Ok(!interpreter.any(program, first, rest, false)?),
                // A calculation is false without being made.
                Some((
                    Operator::Add
                    | Operator::Subtract
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulus,
                    _,
                ))
                | None => Ok(false),
                Some(_) => Ok(matches!(interpreter.chain(program, first, rest)?, Value::Bool(true))),
            },
            _ => Ok(false),
        })
    }

    /// True when one operand's truth is `wanted`; later ones are not evaluated.
    fn any(
        &mut self,
        program: &Arc<Program>,
        first: &Expr,
        rest: &[(Operator, Expr)],
        wanted: bool,
    ) -> Outcome<bool> {
        if self.truth(program, first)? == wanted {
            return Ok(true);
        }
        for (_, operand) in rest {
            if self.truth(program, operand)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn chain(&mut self, program: &Arc<Program>, first: &Expr, rest: &[(Operator, Expr)]) -> Outcome<Value> {
        match rest.first() {
            Some((Operator::Or, _)) => return Ok(Value::Bool(self.any(program, first, rest, true)?)),
            Some((Operator::And, _)) => return Ok(Value::Bool(!self.any(program, first, rest, false)?)),
            _ => {}
        }
        let mut left = self.value(program, first)?;
        for (operator, operand) in rest {
            let right = self.value(program, operand)?;
            left = self.binary(*operator, &left, &right)?;
        }
        Ok(left)
    }

    fn binary(&mut self, operator: Operator, left: &Value, right: &Value) -> Outcome<Value> {
        let order =
            |wanted: fn(Ordering) -> bool| Value::Bool(number::compare(left, right).is_some_and(wanted));
        Ok(match operator {
            Operator::Equal => Value::Bool(self.equal(left, right)?),
            Operator::NotEqual => Value::Bool(!self.equal(left, right)?),
            Operator::Less => order(Ordering::is_lt),
            Operator::LessEqual => order(Ordering::is_le),
            Operator::Greater => order(Ordering::is_gt),
            Operator::GreaterEqual => order(Ordering::is_ge),
            Operator::Add if matches!(left, Value::Text(_)) || matches!(right, Value::Text(_)) => {
                let mut text = self.print_text(left)?;
                text.push_str(&self.print_text(right)?);
                self.text(text)?
            }
            _ => number::arithmetic(operator, left, right),
        })
    }

    /// Velocity's `==`: numbers by value, like kinds by `equals`, the rest by what they print.
    pub(crate) fn equal(&mut self, left: &Value, right: &Value) -> Outcome<bool> {
        self.step(1)?;
        match (left, right) {
            (Value::Null, Value::Null) => Ok(true),
            (Value::Null, _) | (_, Value::Null) => Ok(false),
            _ if number::is_number(left) && number::is_number(right) => {
                Ok(number::compare(left, right) == Some(Ordering::Equal))
            }
            (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => self.same(left, right, 0),
            _ => Ok(self.print_text(left)? == self.print_text(right)?),
        }
    }

    /// Java's `equals`: the same kind and the same contents.
    pub(crate) fn same(&mut self, left: &Value, right: &Value, depth: usize) -> Outcome<bool> {
        self.step(1)?;
        if depth > limits::VALUE_DEPTH_MAX {
            return Err(RenderError::TooDeep.into());
        }
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Long(a), Value::Long(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => a == b,
            (Value::Text(a), Value::Text(b))
            | (Value::Big(a), Value::Big(b))
            | (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (Value::List(a), Value::List(b)) if a == b => true,
            (Value::List(a), Value::List(b)) => {
                let (a, b) = (self.heap.list(*a)?.items.clone(), self.heap.list(*b)?.items.clone());
                self.step(a.len() / 16)?;
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(&b) {
                    if !self.same(a, b, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Map(a), Value::Map(b)) if a == b => true,
            (Value::Map(a), Value::Map(b)) => {
                let pairs: Vec<_> = self.heap.map(*a)?.iter().cloned().collect();
                self.step(pairs.len() / 16)?;
                if pairs.len() != self.heap.map(*b)?.len() {
                    return Ok(false);
                }
                for (key, value) in &pairs {
                    let Some(other) = self.heap.map(*b)?.get(key).cloned() else { return Ok(false) };
                    if !self.same(value, &other, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Entry(a), Value::Entry(b)) => {
                self.same(&a.0, &b.0, depth + 1)? && self.same(&a.1, &b.1, depth + 1)?
            }
            _ => false,
        })
    }

    fn range(&mut self, from: &Value, to: &Value) -> Outcome<Value> {
        let (Value::Int(from), Value::Int(to)) = (from, to) else { return Ok(Value::Null) };
        let length = u64::from(from.abs_diff(*to)) + 1;
        if length > limits::RANGE_LENGTH_MAX {
            return Err(RenderError::TooMuchMemory.into());
        }
        self.charge(usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(16))?;
        let items = if from <= to {
            (*from..=*to).map(Value::Int).collect()
        } else {
            (*to..=*from).rev().map(Value::Int).collect()
        };
        Ok(self.heap.new_list(ListKind::Array, items))
    }

    /// The value of a reference; nothing is the empty text.
    pub(super) fn reference(&mut self, program: &Arc<Program>, reference: &Reference) -> Outcome<Value> {
        let mut value = self.variable(&reference.root)?;
        for part in &reference.parts {
            if matches!(value, Value::Null) {
                break;
            }
            value = self.follow(program, &value, part)?;
        }
        Ok(if matches!(value, Value::Null) { Value::text("") } else { value })
    }

    fn variable(&mut self, name: &str) -> Outcome<Value> {
        match self.scopes.lookup(name) {
            Binding::Value(value) => Ok(value),
            Binding::Unbound => Ok(Value::Null),
            Binding::Argument(argument, scope) => self.deeper(|interpreter| {
                let current = interpreter.scopes.switch(scope);
                let value = interpreter.argument_value(&argument);
                interpreter.scopes.switch(current);
                value
            }),
        }
    }

    fn follow(&mut self, program: &Arc<Program>, value: &Value, part: &Part) -> Outcome<Value> {
        self.step(1)?;
        match part {
            Part::Property(name) => self.property(value, name),
            Part::Method { name, args } => {
                let args = args.iter().map(|arg| self.value(program, arg)).collect::<Outcome<Vec<_>>>()?;
                self.method(value, name, &args)
            }
            Part::Index(index) => {
                let index = self.value(program, index)?;
                let index = self.index_from_end(value, index)?;
                self.method(value, "get", &[index])
            }
        }
    }

    /// A negative index counts from the end.
    fn index_from_end(&mut self, value: &Value, index: Value) -> Outcome<Value> {
        let length = match value {
            Value::List(id) => self.heap.list(*id)?.items.len(),
            Value::Map(id) => self.heap.map(*id)?.len(),
            _ => return Ok(index),
        };
        Ok(match index {
            Value::Int(i) if i < 0 => {
                Value::integer(i64::try_from(length).unwrap_or(i64::MAX) + i64::from(i))
            }
            index => index,
        })
    }

    pub(super) fn assign(&mut self, program: &Arc<Program>, target: &Reference, value: Value) -> Outcome<()> {
        let Some((last, path)) = target.parts.split_last() else {
            self.scopes.put(&target.root, value);
            return Ok(());
        };
        let mut owner = self.variable(&target.root)?;
        for part in path {
            if matches!(owner, Value::Null) {
                return Ok(());
            }
            owner = self.follow(program, &owner, part)?;
        }
        match last {
            Part::Property(name) => self.put_property(&owner, name, value),
            Part::Index(index) => {
                let index = self.value(program, index)?;
                let index = self.index_from_end(&owner, index)?;
                let method = if matches!(owner, Value::List(_)) { "set" } else { "put" };
                self.method(&owner, method, &[index, value]).map(drop)
            }
            Part::Method { .. } => Ok(()),
        }
    }
}
