//! An integration to `x-amazon-apigateway-integration`; values that PutIntegration gives anyway are left out.

use serde_json::{Value, json};
use tidegate_proto::document::{Integration, IntegrationResponse};
use tidegate_proto::limits::INTEGRATION_TIMEOUT_MS_MAX;

use super::super::Format;
use super::Fields;

/// The extension.
pub(super) const KEY: &str = "x-amazon-apigateway-integration";

/// Writes an integration of the resource `resource_id`.
pub(super) fn write(integration: &Integration, resource_id: &str, format: Format) -> Value {
    let mut fields = Fields::new();
    let kind = Value::from(integration.kind.to_ascii_lowercase());
    if format == Format::Swagger {
        fields.insert("type".into(), kind.clone());
    }
    let mut put = |key: &str, value: Option<Value>| fields.extend(value.map(|value| (key.to_owned(), value)));
    put("httpMethod", integration.http_method.as_deref().map(Value::from));
    put("uri", integration.uri.as_deref().map(Value::from));
    let is_linked = integration.connection_type.as_deref() == Some("VPC_LINK");
    put("connectionType", is_linked.then(|| "VPC_LINK".into()));
    put("connectionId", integration.connection_id.as_deref().map(Value::from));
    put("responses", responses(integration));
    put("requestParameters", object(&integration.request_parameters));
    put("requestTemplates", object(&integration.request_templates));
    let passthrough = integration.passthrough_behavior.to_ascii_lowercase();
    put("passthroughBehavior", (!passthrough.is_empty()).then(|| passthrough.into()));
    let timeout = integration.timeout_in_millis;
    put("timeoutInMillis", (timeout != INTEGRATION_TIMEOUT_MS_MAX).then(|| timeout.into()));
    put("contentHandling", integration.content_handling.as_deref().map(Value::from));
    let namespace = integration.cache_namespace.as_str();
    put("cacheNamespace", (!namespace.is_empty() && namespace != resource_id).then(|| namespace.into()));
    let keys = &integration.cache_key_parameters;
    put("cacheKeyParameters", (!keys.is_empty()).then(|| json!(keys)));
    let tls = integration.tls_config.as_ref();
    put("tlsConfig", tls.map(|tls| json!({ "insecureSkipVerification": tls.insecure_skip_verification })));
    if format == Format::Oas30 {
        fields.insert("type".into(), kind);
    }
    Value::Object(fields)
}

fn responses(integration: &Integration) -> Option<Value> {
    let mut printed = Fields::new();
    for response in integration.integration_responses.values() {
        let pattern = response.selection_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        // The first response with a pattern is the one that answers.
        printed.entry(pattern.unwrap_or("default")).or_insert_with(|| write_response(response));
    }
    (!printed.is_empty()).then_some(Value::Object(printed))
}

fn write_response(response: &IntegrationResponse) -> Value {
    let mut fields = Fields::new();
    fields.insert("statusCode".into(), response.status_code.as_str().into());
    let mut put = |key: &str, value: Option<Value>| fields.extend(value.map(|value| (key.to_owned(), value)));
    put("responseParameters", object(&response.response_parameters));
    put("responseTemplates", object(&response.response_templates));
    put("contentHandling", response.content_handling.as_deref().map(Value::from));
    Value::Object(fields)
}

fn object<V: serde::Serialize>(map: &tidegate_proto::document::Map<V>) -> Option<Value> {
    (!map.is_empty()).then(|| json!(map))
}
