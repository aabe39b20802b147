//! Definition to document: the frame around the operations, with keys in the order that API Gateway prints them.

mod complete;
mod integration;
mod operation;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate_proto::document::{ApiDefinition, ApiKeySource, EndpointConfiguration, Resource, Stage};
use tidegate_proto::limits::CONTROL_BODY_BYTES_MAX;

use super::{ExportError, ExportOptions, Format, schema, tidegate, yaml};

/// The fields of a JSON object, in the order they are printed.
type Fields = serde_json::Map<String, Value>;

/// Writes a definition.
pub(crate) fn export(
    definition: &ApiDefinition,
    stage: &Stage,
    options: &ExportOptions,
) -> Result<Vec<u8>, ExportError> {
    let mut document = match options.format {
        Format::Oas30 => oas30(definition, stage, options)?,
        Format::Swagger => swagger(definition, stage, options)?,
    };
    if options.extensions.apigateway {
        complete::complete(&mut document, definition, options.format);
    }
    if options.yaml {
        return Ok(yaml::write(&document).into_bytes());
    }
    let failed = |error: serde_json::Error| ExportError::Encode(error.to_string());
    let pretty = serde_json::to_vec_pretty(&document).map_err(failed)?;
    // An import takes no more than this, so a large definition goes without its white space.
    if pretty.len() <= CONTROL_BODY_BYTES_MAX {
        Ok(pretty)
    } else {
        serde_json::to_vec(&document).map_err(failed)
    }
}

fn oas30(definition: &ApiDefinition, stage: &Stage, options: &ExportOptions) -> Result<Value, ExportError> {
    let server = Server::new(&options.server_url, stage);
    let mut printed = json!({
        "url": format!("{}://{}/{{basePath}}", server.scheme, server.host),
        "variables": { "basePath": { "default": server.base_path } },
    });
    let mut document = Fields::new();
    document.insert("openapi".into(), "3.0.1".into());
    document.insert("info".into(), info(definition, options, &["title", "description", "version"]));
    if let (Some(endpoint), Some(printed)) = (endpoint(definition, options), printed.as_object_mut()) {
        printed.insert(ENDPOINT.into(), endpoint);
    }
    document.insert("servers".into(), json!([printed]));
    document.extend(tags(definition, options));
    document.insert("paths".into(), paths(definition, options)?);
    let mut components = Fields::new();
    components.extend(schemas(definition, options.format).map(|found| ("schemas".into(), found)));
    components.extend(security_schemes(definition).map(|found| ("securitySchemes".into(), found)));
    document.insert("components".into(), Value::Object(components));
    document.extend(settings(definition, options));
    Ok(Value::Object(document))
}

fn swagger(definition: &ApiDefinition, stage: &Stage, options: &ExportOptions) -> Result<Value, ExportError> {
    let server = Server::new(&options.server_url, stage);
    let mut document = Fields::new();
    document.insert("swagger".into(), "2.0".into());
    document.insert("info".into(), info(definition, options, &["description", "version", "title"]));
    document.insert("host".into(), server.host.into());
    document.insert("basePath".into(), format!("/{}", server.base_path).into());
    document.insert("schemes".into(), json!([server.scheme]));
    document.extend(tags(definition, options));
    document.insert("paths".into(), paths(definition, options)?);
    document.extend(security_schemes(definition).map(|found| ("securityDefinitions".into(), found)));
    document.extend(schemas(definition, options.format).map(|found| ("definitions".into(), found)));
    document.extend(settings(definition, options));
    document.extend(endpoint(definition, options).map(|found| (ENDPOINT.into(), found)));
    Ok(Value::Object(document))
}

const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";

/// Where the API is served, taken apart.
struct Server<'a> {
    scheme: &'a str,
    host: &'a str,
    base_path: &'a str,
}

impl<'a> Server<'a> {
    fn new(url: &'a str, stage: &'a Stage) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        Self { scheme, host, base_path: if path.is_empty() { &stage.stage_name } else { path } }
    }
}

