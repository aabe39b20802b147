//! What a document says about the API as a whole: info, tags, endpoint, media types; and the import parameters.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_proto::document::{ApiKeySource, CacheMode, EndpointConfiguration, cache::CACHE_MODE_RULE};
use tidegate_proto::limits::TAGS_MAX;

use super::super::{Basepath, Format, ImportOptions, Imported, tidegate};
use super::reading::{Fields, Reading, quote, scalar};

const ROOT_SWAGGER: &[&str] = &[
    "swagger",
    "info",
    "host",
    "basePath",
    "schemes",
    "consumes",
    "produces",
    "paths",
    "definitions",
    "parameters",
    "responses",
    "securityDefinitions",
    "security",
    "tags",
    "externalDocs",
    BINARY,
    KEY_SOURCE,
    ENDPOINT,
    INTEGRATIONS,
];
const ROOT_OAS30: &[&str] = &[
    "openapi",
    "info",
    "servers",
    "paths",
    "components",
    "security",
    "tags",
    "externalDocs",
    BINARY,
    KEY_SOURCE,
    ENDPOINT,
];
const COMPONENTS: &[&str] = &[
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "links",
    "callbacks",
    INTEGRATIONS,
];
const BINARY: &str = "x-amazon-apigateway-binary-media-types";
const KEY_SOURCE: &str = "x-amazon-apigateway-api-key-source";
const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";
const TAG_VALUE: &str = "x-amazon-apigateway-tag-value";
const INTEGRATIONS: &str = "x-amazon-apigateway-integrations";
const ENDPOINT_TYPES: [&str; 3] = ["EDGE", "REGIONAL", "PRIVATE"];

/// Import parameters that other parts of the reader need.
pub(super) struct Parameters {
    /// What becomes of the base path.
    pub(super) basepath: Basepath,
}

/// Reads the import parameters; those that this version does not know are warned about.
pub(super) fn parameters(
    reading: &mut Reading<'_>,
    options: &ImportOptions,
    imported: &mut Imported,
) -> Parameters {
    let mut parameters = Parameters { basepath: options.basepath };
    for (name, value) in &options.parameters {
        match name.as_str() {
            "endpointConfigurationTypes" => match endpoint_types([value.as_str()]) {
                Ok(types) => imported.endpoint.get_or_insert_default().types = types,
                Err(reason) => reading.notes.error(reason),
            },
            "basepath" => match Basepath::parse(value) {
                Some(basepath) => parameters.basepath = basepath,
                None => reading.notes.error(format!("Invalid basepath specified: {}", quote(value))),
            },
            // This version keeps no documentation parts, so there is nothing more to leave out.
            "ignore" if value == "documentation" => {}
            _ => reading.notes.warn(format!("Import parameter {}={} is unknown", quote(name), quote(value))),
        }
    }
    parameters
}

/// Reads everything that belongs to the API itself.
pub(super) fn read(reading: &mut Reading<'_>, imported: &mut Imported) {
    let root = reading.root;
    let known = match reading.format {
        Format::Swagger => ROOT_SWAGGER,
        Format::Oas30 => ROOT_OAS30,
    };
    reading.check_fields(root, known, "document");
    if let Some(components) = reading.object(root, "components", "document") {
        reading.check_fields(components, COMPONENTS, "components");
    }
    info(reading, imported);
    tags(reading, imported);
    let mut media_types = BTreeSet::new();
    for (index, media_type) in reading.array(root, BINARY, "document").iter().enumerate() {
        match media_type.as_str() {
            Some(text) if media_types.insert(text) => imported.binary_media_types.push(text.to_owned()),
            Some(_) => {}
            None => {
                reading.notes.error(format!("Parse issue: attribute {BINARY}[{index}] is not of type string"))
            }
        }
    }
    if let Some(source) = reading.text(root, KEY_SOURCE, "document") {
        match source.to_ascii_uppercase().as_str() {
            "HEADER" => imported.api_key_source = Some(ApiKeySource::Header),
            "AUTHORIZER" => imported.api_key_source = Some(ApiKeySource::Authorizer),
            _ => reading.notes.error(format!("Invalid API key source specified: {}", quote(&source))),
        }
    }
    if let Some(mode) = reading.text(root, tidegate::CACHE, "document") {
        reading.cache = CacheMode::parse(&mode);
        if reading.cache.is_none() {
            let (name, mode) = (tidegate::CACHE, quote(&mode));
            reading.notes.error(format!("Invalid {name} specified: {mode} {CACHE_MODE_RULE}"));
        }
    }
    endpoint(reading, imported);
}

