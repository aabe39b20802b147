//! Every answer the gateway gives in place of an upstream: one table, one variant per AWS gateway-response type.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;

use crate::Shortage;

/// Why a request ends without an integration's answer. AWS: `GatewayResponseType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A policy or authorizer says no; the text names who and what.
    AccessDenied(String),
    /// The configuration cannot serve the call.
    ApiConfigurationError,
    /// The authorizer is configured wrongly.
    AuthorizerConfigurationError,
    /// The authorizer failed.
    AuthorizerFailure,
    /// A mapping could not read the body.
    BadRequestBody(Cow<'static, str>),
    /// Required parameters are missing.
    BadRequestParameters(String),
    /// A security token ran out.
    ExpiredToken,
    /// No such API or stage.
    Forbidden,
    /// The integration did not answer properly.
    IntegrationFailure(Fault),
    /// The integration did not answer in time.
    IntegrationTimeout,
    /// An API key is required and none that is valid came.
    InvalidApiKey,
    /// The signature is wrong.
    InvalidSignature(String),
    /// No such resource or verb; AWS answers as for an unsigned call.
    MissingAuthenticationToken,
    /// The quota of a usage plan is used up.
    QuotaExceeded(Shortage),
    /// The request body is too large.
    RequestTooLarge,
    /// No such resource, where AWS says so.
    ResourceNotFound,
    /// Too many requests at this time.
    Throttled(Shortage),
    /// No valid token.
    Unauthorized,
    /// No template for the content type, and passthrough is off.
    UnsupportedMediaType,
    /// Refused by the firewall.
    WafFiltered,
}

/// What went wrong with an integration; decides the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connecting, TLS or the connection itself failed: 504.
    Network,
    /// The answer is not HTTP, or cannot be mapped: 502.
    Answer,
    /// The endpoint's address or the call cannot be made: 500.
    Endpoint,
    /// Its endpoint leads back to it (RFC 5842 §7.2): 508.
    Loop,
}

/// The columns of the table that do not depend on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseType {
    /// AWS: `responseType`.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Value of `x-amzn-ErrorType`.
    pub error_type: &'static str,
    /// Default text.
    pub message: &'static str,
    /// Whether the row is recorded or documented, and not a hypothesis about AWS.
    pub verified: bool,
}

/// A rejection as it goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// HTTP status.
    pub status: u16,
    /// Value of `x-amzn-ErrorType`.
    pub error_type: &'static str,
    /// JSON; the content type is `application/json`.
    pub body: Bytes,
}

const fn row(
    name: &'static str,
    status: u16,
    error_type: &'static str,
    message: &'static str,
    verified: bool,
) -> ResponseType {
    ResponseType { name, status, error_type, message, verified }
}

const INTERNAL: &str = "InternalServerErrorException";

impl Rejection {
    /// The row of the table.
    #[rustfmt::skip]
    pub fn response_type(&self) -> ResponseType {
        match self {
            Self::AccessDenied(_) => row("ACCESS_DENIED", 403, "AccessDeniedException", "User is not authorized to access this resource", true),
            Self::ApiConfigurationError => row("API_CONFIGURATION_ERROR", 500, INTERNAL, "Internal server error", true),
            Self::AuthorizerConfigurationError => row("AUTHORIZER_CONFIGURATION_ERROR", 500, "AuthorizerConfigurationException", "", true),
            Self::AuthorizerFailure => row("AUTHORIZER_FAILURE", 500, "AuthorizerConfigurationException", "", false),
            Self::BadRequestBody(_) => row("BAD_REQUEST_BODY", 400, "BadRequestException", "Invalid request body", true),
            Self::BadRequestParameters(_) => row("BAD_REQUEST_PARAMETERS", 400, "BadRequestException", "Missing required request parameters", true),
            Self::ExpiredToken => row("EXPIRED_TOKEN", 403, "ExpiredTokenException", "The security token included in the request is expired", true),
            Self::Forbidden => row("DEFAULT_4XX", 403, "ForbiddenException", "Forbidden", false),
            Self::IntegrationFailure(Fault::Network) => row("INTEGRATION_FAILURE", 504, INTERNAL, "Network error communicating with endpoint", true),
            Self::IntegrationFailure(Fault::Answer) => row("INTEGRATION_FAILURE", 502, INTERNAL, "Internal server error", true),
            Self::IntegrationFailure(Fault::Endpoint) => row("INTEGRATION_FAILURE", 500, INTERNAL, "Internal server error", true),
            Self::IntegrationFailure(Fault::Loop) => row("INTEGRATION_FAILURE", 508, INTERNAL, "The integration calls the API that calls it", false),
            Self::IntegrationTimeout => row("INTEGRATION_TIMEOUT", 504, INTERNAL, "Endpoint request timed out", true),
            Self::InvalidApiKey => row("INVALID_API_KEY", 403, "ForbiddenException", "Forbidden", true),
            Self::InvalidSignature(_) => row("INVALID_SIGNATURE", 403, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.", true),
            Self::MissingAuthenticationToken => row("MISSING_AUTHENTICATION_TOKEN", 403, "MissingAuthenticationTokenException", "Missing Authentication Token", true),
            Self::QuotaExceeded(_) => row("QUOTA_EXCEEDED", 429, "LimitExceededException", "Limit Exceeded", true),
            Self::RequestTooLarge => row("REQUEST_TOO_LARGE", 413, "RequestTooLargeException", "Request Too Long", false),
            Self::ResourceNotFound => row("RESOURCE_NOT_FOUND", 404, "ResourceNotFoundException", "Not Found", false),
            Self::Throttled(_) => row("THROTTLED", 429, "TooManyRequestsException", "Too Many Requests", true),
            Self::Unauthorized => row("UNAUTHORIZED", 401, "UnauthorizedException", "Unauthorized", true),
            Self::UnsupportedMediaType => row("UNSUPPORTED_MEDIA_TYPE", 415, "BadRequestException", "Unsupported Media Type", true),
            Self::WafFiltered => row("WAF_FILTERED", 403, "ForbiddenException", "Forbidden", true),
        }
    }

    /// The limit that refused, where one did.
    pub fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::QuotaExceeded(shortage) | Self::Throttled(shortage) => Some(*shortage),
            _ => None,
        }
    }

    /// The text for the client and for `$context.error.message`.
    pub fn message(&self) -> &str {
        match self {
            Self::AccessDenied(text) | Self::InvalidSignature(text) | Self::BadRequestParameters(text) => {
                text
            }
            Self::BadRequestBody(text) => text,
            other => other.response_type().message,
        }
    }

    /// Status, error type and body.
    pub fn render(&self) -> Rendered {
        let ResponseType { status, error_type, .. } = self.response_type();
        let name = if matches!(self, Self::AccessDenied(_)) { "Message" } else { "message" };
        let text = match self.message() {
            "" => serde_json::Value::Null,
            text => text.into(),
        };
        Rendered { status, error_type, body: Bytes::from(format!("{{\"{name}\":{text}}}")) }
    }
}
