//! Between the HTTP server and the handler: calls the handler for released requests only, answers refused ones, and tells the
//! guard when an answer is complete. It never looks into bodies.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper::service::Service as HyperService;
use pin_project_lite::pin_project;

use crate::body::{Body, Reply, Ticket};
use crate::connection::Connection;
use crate::counters::Counters;
use crate::guard::{Next, Release, Turn};
use crate::head::{self, Framing};
use crate::refusal::Refusal;
use crate::work::Work;

/// The service of one connection.
pub(crate) struct Dispatch<H> {
    pub(crate) handler: H,
    pub(crate) connection: Connection,
    pub(crate) counters: Arc<Counters>,
    pub(crate) work: Arc<Work>,
    /// The guard's side of an HTTP/1 connection; absent on HTTP/2.
    pub(crate) turn: Option<Arc<Turn>>,
    pub(crate) headers_max: usize,
}

impl<H> Dispatch<H> {
    /// Whether this request may reach the handler.
    fn admit(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        match &self.turn {
            Some(turn) => match turn.take() {
                Some(Release::Accepted(verdict)) if agrees(verdict.framing, request.body()) => Ok(()),
                Some(Release::Refused(refusal)) => Err(refusal),
                Some(Release::Accepted(_)) | None => {
                    self.counters.note_desynchronised();
                    Err(Refusal::BadRequest)
                }
            },
            None => {
                self.counters.note_request();
                Ok(())
            }
        }
    }
}

impl<H, F, B> HyperService<Request<Incoming>> for Dispatch<H>
where
    H: Fn(Request<Body>, Connection) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes>,
{
    type Response = Response<Reply<B>>;
    type Error = Infallible;
    type Future = Answer<F>;

    fn call(&self, request: Request<Incoming>) -> Answer<F> {
        let ticket = Ticket::new(Arc::clone(&self.work), self.turn.clone());
        if let Err(refusal) = self.admit(&request) {
            return Answer::refused(refusal, ticket);
        }
        let (parts, incoming) = request.into_parts();
        if self.turn.is_none()
            && let Err(error) = head::inspect_multiplexed(&parts, self.headers_max)
        {
            tracing::debug!(%error, "request head refused");
            let refusal = Refusal::from(error);
            self.counters.note_refusal(refusal);
            return Answer::refused(refusal, ticket);
        }
        let request = Request::from_parts(parts, Body::new(incoming));
        let future = (self.handler)(request, self.connection);
        Answer { state: State::Asked { future }, ticket: Some(ticket) }
    }
}

/// The server's own reading of the body must equal the guard's.
fn agrees(framing: Framing, body: &Incoming) -> bool {
    let exact = body.size_hint().exact();
    match framing {
        Framing::Empty | Framing::Length(0) => exact == Some(0),
        Framing::Length(length) => exact == Some(length),
        Framing::Chunked => exact.is_none(),
    }
}

pin_project! {
    #[project = StateProject]
    enum State<F> {
        Refused { refusal: Refusal },
        Asked { #[pin] future: F },
    }
}

pin_project! {
    /// The answer to one request in the making.
    pub(crate) struct Answer<F> {
        #[pin]
        state: State<F>,
        ticket: Option<Ticket>,
    }
}

impl<F> Answer<F> {
    fn refused(refusal: Refusal, ticket: Ticket) -> Self {
        Self { state: State::Refused { refusal }, ticket: Some(ticket) }
    }
}

impl<F, B> Future for Answer<F>
where
    F: Future<Output = Response<B>>,
{
    type Output = Result<Response<Reply<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = match this.state.project() {
            StateProject::Refused { refusal } => Err(*refusal),
            StateProject::Asked { future } => Ok(ready!(future.poll(cx))),
        };
        // Polled again after completion: no answer is left to give.
        let Some(ticket) = this.ticket.take() else { return Poll::Pending };
        let fault = ticket.turn().and_then(Turn::take_fault);
        let response = match (answered, fault) {
            (Ok(response), None) => {
                if response.status() == StatusCode::SWITCHING_PROTOCOLS
                    && let Some(turn) = ticket.turn()
                {
                    turn.answered(Next::Raw);
                }
                response.map(|body| Reply::handler(body, ticket))
            }
            (Err(refusal), _) | (Ok(_), Some(refusal)) => {
                let mut response = refusal.response();
                if ticket.turn().is_some() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response.map(|text| Reply::own(text, ticket))
            }
        };
        Poll::Ready(Ok(response))
    }
}
