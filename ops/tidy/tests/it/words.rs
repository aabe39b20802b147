//! Words that must not appear: vague names, leftovers, and places that exist on one machine only.

use crate::tree::{report, sources};

const VAGUE: [&str; 5] = ["Manager", "Helper", "Utils", "Common", "Context"];
const LEFTOVERS: [&str; 6] = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!("];

#[test]
fn types_have_telling_names() {
    let mut complaints = Vec::new();
    for source in sources(&["rs"]) {
        for (number, line) in source.text.lines().enumerate() {
            let line = line.trim_start();
            let declared = ["struct ", "enum ", "trait ", "type ", "mod "].iter().find_map(|word| {
                line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix(word)
            });
            let Some(name) = declared
                .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
            else {
                continue;
            };
            if VAGUE.iter().any(|vague| name.ends_with(vague))
                || ["util", "utils", "common", "helpers", "misc"].contains(&name)
            {
                complaints.push(format!("{}:{}: {name}", source.path, number + 1));
            }
        }
    }
    report("Names are the field's nouns; these say nothing.", &complaints);
}

#[test]
fn nothing_is_left_over() {
    let mut complaints = Vec::new();
    for source in
        sources(&["rs", "py", "sh", "md", "toml"]).iter().filter(|s| !s.path.starts_with("ops/tidy/"))
    {
        for (number, line) in source.text.lines().enumerate() {
            if LEFTOVERS.iter().any(|word| line.contains(word)) {
                complaints.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    report("No leftovers: do it, or leave it out.", &complaints);
}

#[test]
fn no_place_of_one_machine() {
    let places: Vec<String> = ["work", "root", "home"].iter().map(|place| format!("/{place}/")).collect();
    let mut complaints = Vec::new();
    for source in sources(&["rs", "py", "sh", "md", "toml", "yaml", "json"]) {
        for (number, line) in source.text.lines().enumerate() {
            if places
                .iter()
                .any(|place| line.contains(&format!("\"{place}")) || line.contains(&format!(" {place}")))
            {
                complaints.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    report("No path of one machine.", &complaints);
}
