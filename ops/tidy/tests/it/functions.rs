//! How long a function may be. Relies on rustfmt: a body ends at the first closing brace in the column of its `fn`.

use crate::tree::{report, sources};

const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn no_function_is_too_long() {
    let mut complaints = Vec::new();
    for source in sources(&["rs"]) {
        for (name, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES_MAX {
                complaints.push(format!(
                    "{}: {name} has {lines} lines, the ceiling is {FUNCTION_LINES_MAX}",
                    source.path
                ));
            }
        }
    }
    report("A function fits on a page.", &complaints);
}

/// Name and length of every function with a body of its own lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let head = lines[start..].iter().find(|l| l.ends_with('{') || l.ends_with(';'));
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|l| **l == close);
        if let (Some(end), true) = (end, head.is_some_and(|l| l.ends_with('{'))) {
            found.push((name, end + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    if line.starts_with("//") || line.ends_with('}') || line.ends_with(';') {
        return None;
    }
    let rest = [
        "fn ",
        "pub fn ",
        "pub(crate) fn ",
        "pub(super) fn ",
        "async fn ",
        "pub async fn ",
        "pub(crate) async fn ",
        "pub(super) async fn ",
        "const fn ",
        "pub const fn ",
        "unsafe fn ",
        "pub unsafe fn ",
    ]
    .iter()
    .find_map(|start| line.strip_prefix(start))?;
    Some(rest.split(['(', '<']).next().unwrap_or(rest).to_owned())
}

#[test]
fn the_counter_counts() {
    let text = "fn a() {\n    x\n}\n\nimpl B {\n    pub async fn c(\n        d: u8,\n    ) -> u8 {\n        d\n    }\n    fn one() {}\n}\n";
    assert_eq!(functions(text), [("a".into(), 3), ("c".into(), 5)]);
}
