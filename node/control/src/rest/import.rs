//! `ImportRestApi` and `PutRestApi`. Owns how an imported document becomes or changes an API; must never parse OpenAPI itself.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_proto::{
    document::{ApiKeySource, Map, Model, Resource, RestApi},
    id::short_id,
    key,
    limits::{MODELS_PER_API_MAX, RESOURCES_PER_API_MAX},
};

use super::{
    draft::Draft,
    resource::is_path_part,
    rest_api::{self, Content},
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome},
    error::ApiError,
    openapi::{self, Basepath, ImportOptions, Imported},
};

/// `ImportRestApi`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut imported = read(call)?;
    let mut api = RestApi {
        name: imported.name.clone(),
        description: imported.description.clone(),
        created_date: call.stamps.now_s,
        version: imported.version.clone(),
        warnings: imported.warnings.clone(),
        binary_media_types: imported.binary_media_types.clone(),
        api_key_source: imported.api_key_source.unwrap_or_default(),
        endpoint_configuration: rest_api::complete_endpoint(imported.endpoint.clone())?,
        tags: imported.tags.clone(),
        disable_execute_api_endpoint: imported.disable_execute_api_endpoint.unwrap_or_default(),
        ..RestApi::default()
    };
    api.id = rest_api::new_id(call, &api)?;
    imported.bind(&api.id);
    let content = merge(call, Content::default(), &imported)?;
    let transaction = rest_api::insert(call, &mut api, content)?;
    Ok((transaction, Answer::created(print(&api))))
}

/// `PutRestApi`: `merge` adds and replaces what the document names, `overwrite` also drops the rest.
pub(crate) fn put(call: &Call<'_>) -> Outcome {
    let overwrite = match call.query.get("mode") {
        None | Some("merge") => false,
        Some("overwrite") => true,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "Invalid mode '{other}' specified. Must be one of: [merge, overwrite]"
            )));
        }
    };
    let mut imported = read(call)?;
    let mut draft = Draft::open(call)?;
    imported.bind(&draft.api.id);
    apply_settings(&mut draft.api, &imported, overwrite)?;
    rest_api::check(&draft.api)?;
    let old: Vec<Resource> =
        call.view.resources(call.api_id())?.into_iter().map(|found| found.document).collect();
    let base = match overwrite {
        false => Content {
            resources: old,
            models: call.view.models(call.api_id())?.into_iter().map(|found| found.document).collect(),
        },
        // The root keeps its id, so that what refers to it stays valid.
        true => Content {
            resources: old
                .into_iter()
                .filter(|resource| resource.parent_id.is_none())
                .map(|root| Resource { resource_methods: Map::new(), ..root })
                .collect(),
            models: Vec::new(),
        },
    };
    let content = merge(call, base, &imported)?;
    if overwrite {
        draft.transaction().delete_prefix(key::resource_prefix(call.api_id()));
        draft.transaction().delete_prefix(key::model_prefix(call.api_id()));
    }
    let mut api = draft.api.clone();
    rest_api::write_content(draft.transaction(), &mut api, content);
    draft.api = api;
    let mut printed = print(&draft.api);
    if draft.api.tags.is_empty() {
        printed["tags"] = json!({});
    }
    draft.commit(Answer::ok(printed))
}

