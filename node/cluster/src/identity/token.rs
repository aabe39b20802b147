//! The join token: everything a new node needs, as one line of text. It pins the authority, so that the first contact
//! cannot be intercepted, and carries a secret, so that not everyone may join.

use super::IdentityError;
use crate::{limits, options::is_cluster_name};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, str::FromStr};

const PREFIX: &str = "tg1.";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// What a new node is given. Prints and parses as `tg1.<base64url>`.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Name of the cluster.
    pub cluster: String,
    /// SHA-256 of the authority's certificate.
    pub ca_sha256: [u8; 32],
    /// Known to the cluster; may be good for one node only.
    pub secret: Vec<u8>,
    /// `host:port` of nodes to ask, in order.
    pub addresses: Vec<String>,
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("cluster", &self.cluster)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.ca_sha256.to_vec();
        let mut part = |value: &[u8]| {
            bytes.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
            bytes.extend(value.iter().take(usize::from(u8::MAX)));
        };
        part(self.cluster.as_bytes());
        part(&self.secret);
        for address in self.addresses.iter().take(limits::TOKEN_ADDRESSES_MAX) {
            part(address.as_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for JoinToken {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        let fail = |field, reason: &str| IdentityError::Token { field, reason: reason.to_owned() };
        if text.len() > limits::TOKEN_CHARS_MAX {
            return Err(fail("length", "is over the limit"));
        }
        let body = text.strip_prefix(PREFIX).ok_or_else(|| fail("prefix", "is not tg1."))?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| fail("encoding", "is not base64url"))?;
        let Some((bytes, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(fail("length", "is too short"));
        };
        if crc32c::crc32c(bytes).to_le_bytes() != *crc {
            return Err(fail("checksum", "does not match: it was not copied completely"));
        }
        let Some((ca_sha256, mut rest)) = bytes.split_first_chunk::<32>() else {
            return Err(fail("authority fingerprint", "is missing"));
        };
        let cluster = text_part(&mut rest, "cluster name")?;
        if !is_cluster_name(&cluster) {
            return Err(fail("cluster name", "is not valid"));
        }
        let secret = part(&mut rest).ok_or_else(|| fail("secret", "is missing"))?.to_vec();
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(fail("secret", "is not 16 to 64 bytes long"));
        }
        let mut addresses = Vec::new();
        while !rest.is_empty() {
            addresses.push(text_part(&mut rest, "address")?);
        }
        match addresses.len() {
            0 => Err(fail("address", "is missing")),
            1..=limits::TOKEN_ADDRESSES_MAX => Ok(Self { cluster, ca_sha256: *ca_sha256, secret, addresses }),
            _ => Err(fail("address", "occurs too often")),
        }
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first()?;
    let (value, tail) = tail.split_at_checked(usize::from(*length))?;
    *rest = tail;
    Some(value)
}

fn text_part(rest: &mut &[u8], field: &'static str) -> Result<String, IdentityError> {
    let fail = |reason: &str| IdentityError::Token { field, reason: reason.to_owned() };
    let value = part(rest).ok_or_else(|| fail("is missing"))?;
    String::from_utf8(value.to_vec()).map_err(|_| fail("is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            cluster: "prod".into(),
            ca_sha256: [7; 32],
            secret: vec![1; 16],
            addresses: vec!["10.0.0.1:7000".into(), "[fd00::1]:7000".into()],
        }
    }

    #[test]
    fn a_token_survives_printing() {
        let text = token().to_string();
        assert!(text.starts_with("tg1.") && text.len() < 160, "{text}");
        assert_eq!(format!(" {text}\n").parse::<JoinToken>().unwrap(), token());
    }

    #[test]
    fn errors_name_the_field() {
        let good = token();
        let table: Vec<(String, &str)> = vec![
            ("tg2.abc".into(), "prefix"),
            ("tg1.***".into(), "encoding"),
            ("tg1.AA".into(), "length"),
            ("x".repeat(5000), "length"),
            (good.to_string()[..60].to_owned(), "checksum"),
            (JoinToken { cluster: "Bad Name".into(), ..good.clone() }.to_string(), "cluster name"),
            (JoinToken { secret: vec![1], ..good.clone() }.to_string(), "secret"),
            (JoinToken { addresses: vec![], ..good.clone() }.to_string(), "address"),
        ];
        for (text, want) in table {
            match text.parse::<JoinToken>() {
                Err(IdentityError::Token { field, .. }) => assert_eq!(field, want, "{text}"),
                other => panic!("{want}: {other:?}"),
            }
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", token()).contains("secret"));
    }
}
