//! One health check of one target: a connection, and where the link asks for it one request.

use std::net::SocketAddr;

use tidegate_listener::direct::{Socket, head::Fields};
use tidegate_proto::compiled::links::LinkCheckV1;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    pool::Kind,
    reply::{self, Reading},
    source::Check,
    tls::Tls,
};

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

impl Check {
    /// Whether it looks at answers, and not at connections alone.
    pub(super) fn asks_http(&self) -> bool {
        !matches!(self.kind, LinkCheckV1::Tcp)
    }
}

/// Makes the check.
///
/// # Errors
/// Why the target is not well.
pub(super) async fn probe(address: SocketAddr, check: &Check, tls: &Tls) -> Result<(), String> {
    match timeout(check.patience, attempt(address, check, tls)).await {
        Ok(outcome) => outcome.map_err(|why| format!("health check of {address}: {why}")),
        Err(_) => Err(format!("health check of {address}: no answer in {:?}", check.patience)),
    }
}

async fn attempt(address: SocketAddr, check: &Check, tls: &Tls) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    match &check.kind {
        LinkCheckV1::Tcp => Ok(()),
        LinkCheckV1::Http(path) => ask(stream, address, path).await,
        LinkCheckV1::Https(path) => {
            let connector = tls.connector(Kind::Unverified).ok_or("TLS is not set up")?;
            let stream = connector.connect(address.ip().into(), Socket::new(stream)).await;
            ask(stream.map_err(|error| format!("no TLS: {error}"))?, address, path).await
        }
    }
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    path: &str,
) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: tidegate-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let text = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).await.map_err(text)?;
    stream.flush().await.map_err(text)?;
    let mut bytes = Vec::with_capacity(1_024);
    while bytes.len() < ANSWER_BYTES_MAX {
        if stream.read_buf(&mut bytes).await.map_err(text)? == 0 {
            return Err("it closed the connection".into());
        }
        match reply::read(&bytes, false, &mut Fields::new()) {
            Ok(Reading::Complete(head)) if (200..400).contains(&head.status) => return Ok(()),
            Ok(Reading::Complete(head)) => return Err(format!("it answered {}", head.status)),
            Ok(Reading::Partial | Reading::Interim(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the head of its answer is too large".into())
}
