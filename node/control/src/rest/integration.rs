//! Integrations. Owns their rules and patches; must never call anything.

use serde_json::{Value, json};
use tidegate_proto::{
    document::{Integration, Map, Method, TlsConfig},
    limits::{INTEGRATION_TIMEOUT_MS_MAX, INTEGRATION_TIMEOUT_MS_MIN},
};

use super::{
    draft::{self, change_method},
    expression, method,
    unsupported::{self, Shape},
    vpc_link,
};
use crate::{
    answer::{Answer, print},
    cache_key,
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    patch::{self, ADD_REMOVE, ADD_REMOVE_REPLACE, Kind, REPLACE, Rule, Style, Table},
};

/// AWS's types, in the order of its message.
const TYPES: [&str; 5] = ["HTTP", "MOCK", "AWS_PROXY", "HTTP_PROXY", "AWS"];
const PASSTHROUGH: [&str; 3] = ["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"];

const PATCHES: Table = Table {
    style: Style::Plain,
    rules: &[
        Rule { path: "/uri", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/httpMethod", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/credentials", ops: REPLACE, kind: Kind::Later(Shape::Integration, "credentials") },
        Rule {
            path: "/requestParameters/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::TextEntry(method::NO_PARAMETER),
        },
        Rule {
            path: "/requestTemplates/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::TextEntry(method::NO_CONTENT_TYPE),
        },
        Rule { path: "/passthroughBehavior", ops: REPLACE, kind: Kind::Text },
        Rule {
            path: "/contentHandling",
            ops: REPLACE,
            kind: Kind::Later(Shape::Integration, "contentHandling"),
        },
        Rule { path: "/timeoutInMillis", ops: REPLACE, kind: Kind::Number },
        Rule { path: "/cacheNamespace", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/cacheKeyParameters/{}", ops: ADD_REMOVE, kind: Kind::Member },
        Rule { path: "/connectionType", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/connectionId", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/tlsConfig/insecureSkipVerification", ops: REPLACE, kind: Kind::Flag },
        Rule {
            path: "/responseTransferMode",
            ops: REPLACE,
            kind: Kind::Later(Shape::Integration, "responseTransferMode"),
        },
        Rule {
            path: "/integrationTarget",
            ops: REPLACE,
            kind: Kind::Later(Shape::Integration, "integrationTarget"),
        },
    ],
};

/// `PutIntegration`: replaces the integration with its responses.
pub(crate) fn put(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("putIntegrationInput", call.body)?;
    let integration = read_input(&mut input)?;
    input.finish(Shape::Integration)?;
    change_method(call, Answer::created, |method, _, resource| {
        let mut integration = integration;
        if integration.cache_namespace.is_empty() {
            integration.cache_namespace.clone_from(&resource.id);
        }
        check(&integration, method)?;
        check_link(call, &integration)?;
        let printed = print(&integration);
        method.method_integration = Some(integration);
        Ok(printed)
    })
}

/// `GetIntegration`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let resource = draft::resource(call)?;
    let found = draft::method(&resource, call)?.method_integration.as_ref();
    read(Answer::ok(print(found.ok_or_else(no_integration)?)))
}

/// `UpdateIntegration`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateIntegrationInput", call.body, &[])?;
    change_method(call, Answer::ok, |method, _, resource| {
        let mut form = print(method.method_integration.as_ref().ok_or_else(no_integration)?);
        patch::apply(&PATCHES, &mut form, &patches)?;
        check_timeout(form["timeoutInMillis"].as_i64())?;
        let mut integration: Integration = method::reread(form)?;
        if integration.cache_namespace.is_empty() {
            integration.cache_namespace.clone_from(&resource.id);
        }
        integration.connection_id = integration.connection_id.filter(|id| !id.is_empty());
        check(&integration, method)?;
        check_link(call, &integration)?;
        let printed = print(&integration);
        method.method_integration = Some(integration);
        Ok(printed)
    })
}

/// `DeleteIntegration`.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    change_method(
        call,
        |_| Answer::no_content(),
        |method, _, _| method.method_integration.take().map(|_| Value::Null).ok_or_else(no_integration),
    )
}

/// An integration that does not exist.
pub(crate) fn no_integration() -> ApiError {
    ApiError::not_found("Invalid Integration identifier specified")
}

