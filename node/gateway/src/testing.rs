//! Small definitions for the tests of this crate.

use tidegate_proto::document::{ApiDefinition, Integration, IntegrationResponse, Method, Resource, RestApi};
use tidegate_throttle::{Bank, Bucket};

use crate::{Admitted, Rejection, Routed, Turnstile, authorize, throttle};

/// An API `api1` of methods by path and verb.
pub(crate) fn definition(methods: &[(&str, &str, Option<Integration>)]) -> ApiDefinition {
    let mut definition = ApiDefinition {
        api: RestApi { id: "api1".into(), ..RestApi::default() },
        ..ApiDefinition::default()
    };
    for (path, verb, integration) in methods {
        let known = definition.resources.iter().position(|resource| resource.path == *path);
        let at = known.unwrap_or_else(|| {
            definition.resources.push(Resource {
                id: format!("r{path}"),
                path: (*path).into(),
                ..Resource::default()
            });
            definition.resources.len() - 1
        });
        let method = Method {
            http_method: (*verb).into(),
            method_integration: integration.clone(),
            ..Method::default()
        };
        definition.resources[at].resource_methods.insert((*verb).into(), method);
    }
    definition
}

/// A `MOCK` with one JSON request template and responses by status and pattern.
pub(crate) fn mock(template: &str, responses: &[(&str, Option<&str>)]) -> Integration {
    let mut integration = Integration { kind: "MOCK".into(), ..Integration::default() };
    integration.request_templates.insert("application/json".into(), template.into());
    for (status, pattern) in responses {
        let response = IntegrationResponse {
            status_code: (*status).into(),
            selection_pattern: pattern.map(str::to_owned),
            ..IntegrationResponse::default()
        };
        integration.integration_responses.insert((*status).into(), response);
    }
    integration
}

/// An `HTTP_PROXY` with the client's verb.
pub(crate) fn http_proxy(uri: &str) -> Integration {
    Integration {
        kind: "HTTP_PROXY".into(),
        http_method: Some("ANY".into()),
        uri: Some(uri.into()),
        ..Integration::default()
    }
}

/// Lets a request in that nothing limits.
pub(crate) fn admit(routed: Routed<'_>) -> Result<Admitted<'_>, Rejection> {
    throttle(authorize(routed, || None)?, &turnstile(&Bank::new(), None, 0))
}

/// A turnstile at a moment.
pub(crate) fn turnstile<'a>(bank: &'a Bank, ceiling: Option<&'a Bucket>, now_ns: u64) -> Turnstile<'a> {
    Turnstile { bank, ceiling, now_ns, boot_ns: || 0 }
}