fn read(call: &Call<'_>) -> Result<Imported, ApiError> {
    let text = call.query.get("basepath").unwrap_or("ignore");
    let basepath = Basepath::parse(text).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Invalid basepath '{text}' specified. Must be one of: [ignore, prepend, split]"
        ))
    })?;
    let known = ["mode", "failonwarnings", "basepath"];
    let parameters = call
        .query
        .pairs()
        .filter(|(name, _)| !known.contains(name) && !name.starts_with("X-Amz-"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let fail_on_warnings = call.query.get("failonwarnings") == Some("true");
    let options = ImportOptions { basepath, fail_on_warnings, parameters };
    openapi::import(call.body, &options).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn apply_settings(api: &mut RestApi, imported: &Imported, overwrite: bool) -> Result<(), ApiError> {
    api.name.clone_from(&imported.name);
    api.warnings.clone_from(&imported.warnings);
    if overwrite || imported.description.is_some() {
        api.description.clone_from(&imported.description);
    }
    if overwrite || imported.version.is_some() {
        api.version.clone_from(&imported.version);
    }
    if overwrite {
        api.binary_media_types.clear();
    }
    for kind in &imported.binary_media_types {
        if !api.binary_media_types.contains(kind) {
            api.binary_media_types.push(kind.clone());
        }
    }
    let usual_source = if overwrite { ApiKeySource::default() } else { api.api_key_source };
    api.api_key_source = imported.api_key_source.unwrap_or(usual_source);
    if imported.endpoint.is_some() {
        api.endpoint_configuration = rest_api::complete_endpoint(imported.endpoint.clone())?;
    }
    api.disable_execute_api_endpoint =
        imported.disable_execute_api_endpoint.unwrap_or(api.disable_execute_api_endpoint);
    api.tags.extend(imported.tags.clone());
    Ok(())
}

/// Puts the imported tree and models over what is there; paths that exist keep their ids, methods are replaced one by one.
fn merge(call: &Call<'_>, base: Content, imported: &Imported) -> Result<Content, ApiError> {
    let mut tree: BTreeMap<String, Resource> =
        base.resources.into_iter().map(|resource| (resource.path.clone(), resource)).collect();
    let mut ids: std::collections::BTreeSet<String> =
        tree.values().map(|resource| resource.id.clone()).collect();
    for source in &imported.resources {
        let parent = parent_of(&source.path);
        let parent_id = match parent {
            None => None,
            Some((path, part)) => {
                check_place(&tree, path, part)?;
                tree.get(path).map(|resource| resource.id.clone())
            }
        };
        let entry = match tree.entry(source.path.clone()) {
            std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => {
                let id = call.stamps.id(short_id, |id| ids.contains(id))?;
                ids.insert(id.clone());
                slot.insert(Resource {
                    id,
                    parent_id,
                    path_part: parent.map(|(_, part)| part.to_owned()),
                    path: source.path.clone(),
                    ..Resource::default()
                })
            }
        };
        for (verb, method) in &source.methods {
            let mut method = method.clone();
            if let Some(integration) = &mut method.method_integration
                && integration.cache_namespace.is_empty()
            {
                integration.cache_namespace.clone_from(&entry.id);
            }
            entry.resource_methods.insert(verb.clone(), method);
        }
    }
    if tree.len() > RESOURCES_PER_API_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of resources for this API has been reached: {RESOURCES_PER_API_MAX}"
        )));
    }
    Ok(Content {
        resources: tree.into_values().collect(),
        models: merge_models(call, base.models, imported)?,
    })
}

fn merge_models(call: &Call<'_>, base: Vec<Model>, imported: &Imported) -> Result<Vec<Model>, ApiError> {
    let mut models: Map<Model> = base.into_iter().map(|model| (model.name.clone(), model)).collect();
    for (name, model) in &imported.models {
        let id = match models.get(name) {
            Some(old) => old.id.clone(),
            None => call.stamps.id(short_id, |id| models.values().any(|model| model.id == id))?,
        };
        models.insert(name.clone(), Model { id, name: name.clone(), ..model.clone() });
    }
    match models.len() <= MODELS_PER_API_MAX {
        true => Ok(models.into_values().collect()),
        false => Err(ApiError::limit_exceeded(format!(
            "Maximum number of models for this API has been reached: {MODELS_PER_API_MAX}"
        ))),
    }
}

/// Path of the parent and own path part; `None` for the root.
fn parent_of(path: &str) -> Option<(&str, &str)> {
    let (parent, part) = path.rsplit_once('/')?;
    (!part.is_empty()).then_some((if parent.is_empty() { "/" } else { parent }, part))
}

/// The rules of `CreateResource`, for a whole document: AWS reports them with the path at fault.
fn check_place(tree: &BTreeMap<String, Resource>, parent: &str, part: &str) -> Result<(), ApiError> {
    let at = format!("{}/{part}", parent.trim_end_matches('/'));
    let refuse = |rule: &str| {
        Err(ApiError::bad_request(format!(
            "Errors found during import:\n\tUnable to create resource at path '{at}': {rule}"
        )))
    };
    if !is_path_part(part) {
        return refuse(
            "Resource's path part only allow a-zA-Z0-9._-: and curly braces at the beginning and the end and an optional plus sign before the closing brace.",
        );
    }
    if let Some(greedy) = tree.get(parent).and_then(|p| p.path_part.as_deref()).filter(|p| p.ends_with("+}"))
    {
        return refuse(&format!("Cannot create a child of a resource with a greedy path variable: {greedy}"));
    }
    if !part.starts_with('{') {
        return Ok(());
    }
    let below = format!("{}/{{", parent.trim_end_matches('/'));
    let other = tree
        .range(below.clone()..)
        .take_while(|(path, _)| path.starts_with(&below))
        .filter_map(|(path, resource)| Some((path, resource.path_part.as_deref()?)))
        .find(|(path, other)| *other != part && parent_of(path).is_some_and(|(p, _)| p == parent));
    match other {
        Some((_, other)) => refuse(&format!(
            "A sibling ({other}) of this resource already has a variable path part -- only one is allowed"
        )),
        None => Ok(()),
    }
}
