//! The origin's end of a connection: answers every request with the same bytes, in the order the requests came.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
};

use time::{OffsetDateTime, macros::format_description};

use crate::peers::load::{
    message::{MessageReader, Side},
    poll::Interest,
};

const PATTERN: &[u8] = br#"{"id":42,"name":"widget","tags":["a","b"],"price":12.5}"#;

/// A connection that a gateway, or a client, opened.
pub(crate) struct OriginConnection {
    stream: TcpStream,
    reader: MessageReader,
    /// Requests so far.
    requests: u64,
    /// Answers owed, the one being written included.
    owed: usize,
    /// Bytes of the first owed answer that are sent.
    sent: usize,
    watched: Interest,
}

/// The whole answer, as it goes over the wire; caches may store it for an hour, or not at all.
pub(crate) fn answer(body_bytes: usize, is_cacheable: bool) -> Vec<u8> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    // Caches count the age of an answer from it.
    let date = OffsetDateTime::now_utc().format(format).unwrap_or_default();
    let freshness = if is_cacheable { "max-age=3600" } else { "no-store" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: {date}\r\nContent-Type: application/json\r\n\
         Content-Length: {body_bytes}\r\nCache-Control: {freshness}\r\nETag: \"5f3a-9c1b\"\r\n\r\n"
    );
    let body = PATTERN.iter().copied().cycle().take(body_bytes);
    head.into_bytes().into_iter().chain(body).collect()
}

impl OriginConnection {
    /// Takes an accepted connection.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let reader = MessageReader::new(Side::Requests);
        Ok(Self { stream, reader, requests: 0, owed: 0, sent: 0, watched: Interest::Read })
    }

    /// Reads requests and answers them as far as the socket allows; an error ends the connection.
    pub(crate) fn ready(
        &mut self,
        readable: bool,
        answer: &[u8],
        scratch: &mut [u8],
    ) -> io::Result<Option<Interest>> {
        if readable {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    let mut asked = 0;
                    self.reader.feed(&scratch[..count], |_| asked += 1).map_err(io::Error::other)?;
                    (self.owed, self.requests) = (self.owed + asked, self.requests + asked as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.write(answer)
    }

    /// Requests that have come so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Sends what is owed and returns what to watch from now on, when that changes.
    fn write(&mut self, answer: &[u8]) -> io::Result<Option<Interest>> {
        while self.owed > 0 {
            match self.stream.write(&answer[self.sent.min(answer.len())..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if self.sent >= answer.len() {
                (self.owed, self.sent) = (self.owed - 1, 0);
            }
        }
        let wanted = if self.owed > 0 { Interest::Both } else { Interest::Read };
        Ok((std::mem::replace(&mut self.watched, wanted) != wanted).then_some(wanted))
    }
}

impl AsFd for OriginConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_length_it_states() {
        for body_bytes in [0, 1, 128, 10_240] {
            let mut found = Vec::new();
            let mut reader = MessageReader::new(Side::Responses);
            reader.feed(&answer(body_bytes, false), |m| found.push((m.status, m.body_bytes))).unwrap();
            assert_eq!(found, [(200, body_bytes)]);
            assert!(!reader.is_inside());
        }
    }
}
