//! Answers and refusals as HTTP. Owns headers and error bodies of the three protocols; must never choose a status.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::{
    answer::{Answer, Body},
    error::ApiError,
};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const XML: &str = "text/xml";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const STALE: HeaderName = HeaderName::from_static("x-tidegate-stale");

/// A successful answer; `stale` marks one that was read without the cluster's word that it is current.
pub(crate) fn answer(answer: Answer, stale: bool, request_id: &str) -> Response<Bytes> {
    let (content_type, body) = match answer.body {
        Body::Empty => (None, Bytes::new()),
        Body::Json(value) => (Some(JSON), Bytes::from(value.to_string())),
        Body::Raw { content_type, bytes } => (Some(content_type), Bytes::from(bytes)),
    };
    let mut response = build(answer.status, content_type, body, request_id);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    if stale {
        response.headers_mut().insert(STALE, HeaderValue::from_static("true"));
    }
    response
}

/// A refusal in the REST-JSON protocol.
pub(crate) fn error(error: &ApiError, request_id: &str) -> Response<Bytes> {
    let body = json!({ "message": error.message }).to_string();
    let mut response = build(error.status, Some(JSON), body.into(), request_id);
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.code));
    retry_after(error, &mut response);
    response
}

/// A refusal of Tidegate's own API (RFC 9457).
pub(crate) fn problem(error: &ApiError, request_id: &str) -> Response<Bytes> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": error.message,
        "code": error.code,
    });
    let mut response = build(error.status, Some(PROBLEM), body.to_string().into(), request_id);
    retry_after(error, &mut response);
    response
}

/// A document of the query protocol.
pub(crate) fn xml(status: u16, document: String, request_id: &str) -> Response<Bytes> {
    build(status, Some(XML), document.into(), request_id)
}

fn retry_after(error: &ApiError, response: &mut Response<Bytes>) {
    if let Some(seconds) = error.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn build(status: u16, content_type: Option<&'static str>, body: Bytes, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}
