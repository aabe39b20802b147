//! The router against a matcher that tries every route.

use std::sync::Arc;

use arbitrary::Unstructured;
use tidegate_gateway::{Address, Snapshot, StageTable};
use tidegate_proto::document::{ApiDefinition, Integration, Map, Method, Resource, RestApi, Stage};

use crate::{Checked, several};

/// Words that begin alike, end alike, are empty, or look like something else.
const WORDS: [&str; 10] = ["a", "ab", "abc", "users", "user-1", "user-2", "%20", "..", "x", ""];
const VERBS: [&str; 4] = ["GET", "POST", "HEAD", "ANY"];

type Route = (&'static str, String);

pub(crate) fn check(chance: &mut Unstructured<'_>) -> Checked {
    let routes = several(chance, 0, 24, route)?;
    let Some(table) = table(&routes) else { return Ok(Ok(())) };
    let snapshot = Snapshot::new(1, 1, "r", "1", vec![Arc::new(table)]);
    for _ in 0..20 {
        let path: String =
            several(chance, 0, 6, |chance| Ok(format!("/{}", chance.choose(&WORDS)?)))?.concat();
        let verb = *chance.choose(&["GET", "POST", "HEAD", "DELETE", "ANY", "get"])?;
        let address = Address { api: b"a", stage: "s", rest: &path, by_host: false };
        let found = snapshot.route(Some(address), verb).ok();
        let found = found.map(|routed| {
            let values: Vec<String> =
                routed.path_parameters(&path).map(|(_, value)| value.to_owned()).collect();
            (routed.resource_path().to_owned(), values)
        });
        let expect = slowly(&routes, verb, &path);
        if found != expect {
            return Ok(Err(format!("{verb} {path:?} goes to {found:?} instead of {expect:?}: {routes:?}")));
        }
    }
    Ok(Ok(()))
}

fn route(chance: &mut Unstructured<'_>) -> arbitrary::Result<Route> {
    let mut path = String::new();
    for _ in 0..chance.int_in_range(0..=4)? {
        match chance.int_in_range(0..=7)? {
            0 => {
                path.push_str("/{rest+}");
                break;
            }
            1 | 2 => path.push_str("/{id}"),
            _ => path = format!("{path}/{}", chance.choose(&WORDS[..6])?),
        }
    }
    Ok((*chance.choose(&VERBS)?, if path.is_empty() { "/".to_owned() } else { path }))
}

fn table(routes: &[Route]) -> Option<StageTable> {
    let mut resources: Map<Resource> = Map::new();
    for (verb, path) in routes {
        let number = resources.len();
        let resource = resources.entry(path.clone()).or_insert_with(|| Resource {
            id: format!("r{number}"),
            path: path.clone(),
            ..Resource::default()
        });
        let integration = Integration { kind: "MOCK".into(), ..Integration::default() };
        let method = Method {
            http_method: (*verb).into(),
            authorization_type: "NONE".into(),
            method_integration: Some(integration),
            ..Method::default()
        };
        resource.resource_methods.insert((*verb).into(), method);
    }
    let api = RestApi { id: "a".into(), ..RestApi::default() };
    let resources = resources.into_values().collect();
    let definition = ApiDefinition { api, resources, ..ApiDefinition::default() };
    StageTable::compile(&definition, &Stage { stage_name: "s".into(), ..Stage::default() }).ok()
}

/// Of all routes that match, the one whose segments are most specific, from the left; its own verb before `ANY`.
fn slowly(routes: &[Route], verb: &str, path: &str) -> Option<(String, Vec<String>)> {
    let is_verb = VERBS.contains(&verb) && verb != "ANY" || verb == "DELETE";
    let fitting = routes.iter().filter(|(own, _)| is_verb && (*own == verb || *own == "ANY"));
    let ranked = fitting.filter_map(|(own, route)| {
        let (ranks, values) = fit(route, path)?;
        Some(((ranks, *own == "ANY"), (route.clone(), values)))
    });
    ranked.min_by(|a, b| a.0.cmp(&b.0)).map(|(_, found)| found)
}

/// How specific each segment of a route is that fits, and what its parameters are.
fn fit(route: &str, path: &str) -> Option<(Vec<u8>, Vec<String>)> {
    let path = path.trim_matches('/');
    let mut rest: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    let (mut ranks, mut values) = (Vec::new(), Vec::new());
    for segment in route.split('/').filter(|segment| !segment.is_empty()) {
        let first = *rest.first()?;
        if segment.ends_with("+}") {
            ranks.push(2);
            values.push(rest.join("/"));
            rest.clear();
        } else if segment.starts_with('{') {
            ranks.push(1);
            values.push((!first.is_empty()).then(|| first.to_owned())?);
            rest.remove(0);
        } else {
            ranks.push((segment == first).then_some(0)?);
            rest.remove(0);
        }
    }
    rest.is_empty().then_some((ranks, values))
}
