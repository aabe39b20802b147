//! What later versions will support and this one refuses: one table. Owns those refusals; must never let a value through that has no effect.

use serde_json::Value;

use crate::error::ApiError;

/// Longest value that a refusal repeats, in characters.
const VALUE_CHARS_MAX: usize = 200;

/// A request shape, as far as its unsupported fields differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `RestApi`.
    RestApi,
    /// `EndpointConfiguration`.
    Endpoint,
    /// `Resource`.
    Resource,
    /// `Method`.
    Method,
    /// `MethodResponse`.
    MethodResponse,
    /// `Integration`.
    Integration,
    /// `TlsConfig`.
    TlsConfig,
    /// `IntegrationResponse`.
    IntegrationResponse,
    /// `Model`.
    Model,
    /// `Deployment`.
    Deployment,
    /// `Stage`.
    Stage,
    /// `ApiKey`.
    ApiKey,
    /// `UsagePlan` and what is in it.
    UsagePlan,
    /// `VpcLink`.
    VpcLink,
    /// `Account`.
    Account,
    /// Tags.
    Tags,
}

struct Row {
    shape: Shape,
    field: &'static str,
    what: &'static str,
    /// Values that ask for nothing, besides the empty ones and `false`.
    neutral: &'static [&'static str],
}

const fn row(shape: Shape, field: &'static str, what: &'static str, neutral: &'static [&'static str]) -> Row {
    Row { shape, field, what, neutral }
}

const LATER: &[Row] = &[
    row(Shape::RestApi, "minimumCompressionSize", "Compression", &[]),
    row(Shape::RestApi, "policy", "A resource policy", &[]),
    row(Shape::RestApi, "securityPolicy", "A TLS policy per API", &[]),
    row(Shape::RestApi, "endpointAccessMode", "The endpoint access mode", &["BASIC"]),
    row(Shape::Endpoint, "vpcEndpointIds", "A VPC endpoint", &[]),
    row(Shape::Method, "authorizationType", "Method authorization", &["NONE"]),
    row(Shape::Method, "authorizerId", "An authorizer", &[]),
    row(Shape::Method, "authorizationScopes", "Authorization by scope", &[]),
    row(Shape::Method, "requestValidatorId", "Request validation", &[]),
    row(Shape::Integration, "type", "The integration type", &["HTTP", "HTTP_PROXY", "MOCK"]),
    row(Shape::Integration, "credentials", "Integration credentials", &[]),
    row(Shape::Integration, "contentHandling", "Content handling", &[]),
    row(Shape::Integration, "responseTransferMode", "The response transfer mode", &["BUFFERED"]),
    row(Shape::Integration, "integrationTarget", "An integration target", &[]),
    row(Shape::IntegrationResponse, "contentHandling", "Content handling", &[]),
    row(Shape::Deployment, "canarySettings", "A canary release", &[]),
    row(Shape::Deployment, "tracingEnabled", "Tracing per stage", &[]),
    row(Shape::Stage, "canarySettings", "A canary release", &[]),
    row(Shape::Stage, "clientCertificateId", "A client certificate", &[]),
    row(Shape::Stage, "documentationVersion", "API documentation", &[]),
    row(Shape::Stage, "methodSettings", "Settings per method", &[]),
    row(Shape::Stage, "accessLogSettings", "Access logging per stage", &[]),
    row(Shape::Stage, "tracingEnabled", "Tracing per stage", &[]),
    row(Shape::Account, "cloudwatchRoleArn", "A role for logs", &[]),
    row(Shape::Stage, "webAclArn", "A web ACL", &[]),
];

/// Accepts a value that asks for nothing and refuses every other one.
///
/// # Errors
/// 400 that names the field and the value.
pub(crate) fn refuse(shape: Shape, field: &str, value: &Value) -> Result<(), ApiError> {
    let row = LATER.iter().find(|row| row.shape == shape && row.field == field);
    let neutral = match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => {
            text.is_empty() || text == "false" || row.is_some_and(|row| row.neutral.contains(&text.as_str()))
        }
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    };
    if neutral { Ok(()) } else { Err(refusal(row.map_or("This field", |row| row.what), field, value)) }
}

/// The refusal itself, for values that only their operation can tell apart.
pub(crate) fn refusal(what: &str, field: &str, value: &Value) -> ApiError {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut shown: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    ApiError::bad_request(format!(
        "{what} is not supported by this version of Tidegate: field {field}, value {shown}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn neutral_values_pass_and_others_are_named() {
        let cases = [
            (Shape::Method, "authorizationType", json!("NONE"), None),
            (
                Shape::Method,
                "authorizationType",
                json!("AWS_IAM"),
                Some(
                    "Method authorization is not supported by this version of Tidegate: field authorizationType, value AWS_IAM",
                ),
            ),
            (Shape::Stage, "tracingEnabled", json!(false), None),
            (Shape::Stage, "tracingEnabled", json!("false"), None),
            (
                Shape::Stage,
                "tracingEnabled",
                json!(true),
                Some(
                    "Tracing per stage is not supported by this version of Tidegate: field tracingEnabled, value true",
                ),
            ),
            (Shape::Deployment, "canarySettings", json!({}), None),
            (
                Shape::Deployment,
                "canarySettings",
                json!({"percentTraffic": 5}),
                Some(
                    "A canary release is not supported by this version of Tidegate: field canarySettings, value {\"percentTraffic\":5}",
                ),
            ),
            (
                Shape::Stage,
                "brandNew",
                json!("x"),
                Some("This field is not supported by this version of Tidegate: field brandNew, value x"),
            ),
        ];
        for (shape, field, value, expect) in cases {
            let found = refuse(shape, field, &value).err().map(|error| error.message);
            assert_eq!(found.as_deref(), expect, "{field} {value}");
        }
        let long = refuse(Shape::RestApi, "policy", &json!("p".repeat(1_000))).unwrap_err();
        assert!(long.message.chars().count() < 300);
    }
}
