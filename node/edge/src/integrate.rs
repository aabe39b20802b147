//! The network part of a request: takes in the client's body as far as needed, calls upstream under a deadline, and retries
//! exactly once where a retry cannot be noticed.

use std::{pin::pin, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header, request::Parts};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use tidegate_gateway::{CallBody, Fault, Intake, Rejection, Response, ResponseBody};
use tidegate_listener::Body;
use tidegate_proto::limits::{BODY_BYTES_MAX, DISCARD_BYTES_MAX, DISCARD_TIME_MS_MAX, UPLOAD_TIME_MS_MAX};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    body::{BodyFault, ClientBody, Sending, Upload},
    upstream::{Course, Failure, Reply, ReplyBody, Upstream, Wired},
    visit::Trail,
};

/// The client's body, as far as it was taken in.
pub(crate) struct Taken {
    /// All of it, when the mapping needs it.
    pub(crate) whole: Option<Bytes>,
    stream: Option<ClientBody>,
    /// Absent where there was nothing to take in.
    upload: Option<Rc<Upload>>,
}

impl Taken {
    /// There is no body.
    pub(crate) fn nothing() -> Self {
        Self { whole: None, stream: None, upload: None }
    }

    /// Takes in what `intake` asks for.
    ///
    /// # Errors
    /// `RequestTooLarge`; a client that breaks off gets `BadRequestBody`, which it will not read.
    pub(crate) async fn take(intake: Intake, body: Body) -> Result<Self, Rejection> {
        if body.size_hint().lower() > BODY_BYTES_MAX {
            return Err(Rejection::RequestTooLarge);
        }
        let (stream, upload) = ClientBody::new(body, BODY_BYTES_MAX);
        let taken = match intake {
            Intake::Stream => return Ok(Self { whole: None, stream: Some(stream), upload: Some(upload) }),
            // Read before the call all the same: a request that breaks its framing is answered 400, so it must not be sent.
            Intake::Nothing => forget(stream).await.map(|()| None),
            Intake::Whole => stream.collect().await.map(|whole| Some(whole.to_bytes())),
        };
        match taken {
            Ok(whole) => Ok(Self { whole, stream: None, upload: Some(upload) }),
            Err(_) if upload.is_too_large() => {
                upload.discard_rest().await;
                Err(Rejection::RequestTooLarge)
            }
            Err(_) => Err(Rejection::BadRequestBody("Invalid request body".into())),
        }
    }

    /// Whether a body is on its way.
    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    fn sending(&mut self, body: CallBody) -> Sending {
        match body {
            CallBody::Empty => Sending::Bytes(None),
            CallBody::Bytes(bytes) => Sending::Bytes(Some(bytes).filter(|bytes| !bytes.is_empty())),
            CallBody::Stream => self.stream.take().map_or(Sending::Bytes(None), Sending::Stream),
        }
    }
}

/// Reads a body to its end and keeps nothing of it.
async fn forget(mut body: ClientBody) -> Result<(), BodyFault> {
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}

/// Whether the next request cannot come before this body has been passed over. A client that waits to be asked for its body
/// is not asked; in HTTP/2 what is left of a request is in nobody's way.
pub(crate) fn is_in_the_way(body: &Body, head: &Parts) -> bool {
    !body.is_end_stream()
        && head.version != Version::HTTP_2
        && !head.headers.contains_key(header::EXPECT)
        && body.size_hint().lower() <= BODY_BYTES_MAX
}

/// Reads the body of a request that is rejected, within bounds, so that the connection can serve the next one.
pub(crate) async fn pass_over(body: Body) {
    let mut body = Limited::new(body, DISCARD_BYTES_MAX);
    let reading = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
    let _ = timeout(Duration::from_millis(DISCARD_TIME_MS_MAX), reading).await;
}

/// An upstream's answer whose deadline is still running.
pub(crate) struct Arrived {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    bare_length: Option<u64>,
    body: Option<ReplyBody>,
    deadline: Instant,
}

/// What the client gets.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) stream: Option<ReplyBody>,
}

/// Calls upstream, a second time where that cannot be noticed.
pub(crate) async fn integrate(
    upstream: &Upstream,
    mut wired: Wired,
    body: CallBody,
    taken: &mut Taken,
    trail: &mut Trail,
) -> Result<Arrived, Rejection> {
    let mut deadline = Deadline::new(wired.timeout_ms, trail.lap().into());
    let may_repeat = wired.is_idempotent && body != CallBody::Stream;
    let course = Course::default();
    let mut sending = taken.sending(body.clone());
    wired.frame(&sending);
    let outcome = loop {
        let short_ms = upstream.try_timeout_ms(&wired.pool, wired.timeout_ms, may_repeat, &course);
        deadline.of_try = short_ms.map(|ms| Instant::now() + Duration::from_millis(ms.into()));
        let outcome = {
            let exchange = pin!(upstream.exchange(&wired, sending, &course));
            within(&mut deadline, exchange, taken, trail).await
        };
        let failure = match &outcome {
            Ok(_) => break outcome,
            Err(Ended::Failed(failure)) => failure,
            Err(Ended::Late) => &Failure::Late,
            Err(Ended::Refused(_)) => break outcome,
        };
        let again = course.at().is_some_and(|at| {
            let is_repeatable = may_repeat && !matches!(outcome, Err(Ended::Late));
            upstream.try_again(&wired.pool, &at, &course, failure, is_repeatable)
        });
        if !again {
            break outcome;
        }
        sending = taken.sending(body.clone());
    };
    trail.follow(&course);
    match outcome {
        Ok(reply) if reply.status.is_informational() => Err(Rejection::IntegrationFailure(Fault::Answer)),
        Ok(Reply { status, headers, bare_length, body }) => {
            trail.integration_error = None;
            trail.integration_status = Some(status.as_u16());
            Ok(Arrived { status, headers, bare_length, body: Some(body), deadline: deadline.at })
        }
        Err(Ended::Refused(rejection)) => Err(rejection),
        Err(Ended::Failed(failure)) => Err(failure.rejection()),
        Err(Ended::Late) => Err(Rejection::IntegrationTimeout),
    }
}

