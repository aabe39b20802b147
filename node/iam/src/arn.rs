//! Amazon Resource Names. Owns their six-field syntax; must never decide what one grants.

use crate::limits::ARN_BYTES_MAX;
use std::fmt;

/// A parsed `arn:partition:service:region:account:resource`; fields may be empty, `resource` keeps its own colons and slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: &'a str,
    /// Service namespace, for example `execute-api`.
    pub service: &'a str,
    /// Region, empty for global services.
    pub region: &'a str,
    /// Twelve-digit account, empty for account-less resources.
    pub account: &'a str,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

/// Why a text is no ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// The text does not start with `arn:`.
    #[error("an ARN starts with \"arn:\"")]
    NoPrefix,
    /// Fewer than six fields, or an empty resource.
    #[error("an ARN has six fields separated by colons")]
    TooFewFields,
    /// Longer than [`ARN_BYTES_MAX`].
    #[error("an ARN is at most {ARN_BYTES_MAX} bytes long")]
    TooLong,
}

impl<'a> Arn<'a> {
    /// Splits a text into the six fields.
    ///
    /// # Errors
    /// [`ArnError`] when the text is too long, has no `arn:` prefix or lacks a field.
    pub fn parse(text: &'a str) -> Result<Self, ArnError> {
        if text.len() > ARN_BYTES_MAX {
            return Err(ArnError::TooLong);
        }
        let rest = text.strip_prefix("arn:").ok_or(ArnError::NoPrefix)?;
        let mut fields = rest.splitn(5, ':');
        let mut next = || fields.next().ok_or(ArnError::TooFewFields);
        let arn = Self {
            partition: next()?,
            service: next()?,
            region: next()?,
            account: next()?,
            resource: next()?,
        };
        if arn.partition.is_empty() || arn.service.is_empty() || arn.resource.is_empty() {
            return Err(ArnError::TooFewFields);
        }
        Ok(arn)
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_back() {
        for text in [
            "arn:aws:iam::123456789012:user/alice",
            "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/pets/1:2",
            "arn:aws:apigateway:us-east-1::/restapis/abc/stages/prod",
            "arn:aws:s3:::bucket/key",
        ] {
            assert_eq!(Arn::parse(text).unwrap().to_string(), text);
        }
        let arn = Arn::parse("arn:aws:execute-api:eu-west-1:123456789012:abc/prod/GET/a:b").unwrap();
        assert_eq!((arn.service, arn.region, arn.resource), ("execute-api", "eu-west-1", "abc/prod/GET/a:b"));
    }

    #[test]
    fn refuses_what_is_none() {
        let long = format!("arn:aws:s3:::{}", "x".repeat(ARN_BYTES_MAX));
        for (text, error) in [
            ("", ArnError::NoPrefix),
            ("arm:aws:iam::1:user/a", ArnError::NoPrefix),
            ("arn:aws:iam::1", ArnError::TooFewFields),
            ("arn:aws:iam::1:", ArnError::TooFewFields),
            ("arn::iam::1:user/a", ArnError::TooFewFields),
            (long.as_str(), ArnError::TooLong),
        ] {
            assert_eq!(Arn::parse(text), Err(error), "{text}");
        }
    }
}
