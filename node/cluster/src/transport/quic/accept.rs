//! The accepting side: bounded handshakes, proof of the peer's id, then streams. A frame that names another sender than
//! the certificate ends the connection.

use super::{
    Shared,
    codec::{self, CodecError, Mode},
    join, tls,
};
use crate::{
    Enroller, NodeId,
    identity::{certified_name, parse_dns_name},
    limits, runtime,
    transport::Serve,
    wire::Frame,
};
use futures_util::StreamExt;
use quinn::{Connection, Incoming, RecvStream, SendStream, VarInt};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use tokio::{sync::Semaphore, time::timeout};

const REFUSED: VarInt = VarInt::from_u32(1);

/// What stands behind the socket.
pub(super) struct Door {
    pub(super) shared: Arc<Shared>,
    pub(super) service: Arc<dyn Serve>,
    pub(super) enroller: Option<Arc<dyn Enroller>>,
}

/// Accepts until the endpoint is closed.
pub(super) async fn serve(door: Arc<Door>) {
    let handshakes = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    let joins = Arc::new(Semaphore::new(limits::JOINS_MAX));
    while let Some(incoming) = door.shared.endpoint.accept().await {
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        // Under load a source must prove its address before it costs a handshake.
        if handshakes.available_permits() < limits::HANDSHAKES_MAX / 2 && !incoming.remote_address_validated()
        {
            let _cannot_retry_twice = incoming.retry();
            continue;
        }
        let (door, joins) = (door.clone(), joins.clone());
        runtime::spawn(async move {
            let connection = shake(incoming).await;
            drop(permit);
            if let Some(connection) = connection {
                greet(connection, door, joins).await;
            }
        });
    }
}

async fn shake(incoming: Incoming) -> Option<Connection> {
    let from = incoming.remote_address();
    match timeout(limits::HANDSHAKE_TIMEOUT, incoming).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%from, "handshake timed out");
            None
        }
    }
}

async fn greet(connection: Connection, door: Arc<Door>, joins: Arc<Semaphore>) {
    let from = connection.remote_address();
    match (protocol(&connection).as_deref(), peer(&connection, &door.shared.cluster), &door.enroller) {
        (Some(tls::ALPN_RAFT), Some(peer), _) => {
            door.shared.arrived(peer);
            streams(connection, peer, door).await;
        }
        (Some(tls::ALPN_JOIN), _, Some(enroller)) => {
            let Ok(_permit) = joins.try_acquire() else { return connection.close(REFUSED, b"busy") };
            join::serve(connection, &**enroller).await;
        }
        _ => {
            tracing::warn!(%from, "a connection without a usable certificate was refused");
            connection.close(REFUSED, b"certificate required");
        }
    }
}

async fn streams(connection: Connection, peer: NodeId, door: Arc<Door>) {
    while let Ok((out, back)) = connection.accept_bi().await {
        let (connection, door) = (connection.clone(), door.clone());
        runtime::spawn(async move {
            if let Err(error) = stream(&connection, peer, &door, out, back).await {
                tracing::debug!(peer, %error, "a stream ended early");
            }
        });
    }
}

async fn stream(
    connection: &Connection,
    peer: NodeId,
    door: &Door,
    mut out: SendStream,
    mut input: RecvStream,
) -> Result<(), CodecError> {
    let late = || CodecError::Read("the request took too long".to_owned());
    let mode =
        timeout(limits::REQUEST_READ_TIMEOUT, codec::opened(&mut input)).await.map_err(|_| late())??;
    match mode {
        Mode::Call => {
            let request = timeout(limits::REQUEST_READ_TIMEOUT, codec::receive(&mut input))
                .await
                .map_err(|_| late())??;
            let answer = door.service.call(proven(connection, peer, request)?).await;
            codec::send(&mut out, &answer).await?;
        }
        Mode::Stream => {
            let connection = connection.clone();
            let requests = futures_util::stream::unfold(Some(input), move |input| {
                let connection = connection.clone();
                async move {
                    let mut input = input?;
                    let frame =
                        codec::receive(&mut input).await.and_then(|frame| proven(&connection, peer, frame));
                    frame.ok().map(|frame| (frame, Some(input)))
                }
            });
            let mut answers = door.service.stream(requests.boxed());
            while let Some(answer) = answers.next().await {
                codec::send(&mut out, &answer).await?;
            }
        }
        Mode::Push => {
            let head = timeout(limits::REQUEST_READ_TIMEOUT, codec::receive(&mut input))
                .await
                .map_err(|_| late())??;
            let head = proven(connection, peer, head)?;
            let Some(bytes) = door.service.push_bytes(&head) else { return Err(codec_refused()) };
            let bytes_max = usize::try_from(bytes).map_err(|_| codec_refused())?;
            let body = input.read_to_end(bytes_max).await.map_err(|e| CodecError::Read(e.to_string()))?;
            let answer = door.service.push(head, body.into()).await;
            codec::send(&mut out, &answer).await?;
        }
    }
    let _closed = out.finish();
    Ok(())
}

/// Ends the connection when a frame speaks for another node.
fn proven(connection: &Connection, peer: NodeId, frame: Frame) -> Result<Frame, CodecError> {
    if frame.from == peer {
        return Ok(frame);
    }
    tracing::warn!(peer, claimed = frame.from, "a frame named another sender; the connection is closed");
    connection.close(REFUSED, b"sender mismatch");
    Err(CodecError::Read("sender mismatch".to_owned()))
}

fn codec_refused() -> CodecError {
    CodecError::Read("the body is refused".to_owned())
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    data.protocol
}

/// The node id in the peer's verified certificate.
fn peer(connection: &Connection, cluster: &str) -> Option<NodeId> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let name = certified_name(chain.first()?).ok()?;
    let (node, of) = parse_dns_name(&name)?;
    (of == cluster).then_some(node)
}
