//! Reads an answer to its end, as far as it may be kept. Owns that what is cut off is never taken for whole.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tidegate_gateway::{Fault, Rejection, Response, ResponseBody};
use tidegate_proto::limits::{CACHE_BODY_BYTES_MAX, INTEGRATION_TIMEOUT_MS_MAX};
use tokio::time::timeout;

use crate::{
    integrate::Answer,
    upstream::{ReplyBody, UpstreamBody},
};

/// Longest time between two parts of a body.
const PART_TIME: Duration = Duration::from_millis(INTEGRATION_TIMEOUT_MS_MAX as u64);

/// An answer that has been read as far as it may be kept.
pub(super) enum Gathered {
    Whole(Response, Bytes),
    TooLarge(Answer),
}

pub(super) async fn gather(answer: Answer) -> Result<Gathered, Rejection> {
    let Answer { response, stream } = answer;
    let stream = match (&response.body, stream) {
        (ResponseBody::Bytes(bytes), _) if bytes.len() <= CACHE_BODY_BYTES_MAX => {
            let bytes = bytes.clone();
            return Ok(Gathered::Whole(response, bytes));
        }
        (ResponseBody::Stream, None) => return Ok(Gathered::Whole(response, Bytes::new())),
        (ResponseBody::Stream, Some(ReplyBody::Whole(bytes))) if bytes.len() <= CACHE_BODY_BYTES_MAX => {
            return Ok(Gathered::Whole(response, bytes));
        }
        (ResponseBody::Stream, Some(ReplyBody::Stream(stream))) => stream,
        (_, stream) => return Ok(Gathered::TooLarge(Answer { response, stream })),
    };
    read(response, stream).await
}

/// Reads a body to its end, or until it is too large to keep; what ends with its connection may have been cut off.
async fn read(response: Response, mut stream: Box<UpstreamBody>) -> Result<Gathered, Rejection> {
    let mut whole = Vec::new();
    let is_long = stream.size_hint().lower() > CACHE_BODY_BYTES_MAX as u64;
    while !is_long && !stream.ends_with_connection() {
        let frame = timeout(PART_TIME, stream.frame()).await.map_err(|_| Rejection::IntegrationTimeout)?;
        match frame {
            None => {
                // What a store counts is what it holds: no room is kept that the body has outgrown.
                whole.shrink_to_fit();
                return Ok(Gathered::Whole(response, whole.into()));
            }
            Some(Ok(frame)) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(fault)) => {
                tracing::debug!(%fault, "an answer for the cache broke off");
                return Err(Rejection::IntegrationFailure(Fault::Answer));
            }
        }
        if whole.len() > CACHE_BODY_BYTES_MAX {
            break;
        }
    }
    stream.begin_with(whole.into());
    Ok(Gathered::TooLarge(Answer { response, stream: Some(ReplyBody::Stream(stream)) }))
}
