//! Resources: the path tree of a REST API. Owns its rules; must never look inside methods.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_proto::{
    document::{Document, Resource},
    id::short_id,
    key,
    limits::RESOURCES_PER_API_MAX,
};

use super::{
    draft::{Draft, require_api, resource},
    unsupported::Shape,
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    page::page,
    patch::{self, Kind, REPLACE, Rule, Style, Table},
};

const PATCHES: Table = Table {
    style: Style::Listed,
    rules: &[
        Rule { path: "/parentId", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/pathPart", ops: REPLACE, kind: Kind::Text },
    ],
};

/// `CreateResource`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createResourceInput", call.body)?;
    let path_part = input.required("pathPart")?;
    input.finish(Shape::Resource)?;
    let mut draft = Draft::open(call)?;
    let parent = draft.resource(call.param("parent_id"))?;
    let tree = Tree::read(call)?;
    if tree.0.len() >= RESOURCES_PER_API_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of resources for this API has been reached: {RESOURCES_PER_API_MAX}"
        )));
    }
    tree.check_place(None, &parent, &path_part)?;
    let fresh = Resource {
        id: call.stamps.id(short_id, |id| tree.0.contains_key(id))?,
        parent_id: Some(parent.id.clone()),
        path: join(&parent.path, &path_part),
        path_part: Some(path_part),
        ..Resource::default()
    };
    draft.put_resource(&fresh);
    draft.commit(Answer::created(summary(&fresh)))
}

/// `GetResource`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let found = resource(call)?;
    read(Answer::ok(if embeds_methods(call) { print(&found) } else { summary(&found) }))
}

/// `GetResources`, sorted by path.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    require_api(call)?;
    let found = call.view.resources(call.api_id())?.into_iter().map(|found| found.document);
    let mut rows: Vec<(String, Resource)> = found.map(|resource| (resource.path.clone(), resource)).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let embed = embeds_methods(call);
    let print = |resource: Resource| if embed { print(&resource) } else { summary(&resource) };
    read(Answer::ok(page(rows, call.query, print)?))
}

/// `UpdateResource`: renames and moves; the paths of the whole subtree follow.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateResourceInput", call.body, &[])?;
    let mut draft = Draft::open_or(call, ApiError::no_resource())?;
    let old = draft.resource(call.param("resource_id"))?;
    let mut form = json!({ "parentId": old.parent_id, "pathPart": old.path_part });
    patch::apply(&PATCHES, &mut form, &patches)?;
    let field = |name: &str| form[name].as_str().map(str::to_owned);
    let (parent_id, path_part) = (field("parentId"), field("pathPart"));
    let (Some(old_parent), Some(old_part)) = (&old.parent_id, &old.path_part) else {
        return match (path_part, parent_id) {
            (Some(_), _) => Err(ApiError::bad_request("Root resource cannot update its pathPart.")),
            (_, Some(_)) => Err(ApiError::bad_request("Root resource cannot update its parentId.")),
            (None, None) => draft.commit(Answer::ok(summary(&old))),
        };
    };
    let parent_id = parent_id.unwrap_or_else(|| old_parent.clone());
    let path_part = path_part.unwrap_or_else(|| old_part.clone());
    let parent = draft.resource(&parent_id)?;
    let tree = Tree::read(call)?;
    let subtree = tree.below(&old.id);
    if subtree.contains(&parent_id) {
        return Err(ApiError::bad_request("Resources cannot be cyclical."));
    }
    tree.check_place(Some(&old.id), &parent, &path_part)?;
    if is_greedy(&path_part) && subtree.len() > 1 {
        return Err(greedy_parent(&path_part));
    }
    let (old_path, new_path) = (old.path.clone(), join(&parent.path, &path_part));
    for id in &subtree {
        let mut moved = draft.resource(id)?;
        moved.path = format!("{new_path}{}", moved.path.strip_prefix(&old_path).unwrap_or_default());
        if moved.id == old.id {
            moved.parent_id = Some(parent_id.clone());
            moved.path_part = Some(path_part.clone());
        }
        draft.put_resource(&moved);
    }
    let answer = Resource { parent_id: Some(parent_id), path_part: Some(path_part), path: new_path, ..old };
    draft.commit(Answer::ok(summary(&answer)))
}

