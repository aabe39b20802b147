//! Paths to resources: base path, path items, ancestors, and the rules of the path tree.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_proto::document::{Map, Method};
use tidegate_proto::limits::RESOURCES_PER_API_MAX;

use super::super::limits::PATH_BYTES_MAX;
use super::super::{Basepath, Format, ImportedResource};
use super::interface::{self, Site};
use super::reading::{Fields, Reading, quote, scalar};

/// Keys of a path item that are methods, with their verbs; the last is API Gateway's catch-all.
const METHODS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("x-amazon-apigateway-any-method", "ANY"),
];
const PATH_ITEM: &[&str] = &["parameters", "summary", "description", "servers", "$ref", "trace"];

/// Reads all paths into resources, parents before children.
pub(super) fn read(reading: &mut Reading<'_>, basepath: Basepath) -> Vec<ImportedResource> {
    let root = reading.root;
    let Some(paths) = reading.object(root, "paths", "document") else {
        reading.notes.error("Parse issue: attribute paths is missing".into());
        return Vec::new();
    };
    let prefix = base(reading, basepath);
    let mut tree = Tree::new();
    let (extensions, paths): (Vec<_>, Vec<_>) = paths.iter().partition(|(path, _)| path.starts_with("x-"));
    let extensions = extensions.into_iter().map(|(name, _)| (name.clone(), Value::Null)).collect();
    reading.check_fields(&extensions, &[], "paths");
    for (path, item) in paths {
        let Some(full) = tree.insert(reading, &prefix, path) else { continue };
        if let Some(methods) = methods(reading, path, &full, item) {
            let known = tree.resources.entry(full.clone()).or_default();
            for (verb, method) in methods {
                if known.insert(verb.clone(), method).is_some() {
                    reading.notes.error(format!("Method {verb} on path '{full}' is defined more than once"));
                }
            }
        }
    }
    tree.resources.into_iter().map(|(path, methods)| ImportedResource { path, methods }).collect()
}

fn methods<'d>(reading: &mut Reading<'d>, path: &str, full: &str, item: &'d Value) -> Option<Map<Method>> {
    let place = format!("paths.'{path}'");
    let item = reading.resolve(item, &place)?;
    if item.contains_key("servers") {
        reading.notes.warn(format!("{place}.servers is not supported: the server is that of the document"));
    }
    if item.contains_key("trace") {
        reading.notes.warn(format!("{place}(trace) is not supported: API Gateway has no TRACE method"));
    }
    let known: Vec<&str> = METHODS.iter().map(|(key, _)| *key).chain(PATH_ITEM.iter().copied()).collect();
    reading.check_fields(item, &known, &place);
    let shared = reading.array(item, "parameters", &place);
    let mut found = Map::new();
    for (key, verb) in METHODS {
        if let Some(operation) = item.get(key) {
            let site = Site { path, full, key, verb };
            let Some(operation) = reading.resolve(operation, &site.place("")) else { continue };
            found.insert(verb.to_owned(), interface::read(reading, &site, shared, operation));
        }
    }
    Some(found)
}

/// The path tree so far: methods by full path, and the variable child of each parent.
struct Tree {
    resources: BTreeMap<String, Map<Method>>,
    variables: BTreeMap<String, String>,
}

impl Tree {
    fn new() -> Self {
        Self { resources: BTreeMap::from([("/".to_owned(), Map::new())]), variables: BTreeMap::new() }
    }

    /// Adds `path` and its ancestors below `prefix`; gives its full path, or notes why there is none.
    fn insert(&mut self, reading: &mut Reading<'_>, prefix: &str, path: &str) -> Option<String> {
        let result = self.grow(reading, prefix, path);
        if let Err(reason) = &result {
            reading.notes.error(format!("Unable to create resource at path {}: {reason}", quote(path)));
        }
        result.ok()
    }

