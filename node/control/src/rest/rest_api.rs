//! REST APIs. Owns their rules and patches, and how a new one starts; must never look below an API except to clone it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_proto::{
    document::{ApiKeySource, EndpointConfiguration, Model, Resource, RestApi},
    id::{api_id, short_id},
    key::{self, Key, REST_API_PREFIX},
    limits::REST_APIS_MAX,
    transaction::TransactionV1,
};

use super::{
    draft::{Draft, find_api, require_api},
    method::reread,
    model, tags,
    unsupported::{self, Shape},
    usage_plan,
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::{Input, enumeration},
    page::page,
    patch::{self, ADD_REMOVE_REPLACE, Kind, Op, REPLACE, Rule, Style, Table},
};

const ENDPOINT_TYPES: [&str; 3] = ["PRIVATE", "EDGE", "REGIONAL"];
const IP_ADDRESS_TYPES: [&str; 2] = ["ipv4", "dualstack"];
const COMPRESSION_BYTES_MAX: i64 = 10_485_760;
const BAD_COMPRESSION: &str = "Invalid minimum compression size, must be between 0 and 10485760";

const PATCHES: Table = Table {
    style: Style::Plain,
    rules: &[
        Rule { path: "/name", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/description", ops: &[Op::Replace, Op::Remove], kind: Kind::Text },
        Rule { path: "/version", ops: &[Op::Replace, Op::Remove], kind: Kind::Text },
        Rule { path: "/apiKeySource", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/disableExecuteApiEndpoint", ops: REPLACE, kind: Kind::Flag },
        Rule { path: "/binaryMediaTypes/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::Member },
        Rule { path: "/endpointConfiguration/types/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::Only },
        Rule { path: "/endpointConfiguration/ipAddressType", ops: REPLACE, kind: Kind::Text },
        Rule {
            path: "/endpointConfiguration/vpcEndpointIds",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::Later(Shape::Endpoint, "vpcEndpointIds"),
        },
        Rule {
            path: "/minimumCompressionSize",
            ops: REPLACE,
            kind: Kind::Later(Shape::RestApi, "minimumCompressionSize"),
        },
        Rule { path: "/policy", ops: REPLACE, kind: Kind::Later(Shape::RestApi, "policy") },
        Rule { path: "/securityPolicy", ops: REPLACE, kind: Kind::Later(Shape::RestApi, "securityPolicy") },
        Rule {
            path: "/endpointAccessMode",
            ops: REPLACE,
            kind: Kind::Later(Shape::RestApi, "endpointAccessMode"),
        },
    ],
};

/// `CreateRestApi`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createRestApiInput", call.body)?;
    let name = input.required("name")?;
    let clone_from = input.string("cloneFrom")?;
    let (description, version) = (input.string("description")?, input.string("version")?);
    let binary_media_types = input.strings("binaryMediaTypes")?.unwrap_or_default();
    let api_key_source = input.choice("apiKeySource", &["AUTHORIZER", "HEADER"])?;
    let endpoint = read_endpoint(&mut input)?;
    let disable_execute_api_endpoint = input.boolean("disableExecuteApiEndpoint")?.unwrap_or_default();
    let (tags, compression) = (input.string_map("tags")?, input.take("minimumCompressionSize"));
    input.finish(Shape::RestApi)?;
    if description.as_deref() == Some("") {
        return Err(ApiError::bad_request("Description cannot be an empty string"));
    }
    check_compression(compression.unwrap_or_default())?;
    let api = RestApi {
        name,
        description,
        created_date: call.stamps.now_s,
        version: version.filter(|version| !version.is_empty()),
        binary_media_types,
        api_key_source: read_source(api_key_source.as_deref())?,
        endpoint_configuration: complete_endpoint(endpoint)?,
        tags,
        disable_execute_api_endpoint,
        ..RestApi::default()
    };
    let (mut draft, content) = match clone_from {
        None => (api, fresh_content(call)?),
        Some(source) => clone_content(call, api, &source)?,
    };
    let transaction = insert(call, &mut draft, content)?;
    Ok((transaction, Answer::created(print(&draft))))
}

/// `GetRestApi`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    read(Answer::ok(print(&require_api(call)?.document)))
}

/// `GetRestApis`, oldest first.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    let found = call.view.rest_apis()?.into_iter().map(|found| found.document);
    let mut rows: Vec<_> = found.map(|api| (format!("{:020}/{}", api.created_date, api.id), api)).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    read(Answer::ok(page(rows, call.query, |api| print(&api))?))
}

/// `UpdateRestApi`; AWS prints `tags` here even when there are none.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateRestApiInput", call.body, &[])?;
    let mut draft = Draft::open(call)?;
    for patch in patches.iter().filter(|patch| patch.path == "/minimumCompressionSize") {
        if patch.op == Op::Replace && patch.value.as_deref().is_some_and(|value| !value.is_empty()) {
            let size = patch.value.as_deref().and_then(|value| value.parse::<i64>().ok());
            check_compression(size.map_or(json!("x"), |size| json!(size)))?;
        }
    }
    let mut form = print(&draft.api);
    let private_before = is_private(&draft.api.endpoint_configuration);
    patch::apply(&PATCHES, &mut form, &patches)?;
    read_source(form["apiKeySource"].as_str())?;
    let mut api: RestApi = reread(form)?;
    api.description = api.description.take().filter(|text| !text.is_empty());
    api.version = api.version.take().filter(|text| !text.is_empty());
    let names_ip = patches.iter().any(|patch| patch.path.ends_with("/ipAddressType"));
    if is_private(&api.endpoint_configuration) && !private_before && !names_ip {
        api.endpoint_configuration.ip_address_type = "dualstack".into();
    }
    check(&api)?;
    draft.api = api;
    let mut printed = print(&draft.api);
    if draft.api.tags.is_empty() {
        printed["tags"] = json!({});
    }
    draft.commit(Answer::ok(printed))
}