/// `DeleteResource`: the resource with everything below it.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let mut draft = Draft::open_or(call, ApiError::no_resource())?;
    let old = draft.resource(call.param("resource_id"))?;
    if old.parent_id.is_none() {
        return Err(ApiError::bad_request("Root resource cannot be deleted."));
    }
    for id in Tree::read(call)?.below(&old.id) {
        let gone = key::resource(&draft.api.id, &id);
        draft.transaction().delete(gone);
    }
    draft.commit(Answer::accepted())
}

/// Whether a path part takes the rest of the path: `{name+}`.
pub(crate) fn is_greedy(path_part: &str) -> bool {
    path_part.ends_with("+}")
}

/// Whether a path part takes any segment: `{name}` or `{name+}`.
pub(crate) fn is_variable(path_part: &str) -> bool {
    path_part.starts_with('{')
}

/// Whether a path part is a literal or a whole variable in AWS's alphabet.
pub(crate) fn is_path_part(path_part: &str) -> bool {
    let inner = path_part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let name = inner.map_or(path_part, |inner| inner.strip_suffix('+').unwrap_or(inner));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-:,".contains(&b);
    !name.is_empty() && name.bytes().all(allowed)
}

/// The path of a child.
pub(crate) fn join(parent: &str, path_part: &str) -> String {
    format!("{}/{path_part}", parent.trim_end_matches('/'))
}

/// A resource without its methods: reading only this of every sibling keeps large APIs quick to edit.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Outline {
    id: String,
    parent_id: Option<String>,
    path_part: Option<String>,
}

impl Document for Outline {
    const NOUN: &'static str = Resource::NOUN;
}

/// The outlines of all resources of one API by id.
struct Tree(BTreeMap<String, Outline>);

impl Tree {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let found = call.view.scan::<Outline>(&key::resource_prefix(call.api_id()))?.into_iter();
        Ok(Self(found.map(|found| (found.document.id.clone(), found.document)).collect()))
    }

    /// Ids of a resource and of everything below it.
    fn below(&self, id: &str) -> BTreeSet<String> {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for resource in self.0.values() {
            if let Some(parent) = &resource.parent_id {
                children.entry(parent).or_default().push(&resource.id);
            }
        }
        let (mut found, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(next) = open.pop() {
            if found.insert(next.to_owned()) {
                open.extend(children.get(next).into_iter().flatten());
            }
        }
        found
    }

    /// Whether `path_part` may stand below `parent`, next to what is there; `itself` is not its own sibling.
    fn check_place(&self, itself: Option<&str>, parent: &Resource, path_part: &str) -> Result<(), ApiError> {
        if !is_path_part(path_part) {
            return Err(ApiError::bad_request(
                "Resource's path part only allow a-zA-Z0-9._-: and curly braces at the beginning and the end and an optional plus sign before the closing brace.",
            ));
        }
        if let Some(part) = parent.path_part.as_deref().filter(|part| is_greedy(part)) {
            return Err(greedy_parent(part));
        }
        let is_sibling =
            |other: &&Outline| other.parent_id.as_deref() == Some(&*parent.id) && Some(&*other.id) != itself;
        for sibling in self.0.values().filter(is_sibling) {
            let other = sibling.path_part.as_deref().unwrap_or_default();
            if other == path_part {
                return Err(ApiError::conflict(format!(
                    "Another resource with the same parent already has this name: {path_part}"
                )));
            }
            if is_variable(other) && is_variable(path_part) {
                return Err(ApiError::bad_request(format!(
                    "A sibling ({other}) of this resource already has a variable path part -- only one is allowed"
                )));
            }
        }
        Ok(())
    }
}

fn greedy_parent(path_part: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Cannot create a child of a resource with a greedy path variable: {path_part}"
    ))
}

fn embeds_methods(call: &Call<'_>) -> bool {
    call.query.all("embed").any(|what| what == "methods")
}

/// Without `embed=methods` AWS names the methods and prints nothing of them.
fn summary(resource: &Resource) -> Value {
    let names = resource.resource_methods.keys();
    let methods: serde_json::Map<String, Value> = names.map(|name| (name.clone(), json!({}))).collect();
    let mut value = print(&Resource { resource_methods: Default::default(), ..resource.clone() });
    if !methods.is_empty() {
        value["resourceMethods"] = methods.into();
    }
    value
}
