//! QUIC between nodes: mutual TLS 1.3, one outgoing connection per peer shared by all groups. One stream per request, one
//! long-lived stream per append pipeline, one paced stream per checkpoint.

mod accept;
mod codec;
pub(crate) mod join;
mod reset;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use super::{Frames, Lane, Link, SendError, Serve, Target, Transport};
use crate::{
    Enroller, Error, NodeId, Options,
    identity::{Identity, dns_name},
    limits, runtime,
    wire::Frame,
};
use bytes::Bytes;
use codec::{Mode, receive, send};
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use quinn::{Connection, Endpoint, TokioRuntime};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// The QUIC transport of one node.
pub(crate) struct QuicTransport {
    shared: Arc<Shared>,
    enroller: Option<Arc<dyn Enroller>>,
}

struct Shared {
    me: NodeId,
    cluster: String,
    endpoint: Endpoint,
    client: quinn::ClientConfig,
    pace_max: u64,
    dial_timeout: Duration,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

/// The outgoing connection to one peer; the lock is held while dialing, so that there is one dial at a time.
#[derive(Clone, Default)]
struct Peer {
    address: String,
    slot: Arc<AsyncMutex<Option<Connection>>>,
    latest: Arc<Mutex<Option<Connection>>>,
    arrived: Arc<Notify>,
}

impl QuicTransport {
    /// Binds the socket.
    pub(crate) fn bind(
        options: &Options,
        identity: &Identity,
        enroller: Option<Arc<dyn Enroller>>,
    ) -> Result<Self, Error> {
        let transport = tls::transport_config(&options.timing(), options.tuning.bbr)?;
        let server = tls::server_config(identity, transport.clone(), enroller.is_some())?;
        let client = tls::client_config(identity, transport)?;
        let endpoint = std::net::UdpSocket::bind(options.listen)
            .and_then(|socket| {
                Endpoint::new(reset::endpoint_config(identity), Some(server), socket, Arc::new(TokioRuntime))
            })
            .map_err(|e| Error::Socket { address: options.listen.to_string(), reason: e.to_string() })?;
        let shared = Shared {
            me: identity.node,
            cluster: identity.cluster.clone(),
            endpoint,
            client,
            pace_max: options.tuning.checkpoint_bytes_per_second_max.unwrap_or(u64::MAX),
            dial_timeout: options.timing().idle / 2,
            peers: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), enroller })
    }

    /// The bound address.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.shared.endpoint.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

impl Transport for QuicTransport {
    fn call(&self, to: Target, lane: Lane, request: Frame) -> BoxFuture<'static, Result<Frame, SendError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let connection = shared.connection(&to).await?;
            let (mut out, mut back) =
                connection.open_bi().await.map_err(|e| SendError::NotSent(e.to_string()))?;
            to.begun.mark();
            let _closed = out.set_priority(priority(lane));
            let unanswered = |text: String| SendError::Unanswered(text);
            codec::open(&mut out, Mode::Call).await.map_err(|e| unanswered(e.to_string()))?;
            send(&mut out, &request).await.map_err(|e| unanswered(e.to_string()))?;
            let _closed = out.finish();
            let answer = receive(&mut back).await.map_err(|e| unanswered(e.to_string()))?;
            check_sender(answer, to.node)
        })
    }

    fn stream(
        &self,
        to: Target,
        mut requests: BoxStream<'static, Frame>,
    ) -> BoxFuture<'static, Result<Frames, SendError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let connection = shared.connection(&to).await?;
            let (mut out, back) =
                connection.open_bi().await.map_err(|e| SendError::NotSent(e.to_string()))?;
            let _closed = out.set_priority(priority(Lane::Append));
            codec::open(&mut out, Mode::Stream).await.map_err(|e| SendError::NotSent(e.to_string()))?;
            let pump = runtime::spawn_scoped(async move {
                while let Some(frame) = requests.next().await {
                    if send(&mut out, &frame).await.is_err() {
                        return;
                    }
                }
                let _closed = out.finish();
            });
            let answers = futures_util::stream::unfold(Some((back, pump)), move |state| async move {
                let (mut back, pump) = state?;
                match receive(&mut back).await {
                    Ok(frame) => Some((check_sender(frame, to.node), Some((back, pump)))),
                    Err(codec::CodecError::End) => None,
                    Err(error) => Some((Err(SendError::Unanswered(error.to_string())), None)),
                }
            });
            Ok(answers.boxed())
        })
    }

    fn push(&self, to: Target, head: Frame, body: Bytes) -> BoxFuture<'static, Result<Frame, SendError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let connection = shared.connection(&to).await?;
            let (mut out, mut back) =
                connection.open_bi().await.map_err(|e| SendError::NotSent(e.to_string()))?;
            let _closed = out.set_priority(priority(Lane::Checkpoint));
            let sent = async {
                codec::open(&mut out, Mode::Push).await?;
                send(&mut out, &head).await?;
                codec::send_paced(&connection, &mut out, &body, shared.pace_max).await?;
                let _closed = out.finish();
                receive(&mut back).await
            };
            let answer = sent.await.map_err(|e: codec::CodecError| SendError::Unanswered(e.to_string()))?;
            check_sender(answer, to.node)
        })
    }

    fn reach(&self, to: Target) -> BoxFuture<'static, ()> {
        let shared = self.shared.clone();
        Box::pin(async move {
            if let Err(error) = shared.connection(&to).await {
                tracing::debug!(peer = to.node, ?error, "a peer is not there yet");
            }
        })
    }

    fn serve(&self, service: Arc<dyn Serve>) -> BoxFuture<'static, ()> {
        let (shared, enroller) = (self.shared.clone(), self.enroller.clone());
        Box::pin(accept::serve(Arc::new(accept::Door { shared, service, enroller })))
    }

    fn links(&self) -> Vec<Link> {
        let peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let link = |(node, peer): (&NodeId, &Peer)| {
            let latest = peer.latest.lock().unwrap_or_else(PoisonError::into_inner);
            let open = latest.as_ref().filter(|c| c.close_reason().is_none());
            Link { node: *node, connected: open.is_some(), rtt: open.map(Connection::rtt) }
        };
        peers.iter().map(link).collect()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let endpoint = self.shared.endpoint.clone();
        Box::pin(async move {
            endpoint.close(0u32.into(), b"stopping");
            let _drained = tokio::time::timeout(Duration::from_millis(200), endpoint.wait_idle()).await;
        })
    }
}