/// `DeleteRestApi`: with everything below it; its stages are taken out of their usage plans.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let found = require_api(call)?;
    let mut transaction = TransactionV1::default();
    transaction.compare(key::rest_api(call.api_id()), found.revision);
    transaction.delete(key::rest_api(call.api_id())).delete_prefix(key::rest_api_prefix(call.api_id()));
    for (stage, record) in call.view.prefix(&key::stage_prefix(call.api_id())) {
        transaction.compare(stage, record.revision);
    }
    usage_plan::forget_stages(call, &mut transaction, |one| one.api_id == call.api_id())?;
    Ok((transaction, Answer::accepted()))
}

/// What stands below an API.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The tree, with ids; the root has no parent.
    pub resources: Vec<Resource>,
    /// Models, with ids.
    pub models: Vec<Model>,
}

/// Gives a new API its id and its root, and writes it with its content.
pub(crate) fn insert(
    call: &Call<'_>,
    api: &mut RestApi,
    content: Content,
) -> Result<TransactionV1, ApiError> {
    check(api)?;
    let apis =
        call.view.prefix(REST_API_PREFIX).filter(|(key, _)| matches!(Key::parse(key), Key::RestApi { .. }));
    if apis.count() >= REST_APIS_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of REST APIs for this cluster has been reached: {REST_APIS_MAX}"
        )));
    }
    if api.id.is_empty() {
        api.id = new_id(call, api)?;
    }
    let mut transaction = TransactionV1::default();
    transaction.compare(key::rest_api(&api.id), 0);
    write_content(&mut transaction, api, content);
    transaction.put(key::rest_api(&api.id), api);
    Ok(transaction)
}

/// The pinned id of a new API, or the first one that is free.
pub(crate) fn new_id(call: &Call<'_>, api: &RestApi) -> Result<String, ApiError> {
    let taken = |id: &str| call.view.get(&key::rest_api(id)).is_some();
    match tags::pinned_id(&api.tags)? {
        Some(id) if taken(id) => {
            Err(ApiError::conflict(format!("The id '{id}' is taken by another REST API")))
        }
        Some(id) => Ok(id.to_owned()),
        None => call.stamps.id(api_id, taken),
    }
}

/// Writes the content of an API and notes its root.
pub(crate) fn write_content(transaction: &mut TransactionV1, api: &mut RestApi, content: Content) {
    for resource in &content.resources {
        if resource.parent_id.is_none() {
            api.root_resource_id.clone_from(&resource.id);
        }
        transaction.put(key::resource(&api.id, &resource.id), resource);
    }
    for model in &content.models {
        transaction.put(key::model(&api.id, &model.name), model);
    }
}

/// Fills in what a caller left out of an endpoint configuration, and checks it.
pub(crate) fn complete_endpoint(
    endpoint: Option<EndpointConfiguration>,
) -> Result<EndpointConfiguration, ApiError> {
    let Some(mut endpoint) = endpoint else { return Ok(EndpointConfiguration::default()) };
    if endpoint.ip_address_type.is_empty() {
        endpoint.ip_address_type = if is_private(&endpoint) { "dualstack" } else { "ipv4" }.into();
    }
    check_endpoint(&endpoint)?;
    Ok(endpoint)
}

/// The rules that hold for every REST API, however it was made.
pub(crate) fn check(api: &RestApi) -> Result<(), ApiError> {
    if api.name.is_empty() {
        return Err(ApiError::bad_request("Name cannot be empty"));
    }
    tags::check(&api.tags)?;
    check_endpoint(&api.endpoint_configuration)
}

