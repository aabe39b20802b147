//! Reads the signature a request presents, in header or query form. Owns that syntax; must never judge whether it is right.

use super::canonical::{HeaderIndex, decode, lower};
use super::refusal::{Incomplete, Invalid, Refusal};
use super::{ALGORITHM, RequestView, Scope, clock};
use crate::limits;
use std::borrow::Cow;

/// Where the signature was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query string (a presigned URL).
    Query {
        /// `X-Amz-Expires`: how long the URL is good, in seconds.
        expires_s: i64,
    },
}

/// A signature as presented; nothing in it is proven.
#[derive(Clone, Debug)]
pub struct Presented<'a> {
    /// Header or query form.
    pub form: Form,
    /// The key to look up, together with `session_token`.
    pub access_key_id: Cow<'a, str>,
    /// Day, region and service the client signed for.
    pub scope: Scope,
    /// `x-amz-security-token`, from the place the form dictates.
    pub session_token: Option<Cow<'a, str>>,
    /// When the client says it signed, in epoch seconds.
    pub signed_s: i64,
    /// Lower-case, sorted, unique.
    pub signed_headers: Vec<String>,
    pub(super) terminator: String,
    pub(super) signature: Cow<'a, str>,
}

/// Finds the signature of a request.
///
/// # Errors
/// [`Refusal::MissingAuthenticationToken`] when there is none, [`Refusal::IncompleteSignature`] when it cannot be read, and
/// [`Refusal::InvalidSignature`] when both forms are present.
pub fn parse<'a>(request: &RequestView<'a>) -> Result<Presented<'a>, Refusal> {
    if request.path.len() + request.query.len() > limits::TARGET_BYTES_MAX {
        return Err(Refusal::IncompleteSignature(Incomplete::TooLarge));
    }
    let mut lines = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let authorization = lines.next().map(|(_, value)| *value);
    let in_query = QueryForm::read(request.query);
    match (authorization, in_query) {
        (None, None) => Err(Refusal::MissingAuthenticationToken),
        (Some(_), Some(_)) => Err(Refusal::InvalidSignature(Invalid::BothForms)),
        (None, Some(form)) => form.finish(),
        (Some(value), None) => {
            let text =
                std::str::from_utf8(value).map_err(|_| not_key_value(&String::from_utf8_lossy(value)))?;
            // Two authorizations are two callers; AWS folds them into one unreadable value.
            if lines.next().is_some() || text.len() > limits::AUTHORIZATION_BYTES_MAX {
                return Err(not_key_value(text));
            }
            parse_header_form(request, text.trim())
        }
    }
}

fn parse_header_form<'a>(request: &RequestView<'a>, text: &'a str) -> Result<Presented<'a>, Refusal> {
    let (algorithm, parameters) = text.split_once(' ').unwrap_or((text, ""));
    if algorithm != ALGORITHM {
        let aws = algorithm.starts_with("AWS4-");
        return Err(if aws {
            incomplete(Incomplete::Algorithm(algorithm.to_owned()))
        } else {
            not_key_value(text)
        });
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in parameters.split([',', ' ', '\t']).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| not_key_value(text))?;
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed_headers = Some(value),
            "Signature" => signature = Some(value),
            _ => {}
        }
    }
    let headers = HeaderIndex::new(request.headers).ok_or_else(|| incomplete(Incomplete::TooLarge))?;
    let date = headers.value("x-amz-date").or_else(|| headers.value("date"));
    let (Some(credential), Some(signed_headers), Some(signature), Some(date)) =
        (credential, signed_headers, signature, &date)
    else {
        let absent =
            [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)];
        return Err(incomplete(Incomplete::MissingParameters {
            names: absent.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect(),
            date: date.is_none(),
            authorization: text.to_owned(),
        }));
    };
    let (access_key_id, scope, terminator) = parse_credential(credential)?;
    let token = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-security-token"));
    Ok(Presented {
        form: Form::Header,
        access_key_id: Cow::Borrowed(access_key_id),
        scope,
        session_token: token.map(|(_, value)| String::from_utf8_lossy(value.trim_ascii())),
        signed_s: parse_date(date)?,
        signed_headers: parse_signed_headers(signed_headers)?,
        terminator,
        signature: Cow::Borrowed(signature),
    })
}