/// How an exchange ended without an answer.
enum Ended {
    Refused(Rejection),
    Failed(Failure),
    /// The time of the whole call is over.
    Late,
}

/// When a call must have been answered. Time in which the client keeps the upstream waiting for the request's body does not
/// count against the upstream.
struct Deadline {
    at: Instant,
    /// When this try must have been, where that is sooner.
    of_try: Option<Instant>,
    patience: Duration,
    latest: Instant,
}

impl Deadline {
    fn new(timeout_ms: u32, now: Instant) -> Self {
        let patience = Duration::from_millis(timeout_ms.into());
        Self {
            at: now + patience,
            of_try: None,
            patience,
            latest: now + Duration::from_millis(UPLOAD_TIME_MS_MAX) + patience,
        }
    }

    /// Whether there is more time after all.
    fn extend(&mut self, upload: &Upload) -> bool {
        let next = upload.waited_until().map(|until| until + self.patience);
        match next.filter(|next| *next > self.at && *next <= self.latest) {
            Some(next) => self.at = next,
            None => return false,
        }
        true
    }
}

async fn within(
    deadline: &mut Deadline,
    mut exchange: impl Future<Output = Result<Reply, Failure>> + Unpin,
    taken: &Taken,
    trail: &mut Trail,
) -> Result<Reply, Ended> {
    loop {
        let at = deadline.of_try.map_or(deadline.at, |of_try| of_try.min(deadline.at));
        match timeout_at(at, &mut exchange).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(_)) if taken.upload.as_ref().is_some_and(|upload| upload.is_too_large()) => {
                return Err(Ended::Refused(Rejection::RequestTooLarge));
            }
            Ok(Err(failure)) => {
                trail.integration_error = Some(failure.to_string());
                return Err(Ended::Failed(failure));
            }
            Err(_) if at < deadline.at => return Err(Ended::Failed(Failure::Late)),
            Err(_) if taken.upload.as_ref().is_some_and(|upload| deadline.extend(upload)) => {}
            Err(_) => {
                trail.integration_error = Some(Rejection::IntegrationTimeout.message().to_owned());
                return Err(Ended::Late);
            }
        }
    }
}

impl Arrived {
    /// Reads the whole body, still under the deadline of the call.
    ///
    /// # Errors
    /// `IntegrationTimeout`; `IntegrationFailure` for a body that breaks off or is too large to map.
    pub(crate) async fn collect(&mut self, trail: &mut Trail) -> Result<Bytes, Rejection> {
        let mut body = match self.body.take() {
            None => return Ok(Bytes::new()),
            Some(ReplyBody::Whole(whole)) => return Ok(whole),
            Some(ReplyBody::Stream(body)) => body,
        };
        let mut whole = Vec::new();
        let reading = async {
            while let Some(frame) = body.frame().await {
                let data = frame.map_err(|error| error.to_string())?.into_data().unwrap_or_default();
                if (whole.len() + data.len()) as u64 > BODY_BYTES_MAX {
                    return Err("the response is too large to map".to_owned());
                }
                whole.extend_from_slice(&data);
            }
            Ok(())
        };
        match timeout_at(self.deadline, reading).await {
            Ok(Ok(())) => Ok(Bytes::from(whole)),
            Ok(Err(error)) => {
                trail.integration_error = Some(error);
                Err(Rejection::IntegrationFailure(Fault::Answer))
            }
            Err(_) => Err(Rejection::IntegrationTimeout),
        }
    }
}

impl Answer {
    /// An upstream's answer whose headers are the client's already.
    pub(crate) fn forwarded(mut arrived: Arrived) -> Self {
        let headers = std::mem::take(&mut arrived.headers);
        let response = Response { status: arrived.status, headers, body: ResponseBody::Stream };
        Self::from_upstream(response, arrived)
    }

    /// An answer without an upstream.
    pub(crate) fn local(response: Response) -> Self {
        Self { response, stream: None }
    }

    /// An answer whose body may still be on its way. A bodiless one keeps the length it would have had (RFC 9110 §8.6).
    pub(crate) fn from_upstream(mut response: Response, mut arrived: Arrived) -> Self {
        let stream = arrived.body.take().filter(|_| response.body == ResponseBody::Stream);
        if stream.is_some()
            && let Some(length) = arrived.bare_length
        {
            response.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Self { response, stream }
    }
}

impl Answer {
    /// Removes a length that only an answer to HEAD announces without a body.
    pub(crate) fn keep_length_only_if(&mut self, allowed: bool) {
        let zero = HeaderValue::from_static("0");
        let length = self.response.headers.get(header::CONTENT_LENGTH);
        if !allowed && length.is_some_and(|length| *length != zero) {
            self.response.headers.remove(header::CONTENT_LENGTH);
        }
    }
}