fn check_endpoint(endpoint: &EndpointConfiguration) -> Result<(), ApiError> {
    let refuse = |text: &str| Err(ApiError::bad_request(text));
    match endpoint.types.as_slice() {
        [] => return refuse("REGIONAL Configuration and EDGE Configuration cannot be both DISABLED."),
        [only] if ENDPOINT_TYPES.contains(&only.as_str()) => {}
        [_] => return refuse("Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE"),
        _ => return refuse("Cannot create an api with multiple Endpoint Types."),
    }
    if !IP_ADDRESS_TYPES.contains(&endpoint.ip_address_type.as_str()) {
        return refuse("ipAddressType must be either ipv4 or dualstack.");
    }
    if is_private(endpoint) && endpoint.ip_address_type == "ipv4" {
        return refuse("Only dualstack ipAddressType is supported for Private APIs.");
    }
    unsupported::refuse(Shape::Endpoint, "vpcEndpointIds", &json!(endpoint.vpc_endpoint_ids))
}

fn is_private(endpoint: &EndpointConfiguration) -> bool {
    endpoint.types.iter().any(|kind| kind == "PRIVATE")
}

fn read_source(text: Option<&str>) -> Result<ApiKeySource, ApiError> {
    match text {
        None | Some("HEADER") => Ok(ApiKeySource::Header),
        Some("AUTHORIZER") => Ok(ApiKeySource::Authorizer),
        Some(_) => Err(ApiError::bad_request(
            "Invalid ApiKeySourceType specified. Valid options are HEADER,AUTHORIZER",
        )),
    }
}

fn check_compression(size: Value) -> Result<(), ApiError> {
    let in_range =
        size.is_null() || size.as_i64().is_some_and(|size| (0..=COMPRESSION_BYTES_MAX).contains(&size));
    match in_range {
        true => unsupported::refuse(Shape::RestApi, "minimumCompressionSize", &size),
        false => Err(ApiError::bad_request(BAD_COMPRESSION)),
    }
}

/// Reads the types before the address type, the order in which AWS reports them.
fn read_endpoint(input: &mut Input) -> Result<Option<EndpointConfiguration>, ApiError> {
    let Some(mut inner) = input.object("endpointConfiguration")? else { return Ok(None) };
    let types = inner.strings("types")?;
    if let Some(types) =
        types.as_ref().filter(|types| types.iter().any(|t| !ENDPOINT_TYPES.contains(&t.as_str())))
    {
        let rule = format!("Member must satisfy constraint: [{}]", enumeration(&ENDPOINT_TYPES));
        input.violate(&format!("[{}]", types.join(", ")), "endpointConfiguration.types", &rule);
    }
    let ip = inner.string("ipAddressType")?;
    if let Some(ip) = ip.as_deref().filter(|ip| !IP_ADDRESS_TYPES.contains(ip)) {
        input.violate(ip, "endpointConfiguration.ipAddressType", &enumeration(&IP_ADDRESS_TYPES));
    }
    let vpc_endpoint_ids = inner.strings("vpcEndpointIds")?.unwrap_or_default();
    input.absorb(inner, Shape::Endpoint)?;
    let types = types.unwrap_or_else(|| vec!["EDGE".into()]);
    Ok(Some(EndpointConfiguration { types, ip_address_type: ip.unwrap_or_default(), vpc_endpoint_ids }))
}

fn fresh_content(call: &Call<'_>) -> Result<Content, ApiError> {
    let root = Resource { id: call.stamps.id(short_id, |_| false)?, path: "/".into(), ..Resource::default() };
    Ok(Content { resources: vec![root], models: model::built_in(call.stamps)? })
}

/// Copies tree and models under new ids; what the caller did not set is taken from the source as well.
fn clone_content(call: &Call<'_>, api: RestApi, source: &str) -> Result<(RestApi, Content), ApiError> {
    let found = find_api(call, source)?;
    let old = found.ok_or_else(|| ApiError::no_api(&call.site.account, source))?.document;
    let mut resources: Vec<Resource> =
        call.view.resources(source)?.into_iter().map(|found| found.document).collect();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for resource in &resources {
        let fresh = call.stamps.id(short_id, |id| ids.values().any(|taken| taken == id))?;
        ids.insert(resource.id.clone(), fresh);
    }
    let renamed = |id: &String| ids.get(id).cloned().unwrap_or_else(|| id.clone());
    for resource in &mut resources {
        resource.id = renamed(&resource.id);
        resource.parent_id = resource.parent_id.as_ref().map(renamed);
        for method in resource.resource_methods.values_mut() {
            if let Some(integration) = &mut method.method_integration {
                integration.cache_namespace = renamed(&integration.cache_namespace);
            }
        }
    }
    let mut models: Vec<Model> = call.view.models(source)?.into_iter().map(|found| found.document).collect();
    for model in &mut models {
        model.id = call.stamps.id(short_id, |_| false)?;
    }
    let binary_media_types =
        if api.binary_media_types.is_empty() { old.binary_media_types } else { api.binary_media_types };
    let clone = RestApi {
        description: api.description.or(old.description),
        version: api.version.or(old.version),
        binary_media_types,
        ..api
    };
    Ok((clone, Content { resources, models }))
}
