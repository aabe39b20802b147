//! The addresses of a region and the keep-alive connections to each; tells what was never sent from what was lost.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    lab::site::Site,
    limits::{ANSWER_BYTES, CONNECT, IDLE_CONNECTIONS, REQUESTS_PER_CONNECTION},
};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Nothing was sent.
    Unconnected(String),
    /// The request was sent, or a part of it.
    Lost(String),
}

/// The zones of a region, in the order of the name.
pub(super) struct Doors(Vec<(Door, Site)>);

/// One address, its idle connections, and the newest revision it has shown.
pub(super) struct Door {
    pub(super) address: SocketAddr,
    idle: Mutex<Vec<Link>>,
    newest: AtomicU64,
}

struct Link {
    sender: SendRequest<Full<Bytes>>,
    requests_left: u32,
}

impl Doors {
    pub(super) fn new(doors: Vec<(Site, SocketAddr)>) -> Self {
        let door =
            |(site, address)| (Door { address, idle: Mutex::default(), newest: AtomicU64::new(0) }, site);
        Self(doors.into_iter().map(door).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The address for a turn; each begins with another one.
    pub(super) fn door(&self, turn: usize) -> (&Door, Site) {
        let (door, site) = &self.0[turn % self.0.len()];
        (door, *site)
    }
}

impl Door {
    /// Whether a revision is no older than what this address has shown before.
    pub(super) fn sees(&self, revision: u64) -> bool {
        // Requests that are open at the same time may end in either order, by one revision.
        self.newest.fetch_max(revision, Ordering::AcqRel) <= revision + 1
    }

    /// Sends on an idle connection or a new one; calls `sent` once there is a connection.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        sent: impl FnOnce(),
    ) -> Result<(u16, Bytes), Broken> {
        let mut sent = Some(sent);
        loop {
            let idle = self.take();
            let is_fresh = idle.is_none();
            let mut link = match idle {
                Some(link) => link,
                None => self.connect().await?,
            };
            if let Some(sent) = sent.take() {
                sent();
            }
            match link.sender.try_send_request(request).await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
                    let body = body.map_err(|e| Broken::Lost(format!("body: {e}")))?.to_bytes();
                    self.give_back(link);
                    return Ok((status, body));
                }
                Err(mut error) => match (error.take_message(), is_fresh) {
                    // The connection had ended while it rested.
                    (Some(unsent), false) => request = unsent,
                    (Some(_), true) => return Err(Broken::Unconnected(error.into_error().to_string())),
                    (None, _) => return Err(Broken::Lost(error.into_error().to_string())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Link, Broken> {
        let unconnected = |reason: String| Broken::Unconnected(format!("connect: {reason}"));
        let stream = timeout(CONNECT, TcpStream::connect(self.address)).await;
        let stream = stream.map_err(|_| unconnected(format!("nothing within {} ms", CONNECT.as_millis())))?;
        let stream = stream.map_err(|e| unconnected(e.kind().to_string()))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|e| unconnected(e.to_string()))?;
        tokio::spawn(connection);
        Ok(Link { sender, requests_left: REQUESTS_PER_CONNECTION })
    }

    fn take(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| !link.sender.is_closed());
        idle.pop()
    }

    fn give_back(&self, mut link: Link) {
        link.requests_left = link.requests_left.saturating_sub(1);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if link.requests_left > 0 && !link.sender.is_closed() && idle.len() < IDLE_CONNECTIONS {
            idle.push(link);
        }
    }
}
