//! The `$context` variables a format may use: one table from name to the field it reads.

use super::record::Record;

/// One value of a record, not yet rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Missing,
    Text(&'a [u8]),
    /// Text that the gateway itself made of letters, digits and signs that no style escapes.
    Own(&'a [u8]),
    /// Text that brings its own quotes, as `$context.error.messageString` does.
    Quoted(&'a [u8]),
    Number(u64),
    /// Milliseconds since 1970, shown in Common Log Format.
    Time(u64),
}

/// Reads one value from a record.
pub(super) type Read = for<'r> fn(&'r Record<'r>) -> Value<'r>;

/// The reader of a variable by its name after `$context.`.
pub(super) fn find(name: &str) -> Option<Read> {
    VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, read)| *read)
}

/// Whether a variable has the same value for all requests of a node.
pub(super) fn is_constant(name: &str) -> bool {
    matches!(name, "tidegate.region" | "tidegate.az" | "tidegate.node")
}

/// Whether a variable shows bytes of the request's head. The method is not one: it is one of seven.
pub(super) fn is_of_head(name: &str) -> bool {
    matches!(name, "identity.userAgent" | "path" | "domainName" | "domainPrefix" | "xrayTraceId")
}

fn text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Missing, |value| Value::Text(value.as_bytes()))
}

fn bytes(value: Option<&[u8]>) -> Value<'_> {
    value.map_or(Value::Missing, Value::Text)
}

fn own(value: Option<&[u8]>) -> Value<'_> {
    value.map_or(Value::Missing, Value::Own)
}

fn number<'a>(value: Option<impl Into<u64>>) -> Value<'a> {
    value.map_or(Value::Missing, |value| Value::Number(value.into()))
}

const VARIABLES: &[(&str, Read)] = &[
    ("requestId", |r| own(r.request_id)),
    ("extendedRequestId", |r| own(r.extended_request_id)),
    ("identity.sourceIp", |r| own(r.source_ip)),
    ("identity.userAgent", |r| bytes(r.user_agent)),
    ("identity.caller", |r| text(r.caller)),
    ("identity.user", |r| text(r.user)),
    ("identity.userArn", |r| text(r.user_arn)),
    ("identity.accountId", |r| text(r.identity_account_id)),
    ("identity.accessKey", |r| text(r.access_key)),
    ("identity.apiKeyId", |r| text(r.api_key_id)),
    ("identity.clientCert.subjectDN", |r| text(r.client_cert_subject)),
    ("requestTime", |r| r.request_time_ms.map_or(Value::Missing, Value::Time)),
    ("requestTimeEpoch", |r| number(r.request_time_ms)),
    ("httpMethod", |r| bytes(r.http_method)),
    ("path", |r| bytes(r.path)),
    ("resourcePath", |r| text(r.resource_path)),
    ("resourceId", |r| text(r.resource_id)),
    ("routeKey", |r| text(r.route_key)),
    ("status", |r| number(r.status)),
    ("protocol", |r| own(r.protocol.map(str::as_bytes))),
    ("responseLength", |r| number(r.response_bytes)),
    ("dataProcessed", |r| number(r.response_bytes)),
    ("responseLatency", |r| number(r.response_latency_ms)),
    ("integrationLatency", |r| number(r.integration_latency_ms)),
    ("integration.latency", |r| number(r.integration_latency_ms)),
    ("integrationStatus", |r| number(r.integration_status)),
    ("integration.status", |r| number(r.integration_status)),
    ("integration.integrationStatus", |r| number(r.integration_status)),
    ("integrationErrorMessage", |r| text(r.integration_error)),
    ("integration.error", |r| text(r.integration_error)),
    ("integration.requestId", |r| text(r.integration_request_id)),
    ("apiId", |r| text(r.api_id)),
    ("accountId", |r| text(r.account_id)),
    ("stage", |r| text(r.stage)),
    ("deploymentId", |r| text(r.deployment_id)),
    ("domainName", |r| bytes(r.domain_name)),
    ("domainPrefix", |r| bytes(r.domain_prefix)),
    ("customDomain.basePathMatched", |r| text(r.base_path_matched)),
    ("error.message", |r| text(r.error_message)),
    ("error.messageString", |r| {
        r.error_message.map_or(Value::Missing, |text| Value::Quoted(text.as_bytes()))
    }),
    ("error.responseType", |r| text(r.error_response_type)),
    ("error.validationErrorString", |r| text(r.error_validation)),
    ("authorizer.principalId", |r| text(r.authorizer_principal_id)),
    ("authorizer.error", |r| text(r.authorizer_error)),
    ("authorizer.status", |r| number(r.authorizer_status)),
    ("authorizer.latency", |r| number(r.authorizer_latency_ms)),
    ("wafResponseCode", |r| text(r.waf_response_code)),
    ("xrayTraceId", |r| bytes(r.xray_trace_id)),
    ("connectionId", |r| text(r.connection_id)),
    ("eventType", |r| text(r.event_type)),
    ("messageId", |r| text(r.message_id)),
    ("tidegate.region", |r| text(r.region)),
    ("tidegate.az", |r| text(r.az)),
    ("tidegate.node", |r| text(r.node)),
    ("tidegate.cache", |r| text(r.cache)),
    ("tidegate.phase.route_us", |r| number(r.phases.route_us)),
    ("tidegate.phase.authorize_us", |r| number(r.phases.authorize_us)),
    ("tidegate.phase.throttle_us", |r| number(r.phases.throttle_us)),
    ("tidegate.phase.cache_us", |r| number(r.phases.cache_us)),
    ("tidegate.phase.request_transform_us", |r| number(r.phases.request_transform_us)),
    ("tidegate.phase.integrate_us", |r| number(r.phases.integrate_us)),
    ("tidegate.phase.response_transform_us", |r| number(r.phases.response_transform_us)),
    ("tidegate.phase.respond_us", |r| number(r.phases.respond_us)),
];