fn read_input(input: &mut Input) -> Result<Integration, ApiError> {
    let kind = input.choice("type", &TYPES)?;
    if kind.is_none() {
        input.violate("null", "type", "Member must not be null");
    }
    let connection_type = input.choice("connectionType", &["INTERNET", "VPC_LINK"])?;
    let content_handling = input.choice("contentHandling", &["CONVERT_TO_BINARY", "CONVERT_TO_TEXT"])?;
    let tls_config = match input.object("tlsConfig")? {
        None => None,
        Some(mut tls) => {
            let insecure_skip_verification = tls.boolean("insecureSkipVerification")?.unwrap_or_default();
            input.absorb(tls, Shape::TlsConfig)?;
            Some(TlsConfig { insecure_skip_verification })
        }
    };
    let timeout = input.integer("timeoutInMillis")?;
    let kind = kind.unwrap_or_default();
    let over_http = kind.starts_with("HTTP");
    let integration = Integration {
        http_method: input.string("httpMethod")?,
        uri: input.string("uri")?,
        connection_type: match connection_type {
            Some(kind) if over_http || kind != "INTERNET" => Some(kind),
            _ => over_http.then(|| "INTERNET".to_owned()),
        },
        connection_id: input.string("connectionId")?.filter(|id| !id.is_empty()),
        request_parameters: input.string_map("requestParameters")?,
        request_templates: input
            .nullable_map("requestTemplates")?
            .into_iter()
            .map(|(content_type, template)| (content_type, template.unwrap_or_default()))
            .collect::<Map<String>>(),
        passthrough_behavior: input.string("passthroughBehavior")?.unwrap_or_else(|| "WHEN_NO_MATCH".into()),
        content_handling,
        timeout_in_millis: check_timeout(timeout)?,
        cache_namespace: input.string("cacheNamespace")?.unwrap_or_default(),
        cache_key_parameters: input.strings("cacheKeyParameters")?.unwrap_or_default(),
        tls_config,
        kind,
        ..Integration::default()
    };
    Ok(integration)
}

fn check(integration: &Integration, method: &Method) -> Result<(), ApiError> {
    for (field, value) in
        [("type", json!(integration.kind)), ("contentHandling", json!(integration.content_handling))]
    {
        unsupported::refuse(Shape::Integration, field, &value)?;
    }
    check_connection(integration)?;
    if integration.kind == "MOCK" {
        if integration.tls_config.is_some() {
            return Err(unsupported::refusal("TLS to a mock", "tlsConfig", &print(&integration.tls_config)));
        }
    } else {
        check_endpoint(integration)?;
    }
    let passthrough = &integration.passthrough_behavior;
    if !PASSTHROUGH.contains(&passthrough.as_str()) {
        return Err(ApiError::bad_request(format!(
            "Invalid passthroughBehavior '{passthrough}' specified. Must be one of: [{}]",
            PASSTHROUGH.join(", ")
        )));
    }
    expression::check_templates(
        integration.request_templates.iter().map(|(content_type, text)| (content_type, Some(text.as_str()))),
    )?;
    expression::check_request_mappings(&integration.request_parameters, method)?;
    cache_key::check(integration, method).map_err(ApiError::bad_request)
}

/// How an integration reaches its upstream: over the internet, or through a link that it names.
fn check_connection(integration: &Integration) -> Result<(), ApiError> {
    let refuse = |text: &str| Err(ApiError::bad_request(text));
    let is_http = integration.kind.starts_with("HTTP");
    match (integration.connection_type.as_deref(), integration.connection_id.as_deref()) {
        (Some("VPC_LINK"), _) if !is_http => {
            refuse("Integrations of type MOCK cannot have connectionType VPC_LINK")
        }
        (Some("VPC_LINK"), None) => refuse("connectionId must be specified for connectionType VPC_LINK"),
        (Some("VPC_LINK"), Some(_)) | (Some("INTERNET") | None, None) => Ok(()),
        (Some("INTERNET") | None, Some(_)) => {
            refuse("connectionId can only be specified for connectionType VPC_LINK")
        }
        (Some(other), _) => Err(ApiError::bad_request(format!(
            "Invalid connectionType '{other}' specified. Must be one of: [INTERNET, VPC_LINK]"
        ))),
    }
}

/// The link must exist, unless a stage variable names it.
fn check_link(call: &Call<'_>, integration: &Integration) -> Result<(), ApiError> {
    match integration.connection_id.as_deref() {
        Some(link) if !link.contains("${stageVariables.") => {
            let missing = |_| ApiError::bad_request(format!("Invalid Vpc Link identifier specified: {link}"));
            vpc_link::find_by_id(call, link).map(drop).map_err(missing)
        }
        _ => Ok(()),
    }
}

fn check_endpoint(integration: &Integration) -> Result<(), ApiError> {
    match integration.http_method.as_deref() {
        None | Some("") => {
            return Err(ApiError::bad_request("Enumeration value for HttpMethod must be non-empty"));
        }
        Some(verb) => method::check_verb(verb)?,
    }
    let uri = integration.uri.as_deref().unwrap_or_default();
    let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://")).unwrap_or_default();
    let well_formed = !rest.is_empty()
        && !rest.starts_with(['/', ':', '?', '#'])
        && uri.bytes().all(|b| b.is_ascii_graphic());
    match well_formed {
        true => Ok(()),
        false => Err(ApiError::bad_request("Invalid HTTP endpoint specified for URI")),
    }
}

fn check_timeout(timeout_ms: Option<i64>) -> Result<u32, ApiError> {
    let (min, max) = (INTEGRATION_TIMEOUT_MS_MIN, INTEGRATION_TIMEOUT_MS_MAX);
    let Some(timeout_ms) = timeout_ms else { return Ok(max) };
    u32::try_from(timeout_ms)
        .ok()
        .filter(|timeout| (min..=max).contains(timeout))
        .ok_or_else(|| ApiError::bad_request(format!("Timeout should be between {min} ms and {max} ms")))
}
