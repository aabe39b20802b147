//! A connection on the fast path, in as little memory as it can be: ten thousand idle ones hold ten thousand of these futures.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::rt::bounds::Http2ServerConnExec;

use crate::body::{Body, Reply};
use crate::connection::{Accepted, Connection, Shared, serve};
use crate::direct::{Desk, Direct, Handover, Line, Stream};
use crate::dispatch::Answer;
use crate::sweep::Sweeper;

/// What all connections of one shard have in common.
pub(crate) struct Ways<D, H, E> {
    pub(crate) direct: D,
    pub(crate) handler: H,
    pub(crate) sweeper: Rc<Sweeper>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) executor: E,
}

/// Serves one connection on the fast path as far as it is plain, and from there as [`serve`] does.
///
/// Not an `async fn`: that would hold its arguments once as they came and once as they are used.
pub(crate) fn serve_direct<S, D, H, F, B, E>(
    accepted: Accepted<S>,
    ways: Rc<Ways<D, H, E>>,
) -> impl Future<Output = ()>
where
    S: Stream,
    D: Direct,
    H: Fn(Request<Body>, Connection) -> F + Clone,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<Answer<F>, Reply<B>>,
{
    let Accepted { stream, id, peer, local, permit, negotiated, .. } = accepted;
    async move {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let line = |desk: Rc<Desk>| {
            let alarm = desk.alarms.register(waker);
            Line { stream, id, peer, local, is_encrypted: negotiated.is_some(), alarm, desk }
        };
        let rest = ways.direct.serve(line(ways.sweeper.desk())).await.map(|Handover { stream, ahead }| {
            let ahead = BytesMut::from(ahead.as_slice());
            let accepted = Accepted { stream, ahead, id, peer, local, permit, negotiated };
            // Apart from this task's own memory: most connections never come here, and the server's state is large.
            Box::pin(serve(accepted, ways.handler.clone(), Arc::clone(&ways.shared), ways.executor.clone()))
        });
        if let Some(rest) = rest {
            rest.await;
        }
    }
}
