//! What a control call is refused with. Owns codes, statuses and the texts that several operations share; must never render bytes.

use tidegate_iam::sigv4::{Dialect, Refusal};
use tidegate_state::table::Corrupt;

/// A refused control call: AWS's error code, its status and a message for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// AWS error code, the value of `x-amzn-ErrorType`.
    pub code: &'static str,
    /// What was wrong, naming field, value and rule.
    pub message: String,
    /// Seconds after which a retry may succeed.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None }
    }

    /// 400: the request breaks a rule of the service.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequestException", message)
    }

    /// 400: the request breaks its shape.
    pub(crate) fn validation(violations: &[String]) -> Self {
        let (count, noun) = (violations.len(), if violations.len() == 1 { "error" } else { "errors" });
        let message = format!("{count} validation {noun} detected: {}", violations.join("; "));
        Self::new(400, "ValidationException", message)
    }

    /// 400: a value has another JSON type than its field.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new(400, "SerializationException", message)
    }

    /// 404: what the path names does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NotFoundException", message)
    }

    /// 409: what exists is in the way.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "ConflictException", message)
    }

    /// 429: a quota of the service is used up.
    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(429, "LimitExceededException", message)
    }

    /// 429: more calls at once than this node answers.
    pub(crate) fn too_many_requests() -> Self {
        let retry_after_s = Some(1);
        Self { retry_after_s, ..Self::new(429, "TooManyRequestsException", "Too Many Requests") }
    }

    /// 413: the body is larger than a control call may be.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLargeException",
            format!("Request body exceeds the limit of {bytes_max} bytes"),
        )
    }

    /// 501: an operation of AWS's API that this version does not have.
    pub(crate) fn not_implemented(operation: &str) -> Self {
        let message = format!("{operation} is not supported by this version of Tidegate");
        Self::new(501, "NotImplementedException", message)
    }

    /// 404: no such operation at AWS either.
    pub(crate) fn unknown_operation(method: &str, path: &str) -> Self {
        Self::new(404, "UnknownOperationException", format!("No operation matches {method} {path}"))
    }

    /// 503: the cluster cannot agree right now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let retry_after_s = Some(1);
        Self { retry_after_s, ..Self::new(503, "ServiceUnavailableException", message) }
    }

    /// 500: a fault of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalFailure", message)
    }

    /// A REST API that does not exist.
    pub(crate) fn no_api(account: &str, api: &str) -> Self {
        Self::not_found(format!("Invalid API identifier specified {account}:{api}"))
    }

    /// A resource that does not exist, or whose API does not.
    pub(crate) fn no_resource() -> Self {
        Self::not_found("Invalid Resource identifier specified")
    }

    /// Writers of one API got in each other's way until the attempts were used up.
    pub(crate) fn contended() -> Self {
        Self::conflict("Unable to complete operation due to concurrent modification. Please try again later.")
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let dialect = Dialect::Json;
        Self::new(refusal.status(dialect), refusal.code(dialect), refusal.message(dialect))
    }
}

impl From<Corrupt> for ApiError {
    fn from(corrupt: Corrupt) -> Self {
        Self::internal(corrupt.to_string())
    }
}
