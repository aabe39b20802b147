//! The client's end of a connection: sends requests, takes answers.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    rc::Rc,
    sync::Arc,
};

use rustls::ClientConfig;

use crate::peers::{
    load::{
        http2::{Blocks, Session, SessionError},
        message::{Message, MessageError, MessageReader, Side},
        poll::Interest,
        transport::{Transport, tls},
    },
    order::{Order, Protocol},
};

/// Made-up keys differ from connection to connection up to this many.
const API_KEYS: usize = 1_000;
const TOKEN: &str = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.c2Vzc2lvbg.Zm9vYmFy";

/// How all connections of a run are made.
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    streams: usize,
    openings: Vec<Opening>,
}

/// What a connection sends.
#[derive(Clone)]
enum Opening {
    Http1(Rc<[u8]>),
    Http2(Box<Blocks>),
}

/// A connection to the gateway under load.
pub(crate) struct Client {
    transport: Transport,
    speech: Speech,
    unsent: Vec<u8>,
    /// Requests to make once an HTTP/2 peer has said what it accepts.
    waiting: Vec<u64>,
    watched: Interest,
}

enum Speech {
    Http1 { request: Rc<[u8]>, reader: MessageReader, due_ns: Option<u64> },
    Http2(Box<Session>),
}

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The gateway closed it.
    #[error("closed by the gateway")]
    Closed,
    /// The socket or TLS.
    #[error("connection: {0}")]
    Broken(#[from] io::Error),
    /// HTTP/1.1
    #[error("http/1.1: {0}")]
    Http1(#[from] MessageError),
    /// HTTP/2
    #[error("http/2: {0}")]
    Http2(#[from] SessionError),
    /// More answers than requests.
    #[error("an answer without a request")]
    Unasked,
}

impl Dialer {
    /// For an order.
    pub(crate) fn new(order: &Order) -> Result<Self, String> {
        let protocol = match order.protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        };
        let tls = order.certificate.as_deref().map(|path| tls(path, protocol)).transpose()?;
        let kinds = order.connections.clamp(1, API_KEYS);
        let openings = (0..kinds).map(|index| opening(order, index)).collect();
        Ok(Self { address: order.target.address, tls, streams: order.streams, openings })
    }

    /// Connects; `index` chooses the API key.
    pub(crate) fn connect(&self, index: usize) -> io::Result<Client> {
        let transport = Transport::connect(self.address, self.tls.as_ref())?;
        let mut unsent = Vec::new();
        let speech = match &self.openings[index % self.openings.len()] {
            Opening::Http1(request) => {
                let reader = MessageReader::new(Side::Responses);
                Speech::Http1 { request: request.clone(), reader, due_ns: None }
            }
            Opening::Http2(blocks) => {
                let session = Session::new((**blocks).clone(), self.streams, &mut unsent);
                Speech::Http2(Box::new(session))
            }
        };
        Ok(Client { transport, speech, unsent, waiting: Vec::new(), watched: Interest::Read })
    }
}

impl Client {
    /// Makes a request that was due then; [`Client::flush`] must follow.
    pub(crate) fn request(&mut self, due: u64) {
        match &mut self.speech {
            Speech::Http1 { request, due_ns, .. } => {
                self.unsent.extend_from_slice(request);
                *due_ns = Some(due);
            }
            Speech::Http2(session) if session.is_settled() => session.request(due, &mut self.unsent),
            Speech::Http2(_) => self.waiting.push(due),
        }
    }

    /// Requests without an answer.
    pub(crate) fn in_flight(&self) -> usize {
        match &self.speech {
            Speech::Http1 { due_ns, .. } => usize::from(due_ns.is_some()),
            Speech::Http2(session) => session.in_flight() + self.waiting.len(),
        }
    }

    /// Sends what the socket takes and returns what to watch from now on, when that changes.
    pub(crate) fn flush(&mut self) -> Result<Option<Interest>, ClientError> {
        self.transport.flush()?;
        while !self.unsent.is_empty() {
            match self.transport.write(&self.unsent) {
                Ok(count) if count == self.unsent.len() => self.unsent.clear(),
                Ok(0) => break,
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let blocked = !self.unsent.is_empty() || self.transport.wants_write();
        let wanted = if blocked { Interest::Both } else { Interest::Read };
        Ok((std::mem::replace(&mut self.watched, wanted) != wanted).then_some(wanted))
    }

    /// Takes what has arrived; appends whole answers with the time their requests were due.
    pub(crate) fn read(
        &mut self,
        scratch: &mut [u8],
        answers: &mut Vec<(Message, u64)>,
    ) -> Result<(), ClientError> {
        loop {
            let count = match self.transport.read(scratch) {
                Ok(0) => return Err(ClientError::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.take(&scratch[..count], answers)?;
            if !self.transport.reads_until_blocked() {
                return Ok(());
            }
        }
    }

    /// Closes the connection as a client does that is done with it.
    pub(crate) fn close(self) {
        self.transport.close();
    }

    fn take(&mut self, bytes: &[u8], answers: &mut Vec<(Message, u64)>) -> Result<(), ClientError> {
        match &mut self.speech {
            Speech::Http1 { reader, due_ns, .. } => {
                let mut unasked = false;
                reader.feed(bytes, |message| match due_ns.take() {
                    Some(due) => answers.push((message, due)),
                    None => unasked = true,
                })?;
                if unasked {
                    return Err(ClientError::Unasked);
                }
            }
            Speech::Http2(session) => {
                session.feed(bytes, &mut self.unsent, |message, due| answers.push((message, due)))?;
                if session.is_settled() {
                    for due in self.waiting.drain(..) {
                        session.request(due, &mut self.unsent);
                    }
                }
            }
        }
        Ok(())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}

/// The request of the connection with this index: the headers of a typical API client.
fn opening(order: &Order, index: usize) -> Opening {
    let target = &order.target;
    let key = target.api_keys.get(index % target.api_keys.len().max(1)).cloned();
    let key = key.unwrap_or_else(|| format!("key-{index:06}"));
    let request_id = format!("7f1c9a4e5b{index:06x}");
    let mut fields = vec![
        ("user-agent", "bench/1.0"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, br"),
        ("authorization", TOKEN),
        ("x-api-key", key.as_str()),
        ("x-request-id", request_id.as_str()),
    ];
    fields.retain(|(name, _)| !(order.is_cached && *name == "authorization"));
    match order.protocol {
        Protocol::Http1 => Opening::Http1(http1_request(order, &fields).into()),
        Protocol::Http2 => {
            let pseudo = [(":authority", target.host.as_str()), (":path", target.path.as_str())];
            let all: Vec<(&str, &str)> = pseudo.into_iter().chain(fields).collect();
            Opening::Http2(Box::new(Blocks::new(order.certificate.is_some(), &all)))
        }
    }
}

fn http1_request(order: &Order, fields: &[(&str, &str)]) -> Vec<u8> {
    let body_bytes = order.request_body_bytes;
    let method = if body_bytes > 0 { "POST" } else { "GET" };
    let mut text = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", order.target.path, order.target.host);
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !order.keep_alive {
        text.push_str("connection: close\r\n");
    }
    if body_bytes > 0 {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {body_bytes}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len() + body_bytes, b'x');
    bytes
}