    fn grow(&mut self, reading: &mut Reading<'_>, prefix: &str, path: &str) -> Result<String, String> {
        if prefix.len() + path.len() > PATH_BYTES_MAX {
            return Err(format!("The path is longer than {PATH_BYTES_MAX} bytes"));
        }
        let Some(below) = path.strip_prefix('/') else { return Err("The path must start with /".into()) };
        let below = match below.strip_suffix('/') {
            Some(trimmed) => {
                reading.notes.warn(format!("Path {} is imported without its last slash", quote(path)));
                trimmed
            }
            None => below,
        };
        let segments = prefix.split('/').filter(|segment| !segment.is_empty());
        let below = (!below.is_empty()).then(|| below.split('/')).into_iter().flatten();
        let mut full = String::new();
        for segment in segments.chain(below) {
            if full.ends_with("+}") {
                return Err(format!(
                    "Cannot create a child of a resource with a greedy path variable: {}",
                    full.rsplit('/').next().unwrap_or_default()
                ));
            }
            let variable = is_variable(segment)?;
            if variable {
                let other = self.variables.entry(full.clone()).or_insert_with(|| segment.to_owned());
                if other != segment {
                    return Err(format!(
                        "A sibling ({other}) of this resource already has a variable path part -- only one is allowed"
                    ));
                }
            }
            full.push('/');
            full.push_str(segment);
            self.resources.entry(full.clone()).or_default();
            if self.resources.len() > RESOURCES_PER_API_MAX {
                return Err(format!("The document has more than {RESOURCES_PER_API_MAX} resources"));
            }
        }
        Ok(if full.is_empty() { "/".into() } else { full })
    }
}

/// Whether a path part is `{name}` or `{name+}`; an error when API Gateway would not take it.
fn is_variable(segment: &str) -> Result<bool, String> {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:,".contains(&byte))
    };
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => {
            let name = name.strip_suffix('+').unwrap_or(name);
            if plain(name) { Ok(true) } else { Err(INVALID_PART.into()) }
        }
        None if plain(segment) => Ok(false),
        None => Err(INVALID_PART.into()),
    }
}

const INVALID_PART: &str = "Resource's path part only allow a-zA-Z0-9._-,: or a valid greedy path variable and curly braces at the beginning and the end.";

/// The path before every path, without its last slash.
fn base(reading: &mut Reading<'_>, basepath: Basepath) -> String {
    let whole = match basepath {
        Basepath::Ignore => return String::new(),
        Basepath::Prepend | Basepath::Split => match reading.format {
            Format::Swagger => reading.text(reading.root, "basePath", "document").unwrap_or_default(),
            Format::Oas30 => server_path(reading),
        },
    };
    let whole = whole.trim_matches('/');
    let kept = match basepath {
        Basepath::Split => whole.split_once('/').map_or("", |(_, rest)| rest),
        Basepath::Ignore | Basepath::Prepend => whole,
    };
    if kept.is_empty() { String::new() } else { format!("/{kept}") }
}

/// The path of the first server that has a variable `basePath`, else of the first server.
fn server_path(reading: &mut Reading<'_>) -> String {
    let servers: Vec<&Fields> =
        reading.array(reading.root, "servers", "document").iter().filter_map(Value::as_object).collect();
    let variables =
        |server: &Fields| server.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
    let chosen =
        servers.iter().find(|server| variables(server).contains_key("basePath")).or_else(|| servers.first());
    let Some(server) = chosen else { return String::new() };
    let mut url = scalar(server.get("url")).unwrap_or_default();
    for (name, variable) in &variables(server) {
        if let Some(default) = scalar(variable.get("default")) {
            if url.len().max(default.len()) > PATH_BYTES_MAX {
                reading.notes.error(format!("The URL of the server is longer than {PATH_BYTES_MAX} bytes"));
                return String::new();
            }
            url = url.replace(&format!("{{{name}}}"), &default);
        }
    }
    let after_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let path = after_scheme.split_once('/').map_or("", |(_, path)| path);
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}
