//! Walks a document along a path. Owns Jayway's rules for what is missing and what is merely empty.

use super::filter::accepts;
use super::{PathError, Step};
use crate::limits;

/// Something shaped like JSON.
pub(crate) trait Document: Clone {
    /// A member of an object; `None` when there is none or this is no object.
    fn member(&self, name: &str) -> Option<Self>;
    /// True for objects.
    fn is_object(&self) -> bool;
    /// All members of an object, in order.
    fn members(&self) -> Option<Vec<Self>>;
    /// All elements of an array.
    fn elements(&self) -> Option<Vec<Self>>;
    /// The value itself, without its contents.
    fn scalar(&self) -> Scalar;
}

/// A value as filters compare it.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// An array or object of this many elements.
    Compound(usize),
}

/// One selected value.
#[derive(Clone, Debug, PartialEq)]
pub enum Hit<D> {
    /// A value of the document.
    Node(D),
    /// Members chosen by a union of names.
    Object(Vec<(String, D)>),
}

/// The result of a selection.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection<D> {
    /// A definite path, or the definite beginning of one, leads nowhere.
    Missing,
    /// The value of a definite path.
    One(Hit<D>),
    /// The values of an indefinite path, perhaps none.
    Many(Vec<Hit<D>>),
}

/// Counts visited nodes against the bound.
pub(super) struct Visits(usize);

impl Visits {
    pub(super) fn add(&mut self, nodes: usize) -> Result<(), PathError> {
        self.0 = self.0.saturating_add(nodes);
        if self.0 > limits::PATH_VISITS_MAX { Err(PathError::TooManyVisits) } else { Ok(()) }
    }
}

pub(super) fn select<D: Document>(steps: &[Step], root: D) -> Result<(Selection<D>, usize), PathError> {
    let mut visits = Visits(0);
    let selection = select_from(steps, root, &mut visits)?;
    Ok((selection, visits.0))
}

pub(super) fn select_from<D: Document>(
    steps: &[Step],
    root: D,
    visits: &mut Visits,
) -> Result<Selection<D>, PathError> {
    let mut nodes = vec![root];
    let mut definite = true;
    for (i, step) in steps.iter().enumerate() {
        let last = i + 1 == steps.len();
        let mut next = Vec::new();
        for node in &nodes {
            visits.add(1)?;
            if let (Step::Names(names), true) = (step, last)
                && names.len() > 1
            {
                return union(names, &nodes, definite);
            }
            let applies = apply(step, node, &mut next, visits)?;
            // A definite beginning that leads nowhere is missing, however indefinite the rest; a last name may be absent.
            if definite && (!applies || (next.is_empty() && !last && step.is_definite())) {
                return Ok(Selection::Missing);
            }
        }
        visits.add(next.len())?;
        nodes = next;
        definite &= step.is_definite();
    }
    if !definite {
        return Ok(Selection::Many(nodes.into_iter().map(Hit::Node).collect()));
    }
    Ok(nodes.into_iter().next().map_or(Selection::Missing, |node| Selection::One(Hit::Node(node))))
}

/// Collects what a step selects; false when the node is of a kind the step cannot apply to.
fn apply<D: Document>(
    step: &Step,
    node: &D,
    next: &mut Vec<D>,
    visits: &mut Visits,
) -> Result<bool, PathError> {
    match step {
        Step::Names(names) => {
            next.extend(names.iter().filter_map(|name| node.member(name)));
            Ok(node.is_object())
        }
        Step::Any => {
            next.extend(node.members().or_else(|| node.elements()).unwrap_or_default());
            Ok(true)
        }
        Step::Indexes(indexes) => {
            let Some(elements) = node.elements() else { return Ok(false) };
            next.extend(
                indexes.iter().filter_map(|index| elements.get(position(*index, elements.len())?).cloned()),
            );
            Ok(true)
        }
        Step::Slice(from, to) => {
            let Some(elements) = node.elements() else { return Ok(false) };
            let clamp = |index: i64| position(index, elements.len()).unwrap_or(0).min(elements.len());
            let (from, to) = (from.map_or(0, clamp), to.map_or(elements.len(), clamp));
            next.extend(elements.get(from..to).unwrap_or_default().iter().cloned());
            Ok(true)
        }
        Step::Filter(filter) => {
            let candidates = match node.elements() {
                Some(elements) => elements,
                None if node.is_object() => vec![node.clone()],
                None => return Ok(false),
            };
            for candidate in candidates {
                if accepts(filter, &candidate, visits)? {
                    next.push(candidate);
                }
            }
            Ok(true)
        }
        Step::Scan => {
            let mut stack = vec![node.clone()];
            while let Some(node) = stack.pop() {
                visits.add(1)?;
                let children = node.members().or_else(|| node.elements());
                if let Some(children) = children {
                    visits.add(children.len())?;
                    stack.extend(children.into_iter().rev());
                    next.push(node);
                }
            }
            Ok(true)
        }
    }
}

fn union<D: Document>(names: &[String], nodes: &[D], definite: bool) -> Result<Selection<D>, PathError> {
    let pick = |node: &D| {
        Hit::Object(names.iter().filter_map(|name| Some((name.clone(), node.member(name)?))).collect())
    };
    let mut objects = nodes.iter().filter(|node| node.is_object()).map(pick);
    if !definite {
        return Ok(Selection::Many(objects.collect()));
    }
    Ok(objects.next().map_or(Selection::Missing, Selection::One))
}

/// An index from the front, or from the end when negative.
fn position(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

impl Document for &serde_json::Value {
    fn member(&self, name: &str) -> Option<Self> {
        self.as_object()?.get(name)
    }

    fn is_object(&self) -> bool {
        serde_json::Value::is_object(self)
    }

    fn members(&self) -> Option<Vec<Self>> {
        self.as_object().map(|object| object.values().collect())
    }

    fn elements(&self) -> Option<Vec<Self>> {
        self.as_array().map(|array| array.iter().collect())
    }

    fn scalar(&self) -> Scalar {
        match self {
            serde_json::Value::Null => Scalar::Null,
            serde_json::Value::Bool(b) => Scalar::Bool(*b),
            serde_json::Value::Number(n) => Scalar::Number(n.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(s) => Scalar::Text(s.clone()),
            serde_json::Value::Array(items) => Scalar::Compound(items.len()),
            serde_json::Value::Object(members) => Scalar::Compound(members.len()),
        }
    }
}
