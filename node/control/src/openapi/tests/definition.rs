//! Definitions for tests: from an import, and in a form that compares without ids.

use serde_json::{Value, json};
use tidegate_proto::document::{ApiDefinition, Map, Method, Model, Resource, RestApi, Stage};

use crate::openapi::{ExportOptions, Extensions, Format, ImportOptions, Imported, export, import, tidegate};

pub(super) const API_ID: &str = "abcdefghij";

/// What a caller makes of an import: ids are numbered.
pub(super) fn definition(mut imported: Imported) -> ApiDefinition {
    imported.bind(API_ID);
    let mut endpoint_configuration = imported.endpoint.unwrap_or_default();
    if endpoint_configuration.types.is_empty() {
        endpoint_configuration.types = vec!["EDGE".into()];
    }
    let mut resources: Vec<Resource> = Vec::new();
    for (index, found) in imported.resources.into_iter().enumerate() {
        let parent =
            found.path.rsplit_once('/').map(|(parent, _)| if parent.is_empty() { "/" } else { parent });
        let parent_id = match found.path.as_str() {
            "/" => None,
            _ => resources.iter().find(|r| Some(r.path.as_str()) == parent).map(|r| r.id.clone()),
        };
        assert!(found.path == "/" || parent_id.is_some(), "{} comes before its parent", found.path);
        let mut resource = Resource {
            id: format!("res{index}"),
            parent_id,
            path_part: found.path.rsplit('/').next().filter(|part| !part.is_empty()).map(str::to_owned),
            path: found.path,
            resource_methods: found.methods,
            ..Resource::default()
        };
        for integration in
            resource.resource_methods.values_mut().filter_map(|m| m.method_integration.as_mut())
        {
            if integration.cache_namespace.is_empty() {
                integration.cache_namespace = resource.id.clone();
            }
        }
        resources.push(resource);
    }
    ApiDefinition {
        api: RestApi {
            id: API_ID.into(),
            name: imported.name,
            description: imported.description,
            version: imported.version,
            binary_media_types: imported.binary_media_types,
            api_key_source: imported.api_key_source.unwrap_or_default(),
            endpoint_configuration,
            tags: imported.tags,
            disable_execute_api_endpoint: imported.disable_execute_api_endpoint.unwrap_or(false),
            ..RestApi::default()
        },
        resources,
        models: imported.models,
    }
}

/// Everything of a definition that must survive an export, without ids, in one order.
pub(super) fn essence(definition: &ApiDefinition) -> Value {
    let mut definition = definition.clone();
    definition.resources.sort_by(|a, b| a.path.cmp(&b.path));
    let resources: Map<Map<Method>> = definition
        .resources
        .into_iter()
        .map(|mut resource| {
            for integration in
                resource.resource_methods.values_mut().filter_map(|m| m.method_integration.as_mut())
            {
                if integration.cache_namespace == resource.id {
                    integration.cache_namespace = "the resource".into();
                }
            }
            (resource.path, resource.resource_methods)
        })
        .collect();
    let models: Map<Value> =
        definition.models.into_iter().map(|(name, model)| (name, model_essence(model))).collect();
    let api =
        RestApi { id: String::new(), created_date: 0, root_resource_id: String::new(), ..definition.api };
    json!({ "api": api, "resources": resources, "models": models })
}

fn model_essence(model: Model) -> Value {
    let schema = model.schema.map(|text| match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(mut fields)) => {
            fields.shift_remove("$schema");
            Value::Object(fields)
        }
        _ => Value::String(text),
    });
    json!([model.name, schema, model.description, model.content_type, model.generated])
}

/// All forms a definition can be written in.
pub(super) fn forms() -> [(Format, bool); 4] {
    [(Format::Oas30, false), (Format::Oas30, true), (Format::Swagger, false), (Format::Swagger, true)]
}

pub(super) fn export_options(format: Format, yaml: bool) -> ExportOptions {
    ExportOptions {
        format,
        yaml,
        extensions: Extensions { apigateway: true, ..Extensions::default() },
        server_url: "https://abcdefghij.execute-api.us-east-1.amazonaws.com/prod".into(),
        date: "2026-11-21T12:00:00Z".into(),
    }
}

pub(super) fn stage() -> Stage {
    Stage { stage_name: "prod".into(), ..Stage::default() }
}

/// Exports in every form and expects each import to give the same.
pub(super) fn assert_round_trip(wanted: &ApiDefinition, name: &str) {
    for (format, yaml) in forms() {
        let bytes = export(wanted, &stage(), &export_options(format, yaml)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let read = import(&bytes, &ImportOptions::default())
            .unwrap_or_else(|error| panic!("{name} {format:?} yaml={yaml}: {error}\n{text}"));
        let read = definition(read);
        assert!(
            essence(&read) == essence(wanted),
            "{name} {format:?} yaml={yaml}\nwanted {:#}\nread {:#}\nfrom {text}",
            essence(wanted),
            essence(&read)
        );
        for model in wanted.models.keys() {
            let schema = |d: &ApiDefinition| d.models[model].schema.clone();
            assert!(
                tidegate::same_schema(schema(&read).as_deref(), schema(wanted).as_deref()),
                "{name} {model}"
            );
        }
    }
}
