//! An HTTP/2 client that writes frames by hand, so that it can break every rule, and reads just enough to tell what happened.

use std::net::SocketAddr;

use tidegate_listener::tls::Settings;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::within;
use crate::tls_client::Client;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals without indexing (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// A request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

/// The head of a request whose body never ends.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", path)];
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

pub(crate) fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// A frame of the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn is_end(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The status of an answer's head, as far as the static table has it.
    pub(crate) fn status(&self) -> u16 {
        match self.payload[0] {
            0x88 => 200,
            0x8c => 400,
            _ => 0,
        }
    }
}

/// A connection whose preface and SETTINGS are sent.
pub(crate) struct Raw<S>(pub(crate) S);

impl Raw<TcpStream> {
    pub(crate) async fn plain(address: SocketAddr) -> Self {
        Self::greet(TcpStream::connect(address).await.unwrap()).await
    }
}

impl Raw<TlsStream<TcpStream>> {
    /// To a listener that serves a certificate for `a.test`.
    pub(crate) async fn encrypted(address: SocketAddr) -> Self {
        let client = Client::with(&[&rustls::version::TLS13], &[b"h2"], |_| ());
        Self::greet(client.connect(address, "a.test").await.unwrap().0).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    async fn greet(stream: S) -> Self {
        let mut raw = Self(stream);
        raw.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        raw
    }

    /// Writes and flushes; a peer that has closed is not this call's business.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = within(self.0.write_all(bytes)).await;
        let _ = within(self.0.flush()).await;
    }

    /// The next frame, or nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within(self.0.read_exact(&mut head)).await.ok()?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
        within(self.0.read_exact(&mut payload)).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload })
    }

    /// Frames up to the first that `is_wanted`.
    pub(crate) async fn until(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection ended too early");
            if is_wanted(&frame) {
                return frame;
            }
            assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        }
    }

    /// Sends one request and reads its answer's head, or the reset or GOAWAY that came instead.
    pub(crate) async fn ask(&mut self, stream: u32, request: &[u8]) -> Frame {
        self.send(request).await;
        let is_answer = |frame: &Frame| frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM);
        self.until(|frame| is_answer(frame) || frame.kind == GOAWAY).await
    }

    /// Reads to the end; the code of the last GOAWAY if there was one.
    pub(crate) async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }
}

/// A certificate for [`Raw::encrypted`].
pub(crate) fn settings() -> Settings {
    crate::tls_client::settings(&[("a.test", &crate::tls_client::identity(&["a.test"]))])
}
