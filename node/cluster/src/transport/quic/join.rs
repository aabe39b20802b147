//! The messages of joining and their accepting side: one request, one answer, bounded in size and time, then the
//! connection is closed.

use super::codec;
use crate::{
    EnrollError, EnrollRequest, Enrolled, Enroller, NodeMeta, limits,
    wire::{Frame, convert, v1::*},
};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::time::timeout;

/// Serves one joining node.
pub(crate) async fn serve(connection: Connection, enroller: &dyn Enroller) {
    let from = connection.remote_address();
    match timeout(limits::JOIN_TIMEOUT, exchange(&connection, enroller)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%from, %error, "a joining node sent nonsense"),
        Err(_) => tracing::warn!(%from, "a joining node took too long"),
    }
    connection.close(VarInt::from_u32(0), b"done");
}

/// Sends the one request of a joining node.
pub(crate) async fn send_request(out: &mut SendStream, request: &Frame) -> Result<(), codec::CodecError> {
    codec::send(out, request).await?;
    let _closed = out.finish();
    Ok(())
}

/// Receives the one answer to a joining node.
pub(crate) async fn receive_answer(input: &mut RecvStream) -> Result<Frame, codec::CodecError> {
    codec::receive_bounded(input, limits::JOIN_BYTES_MAX).await
}

async fn exchange(connection: &Connection, enroller: &dyn Enroller) -> Result<(), codec::CodecError> {
    let read = |e: quinn::ConnectionError| codec::CodecError::Read(e.to_string());
    let (mut out, mut input) = connection.accept_bi().await.map_err(read)?;
    let request: EnrollV1 = codec::receive_bounded(&mut input, limits::JOIN_BYTES_MAX).await?.decode()?;
    let request = EnrollRequest {
        secret: request.secret,
        csr_der: request.csr,
        meta: NodeMeta { address: request.address, region: request.region, az: request.az },
    };
    let result = match enroller.enroll(request).await {
        Ok(enrolled) => welcome(enrolled),
        Err(EnrollError::Secret) => EnrollResultV1::Secret,
        Err(EnrollError::Request(reason)) => EnrollResultV1::Request { reason },
        Err(EnrollError::Unavailable(reason)) => EnrollResultV1::Unavailable { reason },
    };
    codec::send(&mut out, &Frame::new(0, 0, &EnrolledV1 { result })).await?;
    let _closed = out.finish();
    // The answer must arrive before the connection is closed under it.
    let _acknowledged = out.stopped().await;
    Ok(())
}

fn welcome(enrolled: Enrolled) -> EnrollResultV1 {
    EnrollResultV1::Welcome {
        node: enrolled.node,
        cluster: enrolled.cluster,
        cert: enrolled.cert_der,
        ca: enrolled.ca_der,
        peers: enrolled.peers.iter().map(|(id, meta)| convert::node_out(*id, meta)).collect(),
        welcome: enrolled.welcome,
    }
}