fn info(reading: &mut Reading<'_>, imported: &mut Imported) {
    let Some(info) = reading.object(reading.root, "info", "document") else {
        reading.notes.error("Parse issue: attribute info is missing".into());
        return;
    };
    match reading.text(info, "title", "info") {
        Some(title) => imported.name = title,
        None => reading.notes.error("Parse issue: attribute info.title is missing".into()),
    }
    imported.description = reading.text(info, "description", "info");
    let version = reading.text(info, "version", "info");
    imported.version = version.filter(|_| info.get(tidegate::UNVERSIONED) != Some(&Value::Bool(true)));
    let known = ["title", "description", "version", "termsOfService", "contact", "license"];
    reading.check_fields(info, &known, "info");
}

fn tags(reading: &mut Reading<'_>, imported: &mut Imported) {
    for (index, tag) in reading.array(reading.root, "tags", "document").iter().enumerate() {
        let Some(tag) = tag.as_object() else { continue };
        let place = format!("tags[{index}]");
        reading.check_fields(tag, &["name", "description", "externalDocs", TAG_VALUE], &place);
        if let (Some(name), Some(value)) =
            (reading.text(tag, "name", &place), reading.text(tag, TAG_VALUE, &place))
        {
            imported.tags.insert(name, value);
        }
    }
    if imported.tags.len() > TAGS_MAX {
        reading.notes.error(format!("The document has more than {TAGS_MAX} tags with values"));
    }
}

/// Swagger 2.0 says it at the top, OpenAPI 3.0 in a server; both are read from either place.
fn endpoint(reading: &mut Reading<'_>, imported: &mut Imported) {
    let root = reading.root;
    let mut configurations: Vec<(String, &Fields)> = Vec::new();
    configurations
        .extend(reading.object(root, ENDPOINT, "document").map(|found| (ENDPOINT.to_owned(), found)));
    if reading.format == Format::Oas30 {
        for (index, server) in reading.array(root, "servers", "document").iter().enumerate() {
            let Some(server) = server.as_object() else { continue };
            let place = format!("servers[{index}]");
            reading.check_fields(server, &["url", "description", "variables", ENDPOINT], &place);
            if let Some(found) = reading.object(server, ENDPOINT, &place) {
                configurations.push((format!("{place}.{ENDPOINT}"), found));
            }
        }
    }
    if let Some((place, configuration)) = configurations.first() {
        endpoint_configuration(reading, configuration, place, imported);
    }
    for (place, _) in configurations.iter().skip(1) {
        reading.notes.warn(format!("Only the first endpoint configuration is used, {place} is ignored"));
    }
}

fn endpoint_configuration<'d>(
    reading: &mut Reading<'d>,
    found: &'d Fields,
    place: &str,
    imported: &mut Imported,
) {
    reading.check_fields(
        found,
        &["disableExecuteApiEndpoint", "vpcEndpointIds", "types", "ipAddressType"],
        place,
    );
    imported.disable_execute_api_endpoint = reading.flag(found, "disableExecuteApiEndpoint", place);
    let from_parameter = imported.endpoint.is_some();
    if found.contains_key("types") && !from_parameter {
        let types: Vec<String> = strings(reading.array(found, "types", place));
        match endpoint_types(types.iter().map(String::as_str)) {
            Ok(types) => imported.endpoint.get_or_insert_default().types = types,
            Err(reason) => reading.notes.error(reason),
        }
    }
    let vpc_endpoint_ids = strings(reading.array(found, "vpcEndpointIds", place));
    if !vpc_endpoint_ids.is_empty() {
        imported.endpoint.get_or_insert_default().vpc_endpoint_ids = vpc_endpoint_ids;
    }
    match reading.text(found, "ipAddressType", place) {
        Some(kind) if kind == "ipv4" || kind == "dualstack" => {
            imported.endpoint.get_or_insert_with(EndpointConfiguration::default).ip_address_type = kind;
        }
        Some(kind) => reading.notes.error(format!("Invalid ipAddressType specified: {}", quote(&kind))),
        None => {}
    }
}

fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(|value| scalar(Some(value))).collect()
}

fn endpoint_types<'a>(types: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let types = types
        .into_iter()
        .map(|text| {
            ENDPOINT_TYPES
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(text))
                .map(str::to_owned)
                .ok_or_else(|| format!("Invalid endpoint type specified: {}", quote(text)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    match types.len() {
        1 => Ok(types),
        _ => Err("Exactly one endpoint type must be specified".into()),
    }
}
