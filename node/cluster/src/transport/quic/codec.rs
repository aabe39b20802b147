//! Frames on QUIC streams. The first byte of a stream says how it is used.

use crate::{
    limits,
    wire::{
        Body, Frame, WireError,
        frame::{HEADER_BYTES, Header},
    },
};
use quinn::{Connection, ReadExactError, RecvStream, SendStream};
use std::time::{Duration, Instant};

/// How a stream is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    Call = 1,
    Stream = 2,
    Push = 3,
}

/// Why a frame did not come or go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("the stream has ended")]
    End,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0}")]
    Read(String),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
}

/// Says how the stream is used.
pub(crate) async fn open(out: &mut SendStream, mode: Mode) -> Result<(), CodecError> {
    Ok(out.write_all(&[mode as u8]).await?)
}

/// Reads how the stream is used.
pub(crate) async fn opened(stream: &mut RecvStream) -> Result<Mode, CodecError> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await.map_err(read_error)?;
    let modes = [Mode::Call, Mode::Stream, Mode::Push];
    modes.into_iter().find(|mode| *mode as u8 == byte[0]).ok_or(CodecError::Wire(WireError::Kind(byte[0])))
}

/// Writes one frame.
pub(crate) async fn send(out: &mut SendStream, frame: &Frame) -> Result<(), CodecError> {
    out.write_all(&frame.header()).await?;
    Ok(out.write_all(&frame.body).await?)
}

/// Reads one frame.
pub(crate) async fn receive(stream: &mut RecvStream) -> Result<Frame, CodecError> {
    receive_bounded(stream, limits::FRAME_BYTES_MAX).await
}

/// Reads one frame whose body is at most `bytes_max` long. Memory grows with what has arrived, not with what was said.
pub(crate) async fn receive_bounded(stream: &mut RecvStream, bytes_max: usize) -> Result<Frame, CodecError> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await.map_err(read_error)?;
    let header = Header::parse(&header, bytes_max)?;
    let mut body = Body::with_capacity(header.body_bytes.min(limits::CHECKPOINT_CHUNK_BYTES));
    while body.len() < header.body_bytes {
        let from = body.len();
        let to = header.body_bytes.min(from + limits::CHECKPOINT_CHUNK_BYTES);
        body.resize(to, 0);
        let Some(room) = body.get_mut(from..to) else { return Err(CodecError::End) };
        stream.read_exact(room).await.map_err(read_error)?;
    }
    Ok(header.with_body(body)?)
}

/// Writes a large body at about half of what the path can carry, so that heartbeats do not queue behind it.
pub(crate) async fn send_paced(
    connection: &Connection,
    out: &mut SendStream,
    body: &[u8],
    bytes_per_second_max: u64,
) -> Result<(), CodecError> {
    let started = Instant::now();
    let mut due = Duration::ZERO;
    for chunk in body.chunks(limits::CHECKPOINT_CHUNK_BYTES) {
        out.write_all(chunk).await?;
        let rate = path_rate(connection).min(bytes_per_second_max).max(limits::CHECKPOINT_PACE_MIN);
        due += Duration::from_secs_f64(chunk.len() as f64 / rate as f64);
        if let Some(ahead) = due.checked_sub(started.elapsed()).filter(|ahead| ahead.as_millis() > 1) {
            tokio::time::sleep(ahead).await;
        }
    }
    Ok(())
}

/// Half of the congestion window per round trip, in bytes per second.
fn path_rate(connection: &Connection) -> u64 {
    let path = connection.stats().path;
    let rtt = path.rtt.as_secs_f64().max(1e-4);
    (path.cwnd as f64 / rtt / 2.0) as u64
}

fn read_error(error: ReadExactError) -> CodecError {
    match error {
        ReadExactError::FinishedEarly(0) => CodecError::End,
        ReadExactError::FinishedEarly(_) => CodecError::Wire(WireError::Short),
        ReadExactError::ReadError(error) => CodecError::Read(error.to_string()),
    }
}
