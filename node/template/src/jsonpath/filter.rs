//! Filter expressions `?(@.price < 10 && @.kind == 'x')`. Owns their syntax and truth; must never select anything itself.

use super::parse::{Cursor, steps};
use super::select::{Document, Scalar, Selection, Visits, select_from};
use super::{PathError, Step};
use crate::limits;
use std::cmp::Ordering;

/// Deepest nesting of parentheses and negations.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Debug)]
pub(super) enum Filter {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    /// A lone operand: true when it selects something.
    Exists(Operand),
    Compare(Operand, Comparison, Operand),
    Matches(Operand, regex::Regex),
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Vec<Step>),
    Literal(Scalar),
    List(Vec<Scalar>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Contains,
    Size,
}

const COMPARISONS: [(&str, Comparison); 10] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessEqual),
    (">=", Comparison::GreaterEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("in ", Comparison::In),
    ("nin ", Comparison::NotIn),
    ("contains ", Comparison::Contains),
    ("size ", Comparison::Size),
];

pub(super) fn parse(cursor: &mut Cursor, depth: usize) -> Result<Filter, PathError> {
    let mut arms = vec![conjunction(cursor, depth)?];
    while cursor.eat("||") {
        arms.push(conjunction(cursor, depth)?);
    }
    Ok(if arms.len() == 1 { arms.remove(0) } else { Filter::Or(arms) })
}

fn conjunction(cursor: &mut Cursor, depth: usize) -> Result<Filter, PathError> {
    let mut arms = vec![term(cursor, depth)?];
    while cursor.eat("&&") {
        arms.push(term(cursor, depth)?);
    }
    Ok(if arms.len() == 1 { arms.remove(0) } else { Filter::And(arms) })
}

fn term(cursor: &mut Cursor, depth: usize) -> Result<Filter, PathError> {
    if depth > DEPTH_MAX {
        return cursor.fail();
    }
    cursor.blanks();
    let term = if cursor.eat("(") {
        let inner = parse(cursor, depth + 1)?;
        cursor.blanks();
        cursor.require(")")?;
        inner
    } else if cursor.eat("!") {
        Filter::Not(Box::new(term(cursor, depth + 1)?))
    } else {
        comparison(cursor)?
    };
    cursor.blanks();
    Ok(term)
}

fn comparison(cursor: &mut Cursor) -> Result<Filter, PathError> {
    let left = operand(cursor)?;
    cursor.blanks();
    if cursor.eat("=~") {
        cursor.blanks();
        return Ok(Filter::Matches(left, pattern(cursor)?));
    }
    for (text, comparison) in COMPARISONS {
        if cursor.eat(text) {
            cursor.blanks();
            return Ok(Filter::Compare(left, comparison, operand(cursor)?));
        }
    }
    match left {
        Operand::Path(_) => Ok(Filter::Exists(left)),
        _ => cursor.fail(),
    }
}

fn operand(cursor: &mut Cursor) -> Result<Operand, PathError> {
    match cursor.peek() {
        Some('@') => {
            cursor.bump();
            Ok(Operand::Path(steps(cursor)?))
        }
        Some('[') => {
            cursor.bump();
            let mut items = Vec::new();
            loop {
                cursor.blanks();
                if cursor.eat("]") {
                    return Ok(Operand::List(items));
                }
                items.push(literal(cursor)?);
                cursor.blanks();
                cursor.eat(",");
            }
        }
        _ => literal(cursor).map(Operand::Literal),
    }
}

/// Jayway 2.0 knows single quotes only: a double-quoted text keeps its quotes and so equals nothing.
fn literal(cursor: &mut Cursor) -> Result<Scalar, PathError> {
    match cursor.peek() {
        Some('\'') => cursor.quoted().map(Scalar::Text),
        Some('"') => cursor.quoted().map(|text| Scalar::Text(format!("\"{text}\""))),
        _ => {
            let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'));
            match word.as_str() {
                "" => cursor.fail(),
                "true" => Ok(Scalar::Bool(true)),
                "false" => Ok(Scalar::Bool(false)),
                "null" => Ok(Scalar::Null),
                _ => word.parse().map(Scalar::Number).or_else(|_| cursor.fail()),
            }
        }
    }
}

