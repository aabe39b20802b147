//! JSON paths as Jayway 2 reads them. Owns selection over anything shaped like JSON; must never change the document.

mod filter;
mod parse;
mod select;

pub use parse::parse;
pub(crate) use select::{Document, Scalar};
pub use select::{Hit, Selection};

use crate::limits;
use filter::Filter;

/// A compiled path.
#[derive(Clone, Debug)]
pub struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// True when the path can select at most one value: no wildcard, slice, union, filter or deep scan.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        self.steps.iter().all(Step::is_definite)
    }

    /// Selects from a JSON document.
    ///
    /// # Errors
    /// [`PathError::TooManyVisits`] when the path visits more than a million nodes.
    pub fn select<'a>(
        &self,
        document: &'a serde_json::Value,
    ) -> Result<Selection<&'a serde_json::Value>, PathError> {
        self.select_in(document).map(|(selection, _)| selection)
    }

    /// [`Path::select`] over any document, with the number of nodes visited.
    pub(crate) fn select_in<D: Document>(&self, document: D) -> Result<(Selection<D>, usize), PathError> {
        select::select(&self.steps, document)
    }
}

/// Why a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The text is no path.
    #[error("invalid JSON path at character {0}")]
    Syntax(usize),
    /// The path is longer than any sensible one.
    #[error("a JSON path is at most {} bytes long", limits::PATH_BYTES_MAX)]
    TooLong,
    /// The path would walk the document too often.
    #[error("the JSON path visits too many nodes")]
    TooManyVisits,
}

#[derive(Clone, Debug)]
enum Step {
    /// `.a`, `['a']`; several names select an object.
    Names(Vec<String>),
    /// `.*`, `[*]`
    Any,
    /// `[0]`, `[0,2]`; negative counts from the end.
    Indexes(Vec<i64>),
    /// `[from:to]`
    Slice(Option<i64>, Option<i64>),
    /// `[?(…)]`
    Filter(Filter),
    /// `..`
    Scan,
}

impl Step {
    fn is_definite(&self) -> bool {
        match self {
            Self::Names(names) => names.len() == 1,
            Self::Indexes(indexes) => indexes.len() == 1,
            Self::Any | Self::Slice(..) | Self::Filter(_) | Self::Scan => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(path: &str) -> Value {
        let document = json!({"a": {"b": [1, 2, 3, {"c": "x", "n": null}], "c": "y"}, "l": [{"id": 1, "t": "p"}, {"id": 2, "t": "q"}, {"x": 0}], "k.k": 5});
        match parse(path).unwrap().select(&document).unwrap() {
            Selection::Missing => json!("missing"),
            Selection::One(hit) => to_json(&hit),
            Selection::Many(hits) => Value::Array(hits.iter().map(to_json).collect()),
        }
    }

    fn to_json(hit: &Hit<&Value>) -> Value {
        match hit {
            Hit::Node(node) => (*node).clone(),
            Hit::Object(pairs) => {
                Value::Object(pairs.iter().map(|(name, node)| (name.clone(), (*node).clone())).collect())
            }
        }
    }

    #[test]
    fn selects() {
        for (path, expect) in [
            ("$.a.c", json!("y")),
            ("a.c", json!("y")),
            ("$['a']['c']", json!("y")),
            ("$['k.k']", json!(5)),
            ("$.a.b[0]", json!(1)),
            ("$.a.b[-1].c", json!("x")),
            ("$.a.b[9]", json!("missing")),
            ("$.nope", json!("missing")),
            ("$.nope.deeper", json!("missing")),
            ("$.nope[*]", json!("missing")),
            ("$.a.b[3].n", json!(null)),
            ("$.a.b[0,2]", json!([1, 3])),
            ("$.a.b[1:3]", json!([2, 3])),
            ("$.a.b[:2]", json!([1, 2])),
            ("$.a.b[-2:]", json!([3, {"c": "x", "n": null}])),
            ("$.l[*].id", json!([1, 2])),
            ("$..c", json!(["y", "x"])),
            ("$..id", json!([1, 2])),
            ("$.l[?(@.id>1)].t", json!(["q"])),
            ("$.l[?(@.t=='p')].id", json!([1])),
            ("$.l[?(@.id)]", json!([{"id": 1, "t": "p"}, {"id": 2, "t": "q"}])),
            ("$.l[?(@.id==1 || @.id==2)].id", json!([1, 2])),
            ("$.l[?(@.id>=1 && @.t!='p')].id", json!([2])),
            ("$.l[?(@.t=~/P/i)].id", json!([1])),
            ("$.l[?(@.t in ['q','z'])].id", json!([2])),
            ("$.l[0]['id','t']", json!({"id": 1, "t": "p"})),
            ("$.a.*", json!([[1, 2, 3, {"c": "x", "n": null}], "y"])),
        ] {
            assert_eq!(run(path), expect, "{path}");
        }
    }

    #[test]
    fn refuses_what_is_no_path() {
        for path in [
            "",
            "$.",
            "$[",
            "$.a[",
            "$.a['b",
            "$.a[?(",
            "$.a[?(@.b ==)]",
            "$...a",
            "$.a[x]",
            "$.l[?(@.t=~/[/)]",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
        let nested = format!("$[?({}@.a{})]", "(".repeat(1000), ")".repeat(1000));
        assert!(parse(&nested).is_err());
    }

    #[test]
    fn a_wide_scan_is_bounded() {
        let document = (0..40).fold(json!(1), |inner, _| json!({"a": inner, "b": 1}));
        let path = parse(&format!("${}", "..*".repeat(30))).unwrap();
        assert_eq!(path.select(&document).unwrap_err(), PathError::TooManyVisits);
    }
}