impl Shared {
    /// A peer has connected to this node, so it is there: a dial under way begins again.
    fn arrived(&self, node: NodeId) {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(&node) {
            peer.arrived.notify_waiters();
        }
    }

    /// The connection to a peer; dials when there is none. A caller that gives up does not stop the dial.
    async fn connection(self: &Arc<Self>, to: &Target) -> Result<Connection, SendError> {
        let peer = {
            let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            if !peers.contains_key(&to.node) && peers.len() >= limits::NODES_MAX {
                return Err(SendError::NotSent("too many peers".to_owned()));
            }
            let peer = peers.entry(to.node).or_default();
            if peer.address != to.address {
                // A peer that has moved must not wait for a dial to its old place.
                *peer = Peer { address: to.address.clone(), ..Peer::default() };
            }
            peer.clone()
        };
        {
            let latest = peer.latest.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(open) = latest.as_ref().filter(|c| c.close_reason().is_none()) {
                return Ok(open.clone());
            }
        }
        let (shared, to) = (self.clone(), to.clone());
        let dial = tokio::spawn(async move {
            let mut slot = peer.slot.lock().await;
            if let Some(open) = slot.as_ref().filter(|c| c.close_reason().is_none()) {
                return Ok(open.clone());
            }
            let connection = tokio::select! {
                dialed = shared.dial(&to) => dialed,
                // What was sent to a peer before it was there is sent again late, and later each time.
                () = peer.arrived.notified() => shared.dial(&to).await,
            }?;
            *slot = Some(connection.clone());
            *peer.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
            Ok(connection)
        });
        dial.await.map_err(|e| SendError::NotSent(e.to_string()))?
    }

    async fn dial(&self, to: &Target) -> Result<Connection, SendError> {
        let not_sent = |text: String| SendError::NotSent(text);
        if to.node == self.me {
            return Err(not_sent("a node does not call itself".to_owned()));
        }
        let work = async {
            let mut found =
                tokio::net::lookup_host(&to.address).await.map_err(|e| not_sent(e.to_string()))?;
            let local = self.endpoint.local_addr().ok();
            let address = found.find(|a| local.is_none_or(|l| l.is_ipv6() || a.is_ipv4()));
            let address = address.ok_or_else(|| not_sent(format!("{} has no usable address", to.address)))?;
            let name = dns_name(to.node, &self.cluster);
            let connecting = self.endpoint.connect_with(self.client.clone(), address, &name);
            connecting.map_err(|e| not_sent(e.to_string()))?.await.map_err(|e| not_sent(e.to_string()))
        };
        tokio::time::timeout(self.dial_timeout, work)
            .await
            .map_err(|_| not_sent("dial timeout".to_owned()))?
    }
}

fn check_sender(frame: Frame, peer: NodeId) -> Result<Frame, SendError> {
    if frame.from == peer {
        return Ok(frame);
    }
    Err(SendError::Unanswered(format!("node {peer} answered in the name of node {}", frame.from)))
}

fn priority(lane: Lane) -> i32 {
    match lane {
        Lane::Vote => 100,
        Lane::Heartbeat => 90,
        Lane::Append => 50,
        Lane::Request => 10,
        Lane::Checkpoint => -10,
    }
}
