//! The table as clients see it.

use super::{Fault, Rejection};
use crate::{Level, Shortage};

const INTERNAL: (&str, &str) = ("InternalServerErrorException", r#"{"message":"Internal server error"}"#);

#[test]
fn internal_errors_differ_in_status_alone() {
    for (rejection, status) in [
        (Rejection::ApiConfigurationError, 500),
        (Rejection::IntegrationFailure(Fault::Endpoint), 500),
        (Rejection::IntegrationFailure(Fault::Answer), 502),
    ] {
        let rendered = rejection.render();
        assert_eq!((rendered.status, rendered.error_type), (status, INTERNAL.0), "{rejection:?}");
        assert_eq!(rendered.body, INTERNAL.1, "{rejection:?}");
    }
}

#[test]
fn bodies_to_the_byte() {
    for (rejection, status, error_type, body) in [
        (Rejection::Forbidden, 403, "ForbiddenException", r#"{"message":"Forbidden"}"#),
        (
            Rejection::MissingAuthenticationToken,
            403,
            "MissingAuthenticationTokenException",
            r#"{"message":"Missing Authentication Token"}"#,
        ),
        (Rejection::InvalidApiKey, 403, "ForbiddenException", r#"{"message":"Forbidden"}"#),
        (
            Rejection::Throttled(Shortage::of(Level::Plan)),
            429,
            "TooManyRequestsException",
            r#"{"message":"Too Many Requests"}"#,
        ),
        (
            Rejection::QuotaExceeded(Shortage::of(Level::Quota)),
            429,
            "LimitExceededException",
            r#"{"message":"Limit Exceeded"}"#,
        ),
        (Rejection::RequestTooLarge, 413, "RequestTooLargeException", r#"{"message":"Request Too Long"}"#),
        (
            Rejection::UnsupportedMediaType,
            415,
            "BadRequestException",
            r#"{"message":"Unsupported Media Type"}"#,
        ),
        (
            Rejection::IntegrationFailure(Fault::Network),
            504,
            "InternalServerErrorException",
            r#"{"message":"Network error communicating with endpoint"}"#,
        ),
        (
            Rejection::IntegrationTimeout,
            504,
            "InternalServerErrorException",
            r#"{"message":"Endpoint request timed out"}"#,
        ),
        (
            Rejection::AuthorizerConfigurationError,
            500,
            "AuthorizerConfigurationException",
            r#"{"message":null}"#,
        ),
        (
            Rejection::BadRequestBody("Invalid JSON in request body".into()),
            400,
            "BadRequestException",
            r#"{"message":"Invalid JSON in request body"}"#,
        ),
        (
            Rejection::AccessDenied("no \"way\"".into()),
            403,
            "AccessDeniedException",
            r#"{"Message":"no \"way\""}"#,
        ),
    ] {
        let rendered = rejection.render();
        assert_eq!((rendered.status, rendered.error_type), (status, error_type), "{rejection:?}");
        assert_eq!(rendered.body, body, "{rejection:?}");
    }
}
