//! Every way a signature is refused, with AWS's words. Owns codes and messages; must never carry a secret or the expected signature.

use super::{clock::format_date, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Which family of error codes the caller's protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// REST and JSON services (execute-api, apigateway, lambda): `…Exception`.
    Json,
    /// Query services (iam, sts): bare codes.
    Query,
}

/// A refused request, one variant per AWS error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither form is present.
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// The form is present but cannot be read.
    #[error("{0}")]
    IncompleteSignature(Incomplete),
    /// The form is readable and wrong.
    #[error("{0}")]
    InvalidSignature(Invalid),
    /// The access key is unknown, or its session token is missing or foreign; raised by whoever looks keys up.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The session token was good once; raised by whoever looks keys up.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
}

impl Refusal {
    /// AWS's error code, for `x-amzn-ErrorType` or `<Code>`.
    #[must_use]
    pub fn code(&self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::MissingAuthenticationToken, Dialect::Json) => "MissingAuthenticationTokenException",
            (Self::MissingAuthenticationToken, Dialect::Query) => "MissingAuthenticationToken",
            (Self::IncompleteSignature(_), Dialect::Json) => "IncompleteSignatureException",
            (Self::IncompleteSignature(_), Dialect::Query) => "IncompleteSignature",
            (Self::InvalidSignature(_), Dialect::Json) => "InvalidSignatureException",
            (Self::InvalidSignature(_), Dialect::Query) => "SignatureDoesNotMatch",
            (Self::UnrecognizedClient, Dialect::Json) => "UnrecognizedClientException",
            (Self::UnrecognizedClient, Dialect::Query) => "InvalidClientTokenId",
            (Self::ExpiredToken, Dialect::Json) => "ExpiredTokenException",
            (Self::ExpiredToken, Dialect::Query) => "ExpiredToken",
        }
    }

    /// AWS's text, complete.
    #[must_use]
    pub fn message(&self, dialect: Dialect) -> String {
        match (self, dialect) {
            (Self::MissingAuthenticationToken, Dialect::Query) => {
                "Request is missing Authentication Token".to_owned()
            }
            _ => self.to_string(),
        }
    }

    /// HTTP status: 403, but 400 for an unreadable form at query services.
    #[must_use]
    pub fn status(&self, dialect: Dialect) -> u16 {
        match (self, dialect) {
            (Self::IncompleteSignature(_), Dialect::Query) => 400,
            _ => 403,
        }
    }
}

/// Why a signature cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// Some part of the header is no `key=value`; the header is hashed because it may be another scheme's secret.
    NotKeyValue {
        /// SHA-256 of the whole header value, base64.
        header_sha256: String,
    },
    /// Header form without required parameters, in AWS's order.
    MissingParameters {
        /// Among `Credential`, `Signature`, `SignedHeaders`.
        names: Vec<&'static str>,
        /// Neither `X-Amz-Date` nor `Date`.
        date: bool,
        /// The header value as received.
        authorization: String,
    },
    /// Query form without required parameters.
    MissingQueryParameters(Vec<&'static str>),
    /// An algorithm other than `AWS4-HMAC-SHA256`.
    Algorithm(String),
    /// A date that is not ISO 8601 basic.
    Date(String),
    /// A credential that has not five parts.
    Credential(String),
    /// `X-Amz-Expires` is no number of seconds from 1 to 604,800.
    Expires,
    /// More headers, parameters or bytes than a signature may cover.
    TooLarge,
}

impl Incomplete {
    pub(super) fn not_key_value(authorization: &str) -> Self {
        Self::NotKeyValue { header_sha256: STANDARD.encode(digest::sha256(authorization.as_bytes())) }
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKeyValue { header_sha256 } => write!(
                f,
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '{header_sha256}'."
            ),
            Self::MissingParameters { names, date, authorization } => {
                for name in names {
                    write!(f, "Authorization header requires '{name}' parameter. ")?;
                }
                if *date {
                    f.write_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")?;
                }
                write!(f, "Authorization={authorization}")
            }
            Self::MissingQueryParameters(names) => {
                for name in names {
                    write!(f, "AWS query-string parameters must include '{name}'. ")?;
                }
                f.write_str("Re-examine the query-string parameters.")
            }
            Self::Algorithm(name) => {
                write!(f, "Unsupported AWS 'algorithm': '{name}' (only AWS4-HMAC-SHA256 for now). ")
            }
            Self::Date(text) => write!(
                f,
                "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ),
            Self::Credential(text) => {
                write!(
                    f,
                    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{text}'"
                )
            }
            Self::Expires => f.write_str("X-Amz-Expires must be a number of seconds between 1 and 604800."),
            Self::TooLarge => {
                f.write_str("The request has more headers or parameters than a signature may cover.")
            }
        }
    }
}

/// Why a readable signature is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Another secret, or a request changed on its way.
    Mismatch,
    /// Older than the service allows.
    Expired {
        /// When it was signed.
        signed_s: i64,
        /// The verifier's clock.
        now_s: i64,
        /// Allowed age.
        life_s: i64,
    },
    /// Signed further in the future than the service allows.
    NotYetCurrent {
        /// When it was signed.
        signed_s: i64,
        /// The verifier's clock.
        now_s: i64,
        /// Allowed skew.
        skew_s: i64,
    },
    /// The credential scope is for something else; AWS lists all faults at once.
    Scope(String),
    /// Header and query form at once.
    BothForms,
    /// `host` is not among the signed headers.
    HostNotSigned,
    /// `x-amz-*` headers that are present and not signed.
    HeadersNotSigned(Vec<String>),
    /// The body is not the one that `x-amz-content-sha256` announces.
    PayloadHash,
    /// `x-amz-content-sha256` names an S3 convention that this service does not offer.
    UnsignedPayload,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch => f.write_str(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
                 signing method. Consult the service documentation for details.",
            ),
            Self::Expired { signed_s, now_s, life_s } => {
                let (signed, limit, now) = (format_date(*signed_s), format_date(now_s.saturating_sub(*life_s)), format_date(*now_s));
                write!(f, "Signature expired: {signed} is now earlier than {limit} ({now} - {})", Span(*life_s))
            }
            Self::NotYetCurrent { signed_s, now_s, skew_s } => {
                let (signed, limit, now) = (format_date(*signed_s), format_date(now_s.saturating_add(*skew_s)), format_date(*now_s));
                write!(f, "Signature not yet current: {signed} is still later than {limit} ({now} + {})", Span(*skew_s))
            }
            Self::Scope(text) => f.write_str(text),
            Self::BothForms => f.write_str("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."),
            Self::HostNotSigned => f.write_str("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
            Self::HeadersNotSigned(names) => write!(f, "There were headers present in the request which were not signed: {}", names.join(", ")),
            Self::PayloadHash => f.write_str("The provided 'x-amz-content-sha256' header does not match what was computed."),
            Self::UnsignedPayload => f.write_str("The value of 'x-amz-content-sha256' must be the SHA-256 of the request body."),
        }
    }
}

/// A span as AWS prints it: `5 min.`.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 60 == 0 { write!(f, "{} min.", self.0 / 60) } else { write!(f, "{} sec.", self.0) }
    }
}
