//! The table as clients see it.

use super::{Fault, Rejection};

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
        (Rejection::Throttled, 429, "TooManyRequestsException", r#"{"message":"Too Many Requests"}"#),
        (Rejection::QuotaExceeded, 429, "LimitExceededException", r#"{"message":"Limit Exceeded"}"#),
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
            Rejection::IntegrationFailure(Fault::Answer),
            502,
            "InternalServerErrorException",
            r#"{"message":"Internal server error"}"#,
        ),
        (
            Rejection::IntegrationFailure(Fault::Endpoint),
            500,
            "InternalServerErrorException",
            r#"{"message":"Internal server error"}"#,
        ),
        (
            Rejection::IntegrationTimeout,
            504,
            "InternalServerErrorException",
            r#"{"message":"Endpoint request timed out"}"#,
        ),
        (
            Rejection::ApiConfigurationError,
            500,
            "InternalServerErrorException",
            r#"{"message":"Internal server error"}"#,
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
