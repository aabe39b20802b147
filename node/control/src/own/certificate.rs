//! Certificates of the data plane: stored, listed, replaced, deleted. Owns what a certificate must be to enter the log; must never
//! print a private key.

mod leaf;

use tidegate_listener::tls::{Identity, IdentityError};
use tidegate_proto::document::TicketSecret;
use tidegate_proto::{
    document::Certificate,
    key::{self, TICKET_SECRET},
    limits::{
        CERTIFICATE_CHAIN_BYTES_MAX, CERTIFICATE_KEY_BYTES_MAX, CERTIFICATE_NAME_BYTES_MAX, CERTIFICATES_MAX,
    },
    status::{CertificateList, CertificateStatus},
    transaction::TransactionV1,
};
use tidegate_state::State;

use self::leaf::Leaf;
use crate::{
    answer::{Answer, print},
    call::Outcome,
    error::ApiError,
    input::Input,
    rest::unsupported::Shape,
};

/// Field of a request: the chain.
const CHAIN: &str = "chain_pem";
/// Field of a request: the private key.
const KEY: &str = "key_pem";

/// Reads a request that stores a certificate, and requires that it can be served now.
pub(super) fn check(name: &str, body: &[u8], now_s: i64) -> Result<Certificate, ApiError> {
    let mut input = Input::parse("putCertificateInput", body)?;
    let (chain_pem, key_pem) = (input.required(CHAIN)?, input.required(KEY)?);
    input.finish(Shape::Tags)?;
    check_name(name)?;
    let leaf = examine(&chain_pem, &key_pem)?;
    if leaf.not_after < now_s {
        return Err(invalid(CHAIN, format!("the certificate has expired on {}", leaf::date(leaf.not_after))));
    }
    if leaf.not_before > now_s {
        let from = leaf::date(leaf.not_before);
        return Err(invalid(CHAIN, format!("the certificate is not valid before {from}")));
    }
    Ok(Certificate {
        name: name.to_owned(),
        chain_pem,
        key_pem,
        dns_names: leaf.dns_names,
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        stored_date: now_s,
        other: Default::default(),
    })
}

/// Requires that a stored certificate can be served and says of itself what is true; it may have expired.
pub(super) fn check_stored(certificate: &Certificate) -> Result<(), ApiError> {
    check_name(&certificate.name)?;
    let place = |rule: &str| ApiError::bad_request(format!("Certificate {}: {rule}", certificate.name));
    let leaf =
        examine(&certificate.chain_pem, &certificate.key_pem).map_err(|error| place(&error.message))?;
    match leaf.dns_names == certificate.dns_names {
        true => Ok(()),
        false => Err(place("its DNS names are not those of its chain")),
    }
}

/// Stores a certificate, in place of the one with its name; the first one brings the secret of session tickets along.
pub(super) fn put(view: &State, certificate: &Certificate, ticket_secret: [u8; 32]) -> Outcome {
    let record = key::certificate(&certificate.name);
    let mut transaction = TransactionV1::default();
    if view.get(&record).is_none() && view.prefix(key::CERTIFICATE_PREFIX).count() >= CERTIFICATES_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "The cluster has {CERTIFICATES_MAX} certificates, which is the most it takes"
        )));
    }
    if view.get(TICKET_SECRET).is_none() {
        transaction.compare(TICKET_SECRET, 0).put(TICKET_SECRET, &TicketSecret::new(ticket_secret));
    }
    transaction.put(record, certificate);
    Ok((transaction, Answer::ok(print(&status(certificate)))))
}

/// Prints all certificates without their chains.
pub(super) fn list(view: &State) -> Result<Answer, ApiError> {
    let stored = view.scan::<Certificate>(key::CERTIFICATE_PREFIX)?;
    let certificates = stored.iter().map(|stored| status(&stored.document)).collect();
    Ok(Answer::ok(print(&CertificateList { certificates })))
}

/// Prints one certificate with its chain.
pub(super) fn get(view: &State, name: &str) -> Result<Answer, ApiError> {
    let stored = view.read::<Certificate>(&key::certificate(name))?.ok_or_else(|| no_certificate(name))?;
    let chain_pem = Some(stored.document.chain_pem.clone());
    Ok(Answer::ok(print(&CertificateStatus { chain_pem, ..status(&stored.document) })))
}

/// Deletes a certificate.
pub(super) fn delete(view: &State, name: &str) -> Outcome {
    let record = key::certificate(name);
    let stored = view.get(&record).ok_or_else(|| no_certificate(name))?;
    let mut transaction = TransactionV1::default();
    transaction.compare(record.clone(), stored.revision).delete(record);
    Ok((transaction, Answer::no_content()))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_name = name.len() <= CERTIFICATE_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(is_plain)
        && name.bytes().all(|b| is_plain(b) || b"-_.".contains(&b));
    match is_name {
        true => Ok(()),
        false => Err(ApiError::bad_request(format!(
            "Invalid certificate name '{}': must be 1 to {CERTIFICATE_NAME_BYTES_MAX} of a-z, 0-9, '-', '_' and '.', \
             beginning with a letter or digit",
            name.chars().take(CERTIFICATE_NAME_BYTES_MAX).collect::<String>()
        ))),
    }
}

/// Whatever must hold at any time: sizes, a readable chain in order, host names, the right key.
fn examine(chain_pem: &str, key_pem: &str) -> Result<Leaf, ApiError> {
    for (field, text, bytes_max) in
        [(CHAIN, chain_pem, CERTIFICATE_CHAIN_BYTES_MAX), (KEY, key_pem, CERTIFICATE_KEY_BYTES_MAX)]
    {
        if text.len() > bytes_max {
            let rule = format!("it has {} bytes, at most {bytes_max} are taken", text.len());
            return Err(invalid(field, rule));
        }
    }
    let identity = Identity::from_pem(chain_pem.as_bytes(), key_pem.as_bytes()).map_err(|error| {
        let field = match error {
            IdentityError::Key(_) | IdentityError::NoKey | IdentityError::Mismatch => KEY,
            IdentityError::Chain(_)
            | IdentityError::NoCertificate
            | IdentityError::NotOnlyCertificates
            | IdentityError::Leaf(_) => CHAIN,
        };
        invalid(field, error.to_string())
    })?;
    leaf::read(identity.chain()).map_err(|rule| invalid(CHAIN, rule))
}

fn status(certificate: &Certificate) -> CertificateStatus {
    CertificateStatus {
        name: certificate.name.clone(),
        dns_names: certificate.dns_names.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        stored: certificate.stored_date,
        chain_pem: None,
    }
}

fn invalid(field: &str, rule: String) -> ApiError {
    ApiError::bad_request(format!("Invalid {field}: {rule}"))
}

fn no_certificate(name: &str) -> ApiError {
    ApiError::not_found(format!("There is no certificate '{name}'"))
}
