//! One request, to see whether a gateway serves yet.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use crate::peers::{
    limits::PROBE,
    load::{MessageReader, Side},
    order::Target,
};

/// Status of a `GET` over HTTP/1.1 and plain TCP.
pub(crate) fn status(target: &Target) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&target.address, PROBE)?;
    stream.set_read_timeout(Some(PROBE))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.host)?;
    let (mut reader, mut found, mut scratch) = (MessageReader::new(Side::Responses), None, [0; 4096]);
    while found.is_none() {
        let count = stream.read(&mut scratch)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.feed(&scratch[..count], |message| found = Some(message.status)).map_err(io::Error::other)?;
    }
    Ok(found.unwrap_or_default())
}
