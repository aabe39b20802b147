//! Who may call at all, in both protocols.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tidegate_iam::sigv4::Credential as Key;

use super::rig::{ACCOUNT, NOW_S, Rig, request, root};

fn outcome(rig: &Rig, request: Request<Bytes>) -> (u16, String, String) {
    let response = rig.send(request);
    let kind = response.headers().get("x-amzn-errortype").map(|v| v.to_str().unwrap().to_owned());
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), kind.unwrap_or_default(), body)
}

fn unsigned(method: &str, target: &str, body: &str) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(target).header("host", "control.test");
    if !body.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    }
    request.body(Bytes::from(body.to_owned())).unwrap()
}

#[test]
fn rest_calls_need_a_signature() {
    let rig = Rig::new();
    let wrong = Key { secret_access_key: "other", ..root() };
    let unknown = Key { access_key_id: "AKIANOBODY", ..root() };
    let token = Key { session_token: Some("t"), ..root() };
    let get = |service: &str, key, at| request(service, key, at, "GET", "/restapis", Vec::new());
    let mut bearer = unsigned("GET", "/restapis", "");
    bearer.headers_mut().insert("authorization", "Bearer abc".parse().unwrap());
    let mut changed = request("apigateway", root(), NOW_S, "POST", "/restapis", b"{}".to_vec());
    *changed.body_mut() = Bytes::from_static(b"{\"name\":\"x\"}");
    let cases = [
        (
            unsigned("GET", "/restapis", ""),
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        (unsigned("GET", "/nope", ""), "MissingAuthenticationTokenException", "Missing Authentication Token"),
        (bearer, "IncompleteSignatureException", "Invalid key=value pair (missing equal-sign)"),
        (
            get("apigateway", wrong, NOW_S),
            "InvalidSignatureException",
            "The request signature we calculated does not match",
        ),
        (changed, "InvalidSignatureException", "The request signature we calculated does not match"),
        (
            get("apigateway", unknown, NOW_S),
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (
            get("apigateway", token, NOW_S),
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (get("apigateway", root(), NOW_S - 301), "InvalidSignatureException", "Signature expired: "),
        (get("apigateway", root(), NOW_S + 301), "InvalidSignatureException", "Signature not yet current: "),
        (
            get("s3", root(), NOW_S),
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'apigateway'. ",
        ),
    ];
    for (request, kind, message) in cases {
        let (status, found, body) = outcome(&rig, request);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, found.as_str()), (403, kind), "{body}");
        assert!(body["message"].as_str().unwrap().starts_with(message), "{body}");
    }
    for at in [NOW_S - 300, NOW_S + 300] {
        assert_eq!(outcome(&rig, get("apigateway", root(), at)).0, 200);
    }
}

#[test]
fn what_is_missing_is_named() {
    let rig = Rig::new();
    let cases = [
        (
            "GET",
            "/domainnames",
            501,
            "NotImplementedException",
            "GetDomainNames is not supported by this version of Tidegate",
        ),
        (
            "POST",
            "/v2/apis",
            501,
            "NotImplementedException",
            "CreateApi is not supported by this version of Tidegate",
        ),
        ("GET", "/nope", 404, "UnknownOperationException", "No operation matches GET /nope"),
    ];
    for (method, path, status, kind, message) in cases {
        let request = request("apigateway", root(), NOW_S, method, path, Vec::new());
        let expect = (status, kind.to_owned(), json!({ "message": message }).to_string());
        assert_eq!(outcome(&rig, request), expect);
    }
}

#[test]
fn sts_says_who_is_calling() {
    let rig = Rig::new();
    let form = b"Action=GetCallerIdentity&Version=2011-06-15".to_vec();
    let response = rig.send(request("sts", root(), NOW_S - 899, "POST", "/", form));
    let id = response.headers()["x-amzn-requestid"].to_str().unwrap().to_owned();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/xml");
    for part in [
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">",
        &format!("<Arn>arn:aws:iam::{ACCOUNT}:root</Arn>"),
        &format!("<Account>{ACCOUNT}</Account>"),
        &format!("<UserId>{ACCOUNT}</UserId>"),
        &format!("<RequestId>{id}</RequestId>"),
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let query =
        request("sts", root(), NOW_S, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", Vec::new());
    assert_eq!(outcome(&rig, query).0, 200);
}

#[test]
fn query_services_answer_xml() {
    let rig = Rig::new();
    let call =
        |service: &str, key, at, form: &str| request(service, key, at, "POST", "/", form.as_bytes().to_vec());
    let wrong = Key { secret_access_key: "other", ..root() };
    let unknown = Key { access_key_id: "AKIANOBODY", ..root() };
    let identity = "Action=GetCallerIdentity&Version=2011-06-15";
    let cases = [
        (
            call("sts", root(), NOW_S, "Action=AssumeRole&Version=2011-06-15"),
            400,
            "InvalidAction",
            "Could not find operation AssumeRole for version 2011-06-15",
        ),
        (
            call("iam", root(), NOW_S, "Action=GetUser&Version=2010-05-08"),
            400,
            "InvalidAction",
            "Could not find operation GetUser for version 2010-05-08",
        ),
        (
            call("iam", root(), NOW_S, "Action=%3Ca%3E&Version=1"),
            400,
            "InvalidAction",
            "Could not find operation &lt;a&gt; for version 1",
        ),
        (call("sts", root(), NOW_S, ""), 400, "MissingAction", "Missing required parameter Action"),
        (
            call("sts", wrong, NOW_S, identity),
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated",
        ),
        (
            call("sts", unknown, NOW_S, identity),
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid",
        ),
        (call("sts", root(), NOW_S - 901, identity), 403, "SignatureDoesNotMatch", "Signature expired: "),
        (
            unsigned("POST", "/", identity),
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
    ];
    for (request, status, code, message) in cases {
        let (found, _, body) = outcome(&rig, request);
        assert_eq!(found, status, "{body}");
        assert!(body.contains(&format!("<Code>{code}</Code>")), "{code} in {body}");
        assert!(body.contains(&format!("<Message>{message}")), "{message} in {body}");
        assert!(body.contains("<Type>Sender</Type>") && body.contains("<RequestId>"), "{body}");
    }
}
