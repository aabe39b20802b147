//! Compiles what a method calls: integration type, call, request body and the responses in match order.

use tidegate_proto::{
    compiled::{BodyV1, CallV1, IntegrationV1, NONE, PassthroughV1, ResponseV1},
    document::{Integration, IntegrationResponse},
    limits::{INTEGRATION_TIMEOUT_MS_MAX, INTEGRATION_TIMEOUT_MS_MIN},
};

use super::{CompileError, Interned, Site, mapping, uri};

/// Compiles one integration.
pub(super) fn compile(
    site: &Site<'_>,
    integration: &Integration,
    names: &[String],
    interned: &mut Interned,
) -> Result<IntegrationV1, CompileError> {
    match integration.kind.as_str() {
        "MOCK" => Ok(IntegrationV1::Mock {
            request: body(site, integration, interned)?,
            responses: responses(site, integration, interned)?,
        }),
        "HTTP_PROXY" => Ok(IntegrationV1::HttpProxy { call: call(site, integration, names)? }),
        "HTTP" => Ok(IntegrationV1::Http {
            call: call(site, integration, names)?,
            request: body(site, integration, interned)?,
            responses: responses(site, integration, interned)?,
        }),
        kind => Err(site.error(
            "integration.type",
            Some(kind),
            "this version serves HTTP, HTTP_PROXY and MOCK only",
        )),
    }
}

fn call(site: &Site<'_>, integration: &Integration, names: &[String]) -> Result<CallV1, CompileError> {
    let verb = match integration.http_method.as_deref() {
        None | Some("") => {
            return Err(site.error(
                "integration.httpMethod",
                None,
                "Enumeration value for HttpMethod must be non-empty",
            ));
        }
        Some("ANY") => "",
        Some(verb) if tidegate_proto::compiled::VERBS.contains(&verb) => verb,
        Some(verb) => return Err(site.error("integration.httpMethod", Some(verb), "Invalid HTTP method")),
    };
    let timeout_ms = match integration.timeout_in_millis {
        0 => INTEGRATION_TIMEOUT_MS_MAX,
        asked @ INTEGRATION_TIMEOUT_MS_MIN..=INTEGRATION_TIMEOUT_MS_MAX => asked,
        asked => {
            let rule = "Timeout should be between 50 ms and 29000 ms";
            return Err(site.error("integration.timeoutInMillis", Some(&asked.to_string()), rule));
        }
    };
    let parameters = mapping::request(site, &integration.request_parameters, names)?;
    let endpoint = uri::compile(site, integration.uri.as_deref().unwrap_or_default(), names, &parameters)?;
    Ok(CallV1 {
        verb: verb.to_owned(),
        tls: endpoint.tls,
        tls_unverified: integration.tls_config.as_ref().is_some_and(|tls| tls.insecure_skip_verification),
        authority: endpoint.authority,
        uri: endpoint.uri,
        timeout_ms,
        parameters,
    })
}

fn body(site: &Site<'_>, integration: &Integration, interned: &mut Interned) -> Result<BodyV1, CompileError> {
    let mut templates = Vec::with_capacity(integration.request_templates.len());
    for (media, text) in &integration.request_templates {
        let index = interned.template(site, "integration.requestTemplates", text)?;
        templates.push((media.to_ascii_lowercase(), index));
    }
    let passthrough = match integration.passthrough_behavior.as_str() {
        "" | "WHEN_NO_MATCH" => PassthroughV1::WhenNoMatch,
        "WHEN_NO_TEMPLATES" => PassthroughV1::WhenNoTemplates,
        "NEVER" => PassthroughV1::Never,
        other => {
            let rule = "Valid options are WHEN_NO_MATCH, WHEN_NO_TEMPLATES and NEVER";
            return Err(site.error("integration.passthroughBehavior", Some(other), rule));
        }
    };
    Ok(BodyV1 { templates, passthrough })
}

/// Responses with a pattern in status order, then the default: the first that matches is taken.
fn responses(
    site: &Site<'_>,
    integration: &Integration,
    interned: &mut Interned,
) -> Result<Vec<ResponseV1>, CompileError> {
    let mut out = Vec::with_capacity(integration.integration_responses.len());
    let mut fallback = None;
    for (key, answer) in &integration.integration_responses {
        match answer.selection_pattern.as_deref() {
            None | Some("") if fallback.is_some() => {}
            None | Some("") => fallback = Some(response(site, key, answer, NONE, interned)?),
            Some(pattern) => {
                let pattern = interned.pattern(site, "integrationResponse.selectionPattern", pattern)?;
                out.push(response(site, key, answer, pattern, interned)?);
            }
        }
    }
    out.extend(fallback);
    Ok(out)
}

fn response(
    site: &Site<'_>,
    key: &str,
    answer: &IntegrationResponse,
    pattern: u32,
    interned: &mut Interned,
) -> Result<ResponseV1, CompileError> {
    let code = if answer.status_code.is_empty() { key } else { &answer.status_code };
    let status = code.parse::<u16>().ok().filter(|status| (100..=599).contains(status)).ok_or_else(|| {
        site.error("integrationResponse.statusCode", Some(code), "Invalid response status code specified")
    })?;
    let mut templates = Vec::with_capacity(answer.response_templates.len());
    for (media, text) in &answer.response_templates {
        let index = match text.as_deref() {
            None | Some("") => NONE,
            Some(text) => interned.template(site, "integrationResponse.responseTemplates", text)?,
        };
        templates.push((media.to_ascii_lowercase(), index));
    }
    Ok(ResponseV1 {
        pattern,
        status,
        parameters: mapping::response(site, &answer.response_parameters)?,
        templates,
    })
}
