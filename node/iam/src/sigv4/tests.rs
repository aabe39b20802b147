//! Published vectors in both forms, and one table of everything that must be refused. Owns no behaviour.

use super::*;
use std::fs;
use std::path::{Path, PathBuf};

const NOW_S: i64 = 1_440_938_160;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const RULES: Rules<'static> = Rules {
    skew_s_max: 300,
    expected_region: Some("us-east-1"),
    expected_services: &["execute-api"],
    path: PathRules { normalize: true, double_encode: true },
    unsigned_payload: false,
};

/// A request that a test may change line by line.
#[derive(Clone)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    /// Reads the vectors' plain HTTP/1.1 text; blanks inside the target belong to it.
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let mut lines = head.lines();
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let target = rest.strip_suffix(" HTTP/1.1").unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.trim_end_matches('\n').to_owned(),
        }
    }

    fn view<T>(&self, then: impl FnOnce(&RequestView<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        then(&RequestView { method: &self.method, path: &self.path, query: &self.query, headers: &headers })
    }

    fn verify_at(&self, now_s: i64, rules: &Rules<'_>) -> Result<Verified, Refusal> {
        let hash = payload_sha256_hex(self.body.as_bytes());
        self.view(|view| verify(&parse(view)?, view, SECRET, PayloadHash::Computed(&hash), now_s, rules))
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(n, _)| n == name).unwrap().1
    }

    fn replace(&mut self, name: &str, from: &str, to: &str) {
        let value = self.header(name);
        assert!(value.contains(from), "{value} has no {from}");
        *value = value.replacen(from, to, 1);
    }
}

/// A correctly signed POST.
fn signed() -> Request {
    let body = "{\"a\":1}";
    let mut request = Request {
        method: "POST".into(),
        path: "/prod/pets/a%20b".into(),
        query: "b=2&a=1".into(),
        headers: vec![
            ("host".into(), "abc.execute-api.us-east-1.amazonaws.com".into()),
            ("x-amz-target".into(), "t".into()),
        ],
        body: body.into(),
    };
    let credential =
        Credential { access_key_id: "AKIDEXAMPLE", secret_access_key: SECRET, session_token: Some("token") };
    let hash = payload_sha256_hex(body.as_bytes());
    let options =
        SignOptions { payload_header: true, ..SignOptions::new("us-east-1", "execute-api", NOW_S, &hash) };
    let added = request.view(|view| sign(view, &credential, &options));
    request.headers.extend(added);
    request
}

fn presigned() -> Request {
    let mut request = Request { method: "GET".into(), body: String::new(), ..signed() };
    request.headers.truncate(1);
    let credential =
        Credential { access_key_id: "AKIDEXAMPLE", secret_access_key: SECRET, session_token: None };
    let options = SignOptions::new("us-east-1", "execute-api", NOW_S, EMPTY_SHA256);
    request.query = request.view(|view| presign(view, &credential, &options, 3600));
    request
}

fn vectors() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.ancestors().map(|up| up.join("shared/data/sigv4/v4")).find(|folder| folder.is_dir());
    let folder = folder.expect("shared/data/sigv4/v4 beside or above the checkout");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn published_vectors() {
    let folders = vectors();
    assert_eq!(folders.len(), 19);
    for folder in folders {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let config: serde_json::Value = serde_json::from_str(&read("context.json")).unwrap();
        let text = |pointer: &str| config.pointer(pointer).and_then(|v| v.as_str());
        let normalize = config["normalize"].as_bool().unwrap();
        let credential = Credential {
            access_key_id: text("/credentials/access_key_id").unwrap(),
            secret_access_key: text("/credentials/secret_access_key").unwrap(),
            session_token: text("/credentials/token"),
        };
        let rules = Rules {
            path: PathRules { normalize, double_encode: true },
            expected_services: &["service"],
            ..RULES
        };
        for form in ["header", "query"] {
            let name = format!("{} {form}", folder.file_name().unwrap().to_string_lossy());
            let request = Request::read(&read(&format!("{form}-signed-request.txt")));
            let hash = payload_sha256_hex(request.body.as_bytes());
            request.view(|view| {
                let presented = parse(view).expect(&name);
                let index = canonical::HeaderIndex::new(view.headers).unwrap();
                let query = canonical::canonical_query(view.query, form == "query").unwrap();
                let canonical = canonical::canonical_request(
                    view,
                    &index,
                    &presented.signed_headers,
                    &query,
                    rules.path,
                    &hash,
                );
                assert_eq!(canonical, read(&format!("{form}-canonical-request.txt")), "{name}");
                let to_sign = canonical::string_to_sign("20150830T123600Z", &presented.scope, &canonical);
                assert_eq!(to_sign, read(&format!("{form}-string-to-sign.txt")), "{name}");
                assert_eq!(presented.signature, read(&format!("{form}-signature.txt")), "{name}");
                assert_eq!(presented.session_token.as_deref(), credential.session_token, "{name}");
                verify(&presented, view, SECRET, PayloadHash::Computed(&hash), NOW_S, &rules).expect(&name);
            });
            let plain = Request::read(&read("request.txt"));
            let sign_body = config["sign_body"].as_bool().unwrap();
            let options = SignOptions {
                path: rules.path,
                payload_header: sign_body,
                ..SignOptions::new("us-east-1", "service", NOW_S, &hash)
            };
            let ours = plain.view(|view| match form {
                "header" => sign(view, &credential, &options).pop().unwrap().1,
                _ => presign(view, &credential, &options, 3600),
            });
            let signature = read(&format!("{form}-signature.txt"));
            assert!(ours.ends_with(&format!("ignature={signature}")), "{name}: {ours}");
        }
    }
}

