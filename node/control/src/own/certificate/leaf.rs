//! What a chain says: the host names and the validity of its leaf, and whether each certificate is followed by its issuer. Owns
//! reading X.509; must never judge trust, which is the clients' affair.

use rustls_pki_types::DnsName;
use tidegate_proto::limits::CERTIFICATE_DNS_NAMES_MAX;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

/// The parts of a leaf certificate that matter here.
#[derive(Debug, PartialEq)]
pub(super) struct Leaf {
    /// DNS names in lower case.
    pub dns_names: Vec<String>,
    /// Start of validity, in seconds since the Unix epoch.
    pub not_before: i64,
    /// End of validity, in seconds since the Unix epoch.
    pub not_after: i64,
}

/// Reads a chain, leaf first; the error is the rule that it breaks.
pub(super) fn read<'a>(chain: impl Iterator<Item = &'a [u8]>) -> Result<Leaf, String> {
    let mut certificates = Vec::new();
    for (at, der) in chain.enumerate() {
        match parse_x509_certificate(der) {
            Ok(([], certificate)) => certificates.push(certificate),
            Ok(_) => return Err(format!("bytes follow certificate {}", at + 1)),
            Err(error) => return Err(format!("certificate {} is not X.509: {error}", at + 1)),
        }
    }
    for (at, pair) in certificates.windows(2).enumerate() {
        let [one, next] = pair else { continue };
        if one.issuer().as_raw() != next.subject().as_raw() {
            return Err(format!(
                "certificate {} must be the issuer of certificate {}, '{}', but is '{}'; the leaf comes first, each followed by its issuer",
                at + 2,
                at + 1,
                one.issuer(),
                next.subject()
            ));
        }
    }
    let leaf = certificates.first().ok_or("it holds no certificate")?;
    let validity = leaf.validity();
    Ok(Leaf {
        dns_names: dns_names(leaf)?,
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// A moment as people read it.
pub(super) fn date(at_s: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at_s).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| at_s.to_string())
}

fn dns_names(leaf: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let alternatives = leaf.subject_alternative_name().map_err(|error| error.to_string())?;
    let general = alternatives.map(|found| found.value.general_names.as_slice()).unwrap_or_default();
    let mut names = Vec::new();
    for name in general {
        if let GeneralName::DNSName(name) = name {
            let name = name.to_ascii_lowercase();
            if !is_host_pattern(&name) {
                return Err(format!("its DNS name '{name}' is neither a host name nor '*.' and a host name"));
            }
            names.push(name);
        }
    }
    if names.is_empty() {
        let common = leaf.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let ignored =
            common.map(|name| format!("; clients ignore its common name '{name}'")).unwrap_or_default();
        return Err(format!("the leaf's subject alternative name holds no DNS name{ignored}"));
    }
    if names.len() > CERTIFICATE_DNS_NAMES_MAX {
        return Err(format!(
            "it has {} DNS names, at most {CERTIFICATE_DNS_NAMES_MAX} are taken",
            names.len()
        ));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn is_host_pattern(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    !host.ends_with('.') && DnsName::try_from(host).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns() {
        for (name, expect) in [
            ("example.com", true),
            ("*.example.com", true),
            ("localhost", true),
            ("a_b.example.com", true),
            ("*", false),
            ("*.", false),
            ("a.*.com", false),
            ("a*.com", false),
            ("*.*.com", false),
            ("example.com.", false),
            ("exa mple.com", false),
            ("", false),
        ] {
            assert_eq!(is_host_pattern(name), expect, "{name}");
        }
    }

    #[test]
    fn dates_read_well() {
        assert_eq!(date(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
    }
}