fn pattern(cursor: &mut Cursor) -> Result<regex::Regex, PathError> {
    cursor.require("/")?;
    let mut source = String::new();
    loop {
        match cursor.bump() {
            None => return cursor.fail(),
            Some('/') => break,
            Some('\\') if cursor.peek() == Some('/') => source.extend(cursor.bump()),
            Some(c) => source.push(c),
        }
    }
    let flags = cursor.take_while(|c| c.is_ascii_alphabetic());
    // Java's matches() covers the whole text.
    regex::RegexBuilder::new(&format!("^(?:{source})$"))
        .case_insensitive(flags.contains('i'))
        .size_limit(limits::PATTERN_MEMORY_BYTES_MAX)
        .build()
        .or_else(|_| cursor.fail())
}

/// True when the element satisfies the filter.
pub(super) fn accepts<D: Document>(
    filter: &Filter,
    element: &D,
    visits: &mut Visits,
) -> Result<bool, PathError> {
    visits.add(1)?;
    Ok(match filter {
        Filter::Or(arms) => {
            for arm in arms {
                if accepts(arm, element, visits)? {
                    return Ok(true);
                }
            }
            false
        }
        Filter::And(arms) => {
            for arm in arms {
                if !accepts(arm, element, visits)? {
                    return Ok(false);
                }
            }
            true
        }
        Filter::Not(inner) => !accepts(inner, element, visits)?,
        Filter::Exists(operand) => value(operand, element, visits)?.is_some(),
        Filter::Matches(operand, pattern) => match value(operand, element, visits)? {
            Some(Scalar::Text(text)) => pattern.is_match(&text),
            _ => false,
        },
        Filter::Compare(left, comparison, right) => {
            let first = value(left, element, visits)?;
            match (comparison, right) {
                (Comparison::In | Comparison::NotIn, Operand::List(list)) => {
                    let found =
                        first.as_ref().is_some_and(|first| list.iter().any(|item| equal(first, item)));
                    found == (*comparison == Comparison::In)
                }
                _ => compare(*comparison, first, value(right, element, visits)?),
            }
        }
    })
}

fn value<D: Document>(
    operand: &Operand,
    element: &D,
    visits: &mut Visits,
) -> Result<Option<Scalar>, PathError> {
    match operand {
        Operand::Literal(scalar) => Ok(Some(scalar.clone())),
        Operand::List(_) => Ok(None),
        Operand::Path(steps) => Ok(match select_from(steps, element.clone(), visits)? {
            Selection::One(super::Hit::Node(node)) => Some(node.scalar()),
            Selection::Many(hits) if !hits.is_empty() => Some(Scalar::Compound(hits.len())),
            Selection::One(super::Hit::Object(_)) => Some(Scalar::Compound(1)),
            Selection::Many(_) | Selection::Missing => None,
        }),
    }
}

fn compare(comparison: Comparison, left: Option<Scalar>, right: Option<Scalar>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return comparison == Comparison::NotEqual };
    let order = match (&left, &right) {
        (Scalar::Number(a), Scalar::Number(b)) => a.partial_cmp(b),
        (Scalar::Text(a), Scalar::Text(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match comparison {
        Comparison::Equal => equal(&left, &right),
        Comparison::NotEqual => !equal(&left, &right),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Contains => {
            matches!((&left, &right), (Scalar::Text(a), Scalar::Text(b)) if a.contains(b.as_str()))
        }
        Comparison::Size => {
            matches!((&left, &right), (Scalar::Compound(n), Scalar::Number(m)) if *n as f64 == *m)
        }
        Comparison::In | Comparison::NotIn => false,
    }
}

fn equal(left: &Scalar, right: &Scalar) -> bool {
    match (left, right) {
        (Scalar::Null, Scalar::Null) => true,
        (Scalar::Bool(a), Scalar::Bool(b)) => a == b,
        (Scalar::Number(a), Scalar::Number(b)) => a == b,
        (Scalar::Text(a), Scalar::Text(b)) => a == b,
        _ => false,
    }
}