#[test]
fn what_we_sign_we_accept() {
    let verified = signed().verify_at(NOW_S + 300, &RULES).unwrap();
    assert_eq!(verified.access_key_id, "AKIDEXAMPLE");
    assert_eq!(verified.body, Body::Checked);
    assert_eq!(
        verified.signed_headers,
        ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target"]
    );
    presigned().verify_at(NOW_S + 3600, &RULES).unwrap();
}

/// One change to a good request and the code and message it must be refused with.
type Tampering = (&'static str, fn(&mut Request), &'static str, &'static str);

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                        and signing method. Consult the service documentation for details.";

fn assert_refused(good: fn() -> Request, table: &[Tampering]) {
    for (name, tamper, code, message) in table {
        let mut request = good();
        request.verify_at(NOW_S, &RULES).expect(name);
        tamper(&mut request);
        let refusal = request.verify_at(NOW_S, &RULES).expect_err(name);
        assert_eq!(refusal.code(Dialect::Json), *code, "{name}");
        assert!(refusal.message(Dialect::Json).starts_with(message), "{name}: {refusal}");
    }
}

const INVALID: &str = "InvalidSignatureException";
const INCOMPLETE: &str = "IncompleteSignatureException";

const HEADER_FORM: &[Tampering] = &[
    ("method", |r| r.method = "PUT".into(), INVALID, MISMATCH),
    ("path", |r| r.path.push('x'), INVALID, MISMATCH),
    ("path escape case", |r| r.path = "/prod/pets/a b".into(), INVALID, MISMATCH),
    ("query value", |r| r.query = "b=2&a=2".into(), INVALID, MISMATCH),
    ("query added", |r| r.query.push_str("&c="), INVALID, MISMATCH),
    ("unsigned signature parameter", |r| r.query.push_str("&X-Amz-Signature=1"), INVALID, MISMATCH),
    ("body", |r| r.body.push(' '), INVALID, "The provided 'x-amz-content-sha256' header does not match"),
    ("body hash", |r| *r.header("x-amz-content-sha256") = EMPTY_SHA256.into(), INVALID, MISMATCH),
    (
        "unsigned payload",
        |r| *r.header("x-amz-content-sha256") = UNSIGNED_PAYLOAD.into(),
        INVALID,
        "The value of 'x-amz-content-sha256'",
    ),
    ("host", |r| *r.header("host") = "evil".into(), INVALID, MISMATCH),
    ("signed header", |r| *r.header("x-amz-target") = "u".into(), INVALID, MISMATCH),
    ("signed header repeated", |r| r.headers.push(("X-Amz-Target".into(), "t".into())), INVALID, MISMATCH),
    ("token", |r| *r.header("x-amz-security-token") = "other".into(), INVALID, MISMATCH),
    (
        "unsigned x-amz",
        |r| r.headers.push(("X-Amz-Meta".into(), "1".into())),
        INVALID,
        "There were headers present in the request which were not signed: x-amz-meta",
    ),
    (
        "host not signed",
        |r| r.replace("authorization", "=host;", "="),
        INVALID,
        "'Host' or ':authority' must be a 'SignedHeader'",
    ),
    (
        "signature digit",
        |r| {
            let last = r.header("authorization").pop();
            r.header("authorization").push(if last == Some('0') { '1' } else { '0' });
        },
        INVALID,
        MISMATCH,
    ),
    (
        "signature short",
        |r| {
            r.header("authorization").pop();
        },
        INVALID,
        MISMATCH,
    ),
    (
        "signature empty",
        |r| {
            let v = r.header("authorization");
            v.truncate(v.len() - 64);
        },
        INVALID,
        MISMATCH,
    ),
    (
        "scope day",
        |r| r.replace("authorization", "20150830", "20150831"),
        INVALID,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150831' != '20150830', from '20150830T123600Z'.",
    ),
    (
        "scope region",
        |r| r.replace("authorization", "us-east-1", "eu-west-1"),
        INVALID,
        "Credential should be scoped to a valid region, not 'eu-west-1'. ",
    ),
    (
        "scope service",
        |r| r.replace("authorization", "execute-api", "s3"),
        INVALID,
        "Credential should be scoped to correct service: 'execute-api'. ",
    ),
    (
        "scope terminator",
        |r| r.replace("authorization", "aws4_request", "x"),
        INVALID,
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'x'. ",
    ),
    (
        "old date",
        |r| *r.header("x-amz-date") = "20150830T123059Z".into(),
        INVALID,
        "Signature expired: 20150830T123059Z is now earlier than 20150830T123100Z (20150830T123600Z - 5 min.)",
    ),
    (
        "early date",
        |r| *r.header("x-amz-date") = "20150830T124101Z".into(),
        INVALID,
        "Signature not yet current: 20150830T124101Z is still later than 20150830T124100Z (20150830T123600Z + 5 min.)",
    ),
    ("other date", |r| *r.header("x-amz-date") = "20150830T123601Z".into(), INVALID, MISMATCH),
    (
        "date format",
        |r| *r.header("x-amz-date") = "2015-08-30".into(),
        INCOMPLETE,
        "Date must be in ISO-8601 'basic format'. Got '2015-08-30'. ",
    ),
    (
        "two dates",
        |r| r.headers.push(("x-amz-date".into(), "20150830T123600Z".into())),
        INCOMPLETE,
        "Date must be in ISO-8601",
    ),
    (
        "two authorizations",
        |r| {
            let v = r.header("authorization").clone();
            r.headers.push(("Authorization".into(), v));
        },
        INCOMPLETE,
        "Invalid key=value pair",
    ),
    (
        "both forms",
        |r| r.query.push_str("&X-Amz-Algorithm=AWS4-HMAC-SHA256"),
        INVALID,
        "Found both 'X-Amz-Algorithm'",
    ),
    (
        "credential parts",
        |r| r.replace("authorization", "/aws4_request", ""),
        INCOMPLETE,
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDEXAMPLE/20150830/us-east-1/execute-api'",
    ),
    (
        "algorithm",
        |r| r.replace("authorization", "SHA256", "SHA1"),
        INCOMPLETE,
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'",
    ),
    (
        "bearer",
        |r| *r.header("authorization") = "Bearer tok".into(),
        INCOMPLETE,
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '",
    ),
    (
        "bare word",
        |r| r.replace("authorization", "Signature=", "Signature"),
        INCOMPLETE,
        "Invalid key=value pair",
    ),
    (
        "empty",
        |r| {
            r.header("authorization").clear();
        },
        INCOMPLETE,
        "Invalid key=value pair",
    ),
    (
        "no parameters",
        |r| {
            *r.header("authorization") = ALGORITHM.into();
            r.headers.retain(|(n, _)| n != "x-amz-date");
        },
        INCOMPLETE,
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256",
    ),
    (
        "no authorization",
        |r| r.headers.retain(|(n, _)| n != "authorization"),
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    ),
    (
        "too many headers",
        |r| r.headers.extend((0..300).map(|i| (format!("h{i}"), String::new()))),
        INCOMPLETE,
        "The request has more headers",
    ),
    (
        "too many signed headers",
        |r| r.replace("authorization", "=host;", &format!("=host;{}", "a;".repeat(200))),
        INCOMPLETE,
        "The request has more headers",
    ),
];

#[test]
fn tampered_header_form() {
    assert_refused(signed, HEADER_FORM);
}

#[test]
fn tampered_query_form() {
    fn swap(request: &mut Request, from: &str, to: &str) {
        assert!(request.query.contains(from), "{from}");
        request.query = request.query.replacen(from, to, 1);
    }
    assert_refused(
        presigned,
        &[
            ("expiry stretched", |r| swap(r, "X-Amz-Expires=3600", "X-Amz-Expires=7200"), INVALID, MISMATCH),
            (
                "expiry too long",
                |r| swap(r, "X-Amz-Expires=3600", "X-Amz-Expires=604801"),
                INCOMPLETE,
                "X-Amz-Expires must be",
            ),
            (
                "expiry negative",
                |r| swap(r, "X-Amz-Expires=3600", "X-Amz-Expires=-1"),
                INCOMPLETE,
                "X-Amz-Expires must be",
            ),
            ("parameter added", |r| r.query.push_str("&z=1"), INVALID, MISMATCH),
            ("token added", |r| r.query.push_str("&X-Amz-Security-Token=x"), INVALID, MISMATCH),
            ("escaped signature name", |r| r.query.push_str("&X-Amz-Signatur%65=1"), INVALID, MISMATCH),
            ("signature", |r| swap(r, "X-Amz-Signature=", "X-Amz-Signature=0"), INVALID, MISMATCH),
            (
                "date",
                |r| swap(r, "T123600Z", "T113559Z"),
                INVALID,
                "Signature expired: 20150830T113559Z is now earlier than 20150830T113600Z (20150830T123600Z - 60 min.)",
            ),
            (
                "signature and date missing",
                |r| {
                    swap(r, "X-Amz-Signature", "S");
                    swap(r, "X-Amz-Date", "D");
                },
                INCOMPLETE,
                "AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.",
            ),
            (
                "algorithm missing",
                |r| swap(r, "X-Amz-Algorithm", "A"),
                "MissingAuthenticationTokenException",
                "Missing",
            ),
            ("algorithm", |r| swap(r, "HMAC-SHA256", "HMAC"), INCOMPLETE, "Unsupported AWS 'algorithm'"),
            ("host", |r| *r.header("host") = "evil".into(), INVALID, MISMATCH),
            ("body", |r| r.body.push('x'), INVALID, MISMATCH),
            ("path", |r| r.path.push('x'), INVALID, MISMATCH),
        ],
    );
}

#[test]
fn wrong_secret_and_codes_of_the_query_dialect() {
    let request = signed();
    let refusal = request
        .view(|view| verify(&parse(view).unwrap(), view, "other", PayloadHash::Deferred, NOW_S, &RULES))
        .unwrap_err();
    assert_eq!(
        (refusal.code(Dialect::Query), refusal.status(Dialect::Query)),
        ("SignatureDoesNotMatch", 403)
    );
    assert_eq!(Refusal::UnrecognizedClient.code(Dialect::Query), "InvalidClientTokenId");
    assert_eq!(
        Refusal::MissingAuthenticationToken.message(Dialect::Query),
        "Request is missing Authentication Token"
    );
}

#[test]
fn a_streamed_body_is_compared_later() {
    let mut request = signed();
    let declared = payload_sha256_hex(request.body.as_bytes());
    let deferred = |request: &Request, rules: &Rules<'_>| {
        request.view(|view| {
            verify(&parse(view).unwrap(), view, SECRET, PayloadHash::Deferred, NOW_S, rules)
                .map(|verified| verified.body)
        })
    };
    assert_eq!(deferred(&request, &RULES), Ok(Body::Expect(declared)));
    let credential =
        Credential { access_key_id: "AKIDEXAMPLE", secret_access_key: SECRET, session_token: None };
    request.headers.truncate(1);
    let options = SignOptions {
        payload_header: true,
        ..SignOptions::new("us-east-1", "execute-api", NOW_S, UNSIGNED_PAYLOAD)
    };
    let added = request.view(|view| sign(view, &credential, &options));
    request.headers.extend(added);
    assert!(deferred(&request, &RULES).is_err());
    assert_eq!(deferred(&request, &Rules { unsigned_payload: true, ..RULES }), Ok(Body::Unsigned));
}