fn info(definition: &ApiDefinition, options: &ExportOptions, order: &[&str]) -> Value {
    let api = &definition.api;
    let value = |key: &str| match key {
        "title" => Some(api.name.clone()),
        "description" => api.description.clone(),
        _ => Some(api.version.clone().unwrap_or_else(|| options.date.clone())),
    };
    let mut info: Fields =
        order.iter().filter_map(|key| Some(((*key).to_owned(), value(key)?.into()))).collect();
    if api.version.is_none() && options.extensions.apigateway {
        info.insert(tidegate::UNVERSIONED.into(), true.into());
    }
    Value::Object(info)
}

fn tags(definition: &ApiDefinition, options: &ExportOptions) -> Option<(String, Value)> {
    let tags = &definition.api.tags;
    let printed =
        tags.iter().map(|(name, value)| json!({ "name": name, "x-amazon-apigateway-tag-value": value }));
    (options.extensions.apigateway && !tags.is_empty()).then(|| ("tags".into(), printed.collect()))
}

fn paths(definition: &ApiDefinition, options: &ExportOptions) -> Result<Value, ExportError> {
    let mut resources: Vec<&Resource> = definition.resources.iter().collect();
    resources.sort_by(|a, b| a.path.cmp(&b.path));
    let parents: BTreeSet<&str> =
        resources.iter().filter_map(|resource| Some(resource.path.rsplit_once('/')?.0)).collect();
    let mut paths = Fields::new();
    for resource in &resources {
        let implied = resource.path == "/" || parents.contains(resource.path.as_str());
        if implied && resource.resource_methods.is_empty() {
            continue;
        }
        let mut item = Fields::new();
        for (verb, method) in &resource.resource_methods {
            let key = operation::key(verb)
                .ok_or_else(|| ExportError::Verb { path: resource.path.clone(), verb: verb.clone() })?;
            item.insert(key.into(), operation::write(definition, resource, method, options));
        }
        paths.insert(resource.path.clone(), Value::Object(item));
    }
    Ok(Value::Object(paths))
}

fn schemas(definition: &ApiDefinition, format: Format) -> Option<Value> {
    let printed = |(name, model): (&String, &tidegate_proto::document::Model)| {
        let parsed = model.schema.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let schema = match parsed {
            Some(schema @ Value::Object(_)) => schema::to_document(&schema, format, name, &definition.api.id),
            _ => Value::Object(Fields::new()),
        };
        (name.clone(), schema)
    };
    (!definition.models.is_empty()).then(|| Value::Object(definition.models.iter().map(printed).collect()))
}

fn security_schemes(definition: &ApiDefinition) -> Option<Value> {
    let mut methods = definition.resources.iter().flat_map(|resource| resource.resource_methods.values());
    methods
        .any(|method| method.api_key_required)
        .then(|| json!({ operation::API_KEY: { "type": "apiKey", "name": "x-api-key", "in": "header" } }))
}

fn endpoint(definition: &ApiDefinition, options: &ExportOptions) -> Option<Value> {
    let api = &definition.api;
    let usual = EndpointConfiguration::default();
    let mut printed = Fields::new();
    if api.disable_execute_api_endpoint {
        printed.insert("disableExecuteApiEndpoint".into(), true.into());
    }
    if api.endpoint_configuration.types != usual.types {
        printed.insert("types".into(), json!(api.endpoint_configuration.types));
    }
    if api.endpoint_configuration.ip_address_type != usual.ip_address_type {
        printed.insert("ipAddressType".into(), json!(api.endpoint_configuration.ip_address_type));
    }
    if !api.endpoint_configuration.vpc_endpoint_ids.is_empty() {
        printed.insert("vpcEndpointIds".into(), json!(api.endpoint_configuration.vpc_endpoint_ids));
    }
    (options.extensions.apigateway && !printed.is_empty()).then_some(Value::Object(printed))
}

fn settings(definition: &ApiDefinition, options: &ExportOptions) -> Fields {
    let api = &definition.api;
    let mut printed = Fields::new();
    if !options.extensions.apigateway {
        return printed;
    }
    if api.api_key_source == ApiKeySource::Authorizer {
        printed.insert("x-amazon-apigateway-api-key-source".into(), "AUTHORIZER".into());
    }
    if !api.binary_media_types.is_empty() {
        printed.insert("x-amazon-apigateway-binary-media-types".into(), json!(api.binary_media_types));
    }
    printed
}
