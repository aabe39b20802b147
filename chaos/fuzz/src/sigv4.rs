//! Signatures of requests: made here, taken by the verifier, and spoiled.

use arbitrary::Unstructured;
use tidegate_iam::sigv4::{
    Credential, EMPTY_SHA256, PathRules, PayloadHash, RequestView, Rules, SignOptions, parse, sign, verify,
};

use crate::{Checked, several};

const NOW_S: i64 = 1_800_000_000;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const RULES: Rules<'_> = Rules {
    skew_s_max: 300,
    expected_region: Some("eu-west-1"),
    expected_services: &["apigateway"],
    path: PathRules { normalize: true, double_encode: true },
    unsigned_payload: false,
};
const PIECES: [&str; 14] =
    ["/", "a", "b", "%20", "%2F", "..", ".", "~", "+", "=", "&", "ü", "key", "AWS4-HMAC-SHA256 Credential="];

type Line = (String, Vec<u8>);

pub(crate) fn check(chance: &mut Unstructured<'_>) -> Checked {
    let text = |chance: &mut Unstructured<'_>, most| -> arbitrary::Result<String> {
        Ok(several(chance, 0, most, |chance| chance.choose(&PIECES).copied())?.concat())
    };
    let path = format!("/{}", text(chance, 6)?);
    let query = text(chance, 6)?;
    let mut headers: Vec<Line> = vec![("Host".into(), b"localhost:4000".to_vec())];
    headers.extend(several(chance, 0, 3, |chance| {
        let name = *chance.choose(&["X-Amz-Meta", "Accept", "content-type", "X-A"])?;
        Ok((name.to_owned(), text(chance, 3)?.into_bytes()))
    })?);
    if chance.ratio(1, 3)? {
        headers.push(("authorization".into(), chance.bytes(chance.len().min(120))?.to_vec()));
        return Ok(never(&path, &query, &headers));
    }
    let credential =
        Credential { access_key_id: "AKIAIOSFODNN7EXAMPLE", secret_access_key: SECRET, session_token: None };
    let options = SignOptions::new("eu-west-1", "apigateway", NOW_S, EMPTY_SHA256);
    let added = view("GET", &path, &query, &headers, |request| sign(request, &credential, &options));
    headers.extend(added.into_iter().map(|(name, value)| (name, value.into_bytes())));
    let taken = accepts("GET", &path, &query, &headers, SECRET);
    // What a client may not send cannot be taken; whatever is taken is spoiled next.
    if !taken {
        return Ok(match path.contains("Credential=") || query.contains("AWS4") || has_two(&headers) {
            true => Ok(()),
            false => Err(format!("its own signature is refused: {path:?} {query:?} {headers:?}")),
        });
    }
    spoiled(chance, &path, &query, &headers)
}

/// Names that come twice are joined by some clients and not by others, and are refused.
fn has_two(headers: &[Line]) -> bool {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Nothing that was not signed with the secret is taken.
fn never(path: &str, query: &str, headers: &[Line]) -> Result<(), String> {
    match accepts("GET", path, query, headers, SECRET) {
        true => Err(format!("a signature that nobody made is taken: {path:?} {query:?} {headers:?}")),
        false => Ok(()),
    }
}

fn spoiled(
    chance: &mut Unstructured<'_>,
    path: &str,
    query: &str,
    headers: &[Line],
) -> arbitrary::Result<Result<(), String>> {
    let mut wrong = headers.to_vec();
    let (what, taken) = match chance.int_in_range(0..=4)? {
        0 => ("another method", accepts("POST", path, query, headers, SECRET)),
        1 => ("another secret", accepts("GET", path, query, headers, "other")),
        2 => ("a longer path", accepts("GET", &format!("{path}/z"), query, headers, SECRET)),
        3 => ("one more parameter", accepts("GET", path, &format!("{query}&z=1"), headers, SECRET)),
        _ => {
            let value = wrong.iter_mut().find(|(name, _)| name == "authorization").map(|(_, value)| value);
            let last = value.and_then(|value| value.last_mut());
            let Some(last) = last else { return Ok(Err("there is no signature".to_owned())) };
            *last = if *last == b'0' { b'1' } else { b'0' };
            ("another signature", accepts("GET", path, query, &wrong, SECRET))
        }
    };
    Ok(if taken { Err(format!("{what} is taken: {path:?} {query:?} {headers:?}")) } else { Ok(()) })
}

fn accepts(method: &str, path: &str, query: &str, headers: &[Line], secret: &str) -> bool {
    view(method, path, query, headers, |request| {
        parse(request).is_ok_and(|presented| {
            verify(&presented, request, secret, PayloadHash::Computed(EMPTY_SHA256), NOW_S, &RULES).is_ok()
        })
    })
}

fn view<T>(
    method: &str,
    path: &str,
    query: &str,
    headers: &[Line],
    look: impl FnOnce(&RequestView<'_>) -> T,
) -> T {
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    look(&RequestView { method, path, query, headers: &headers })
}
