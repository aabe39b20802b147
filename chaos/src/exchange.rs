//! One plain HTTP/1.1 exchange as a client sees it, and whether it may be repeated when it fails.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::limits::ANSWER_BYTES;

/// A client's side of a connection; closes when dropped.
pub(crate) type Sender = SendRequest<Empty<Bytes>>;

/// Why an exchange has no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection was refused or lost before the head of an answer: an idempotent request may be repeated.
    Unanswered(String),
    /// An answer began and was cut short, or is too long.
    Broken(String),
}

/// Where a URL without a path points to.
pub(crate) fn address(url: &str) -> Option<SocketAddr> {
    url.parse::<Uri>().ok()?.authority()?.as_str().parse().ok()
}

/// Opens a connection.
pub(crate) async fn connect(address: SocketAddr) -> Result<Sender, Fault> {
    let unanswered = |reason: String| Fault::Unanswered(format!("connect: {reason}"));
    let stream = TcpStream::connect(address).await.map_err(|e| unanswered(e.kind().to_string()))?;
    let _ = stream.set_nodelay(true);
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|e| unanswered(e.to_string()))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a GET and reads the whole answer.
pub(crate) async fn get(
    sender: &mut Sender,
    host: SocketAddr,
    path: &str,
) -> Result<(StatusCode, Bytes), Fault> {
    let unanswered = |e: hyper::Error| Fault::Unanswered(format!("request: {e}"));
    let request = Request::get(path).header("host", host.to_string()).body(Empty::new());
    let request = request.map_err(|e| Fault::Broken(e.to_string()))?;
    sender.ready().await.map_err(unanswered)?;
    let answer = sender.send_request(request).await.map_err(unanswered)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
    Ok((status, body.map_err(|e| Fault::Broken(format!("body: {e}")))?.to_bytes()))
}

/// A GET on a connection of its own; `None` without an answer in time.
pub(crate) async fn get_once(
    address: SocketAddr,
    path: &str,
    limit: Duration,
) -> Option<(StatusCode, Bytes)> {
    let exchange = async { get(&mut connect(address).await?, address, path).await };
    timeout(limit, exchange).await.ok()?.ok()
}
