//! As much of HTTP/1.1 as the clients and the upstream of this storm speak: heads, and bodies of known length. Slim, because they
//! share the machine with what they measure.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

use crate::limits::HEAD_BYTES;

/// Reads until `buffer` holds a whole head; returns its length.
///
/// # Errors
/// The connection ended, or the head is too long.
pub(super) async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(end + 4);
        }
        if buffer.len() > HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        read_more(stream, buffer).await?;
    }
}

/// Reads an answer to its end; returns its status and whether the connection stays open.
///
/// # Errors
/// The connection ended, or the answer is not one that this storm understands.
pub(super) async fn read_answer(stream: &mut TcpStream) -> io::Result<(u16, bool)> {
    let mut buffer = Vec::with_capacity(1_024);
    let end = read_head(stream, &mut buffer).await?;
    let head = buffer.get(..end).unwrap_or_default();
    let unclear = || io::Error::from(io::ErrorKind::InvalidData);
    let status = std::str::from_utf8(head.get(9..12).unwrap_or_default()).ok().and_then(|s| s.parse().ok());
    let length = header(head, "content-length").and_then(|length| length.parse::<usize>().ok());
    let (status, length) = (status.ok_or_else(unclear)?, length.ok_or_else(unclear)?);
    let stays = !header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let whole = end + length.min(HEAD_BYTES);
    while buffer.len() < whole {
        read_more(stream, &mut buffer).await?;
    }
    if buffer.len() == whole { Ok((status, stays)) } else { Err(unclear()) }
}

/// The request target of a head.
pub(super) fn target(head: &[u8]) -> Option<&str> {
    std::str::from_utf8(head).ok()?.split(' ').nth(1)
}

/// A header's first value.
pub(super) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = std::str::from_utf8(head).ok()?.split("\r\n").skip(1);
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