/// The `X-Amz-*` parameters of a query string; the first of each name counts.
#[derive(Default)]
struct QueryForm {
    algorithm: Option<String>,
    credential: Option<String>,
    date: Option<String>,
    expires: Option<String>,
    signature: Option<String>,
    signed_headers: Option<String>,
    token: Option<String>,
}

impl QueryForm {
    /// `None` when the query does not even name an algorithm.
    fn read(query: &str) -> Option<Self> {
        if !query.contains("X-Amz-Algorithm") {
            return None;
        }
        let mut form = Self::default();
        for pair in query.split('&').take(limits::QUERY_PAIRS_MAX) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let field = match name {
                "X-Amz-Algorithm" => &mut form.algorithm,
                "X-Amz-Credential" => &mut form.credential,
                "X-Amz-Date" => &mut form.date,
                "X-Amz-Expires" => &mut form.expires,
                "X-Amz-Signature" => &mut form.signature,
                "X-Amz-SignedHeaders" => &mut form.signed_headers,
                "X-Amz-Security-Token" => &mut form.token,
                _ => continue,
            };
            field.get_or_insert_with(|| String::from_utf8_lossy(&decode(value)).into_owned());
        }
        form.algorithm.is_some().then_some(form)
    }

    fn finish<'a>(self) -> Result<Presented<'a>, Refusal> {
        let algorithm = self.algorithm.unwrap_or_default();
        if algorithm != ALGORITHM {
            return Err(incomplete(Incomplete::Algorithm(algorithm)));
        }
        let (Some(credential), Some(signature), Some(signed_headers), Some(date)) =
            (&self.credential, &self.signature, &self.signed_headers, &self.date)
        else {
            let required = [
                ("X-Amz-Credential", &self.credential),
                ("X-Amz-Signature", &self.signature),
                ("X-Amz-SignedHeaders", &self.signed_headers),
                ("X-Amz-Date", &self.date),
            ];
            let absent =
                required.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
            return Err(incomplete(Incomplete::MissingQueryParameters(absent)));
        };
        let (access_key_id, scope, terminator) = parse_credential(credential)?;
        Ok(Presented {
            form: Form::Query { expires_s: parse_expires(self.expires.as_deref())? },
            access_key_id: Cow::Owned(access_key_id.to_owned()),
            scope,
            session_token: self.token.map(Cow::Owned),
            signed_s: parse_date(date)?,
            signed_headers: parse_signed_headers(signed_headers)?,
            terminator,
            signature: Cow::Owned(signature.clone()),
        })
    }
}

fn parse_credential(text: &str) -> Result<(&str, Scope, String), Refusal> {
    let parts: Vec<&str> = text.split('/').take(6).collect();
    let [key, date, region, service, terminator] = parts.as_slice() else {
        return Err(incomplete(Incomplete::Credential(text.to_owned())));
    };
    let scope =
        Scope { date: (*date).to_owned(), region: (*region).to_owned(), service: (*service).to_owned() };
    Ok((key, scope, (*terminator).to_owned()))
}

fn parse_signed_headers(text: &str) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = text
        .split(';')
        .filter(|name| !name.is_empty())
        .take(limits::SIGNED_HEADERS_MAX + 1)
        .map(|name| lower(name).into_owned())
        .collect();
    if names.len() > limits::SIGNED_HEADERS_MAX {
        return Err(incomplete(Incomplete::TooLarge));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// A missing `X-Amz-Expires` leaves the ordinary five minutes, as non-S3 services do.
fn parse_expires(text: Option<&str>) -> Result<i64, Refusal> {
    let Some(text) = text else { return Ok(300) };
    let seconds = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
    seconds
        .filter(|s| (1..=limits::PRESIGNED_LIFE_S_MAX).contains(s))
        .ok_or_else(|| incomplete(Incomplete::Expires))
}

fn parse_date(text: &str) -> Result<i64, Refusal> {
    clock::parse_date(text).ok_or_else(|| incomplete(Incomplete::Date(text.to_owned())))
}

fn incomplete(why: Incomplete) -> Refusal {
    Refusal::IncompleteSignature(why)
}

fn not_key_value(authorization: &str) -> Refusal {
    incomplete(Incomplete::not_key_value(authorization))
}
