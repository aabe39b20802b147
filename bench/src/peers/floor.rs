//! The floor under every proxy: copies bytes between two sockets and understands none of them. One client connection has
//! one connection to the origin, and each request costs the four system calls that no proxy can do without.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
};

use crate::peers::{
    limits::READ_BYTES,
    load::{Interest, Poll, Ready, listen},
};

const PROXY: u64 = u64::MAX;
const LOCAL: u64 = u64::MAX - 1;

/// Serves until it is killed: `proxy` copies to and from `origin`, `local` answers each read with 128 bytes.
pub fn serve(proxy: SocketAddr, local: SocketAddr, origin: SocketAddr) -> ExitCode {
    match Floor::new(proxy, local, origin).and_then(Floor::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Floor {
    poll: Poll,
    proxy: TcpListener,
    local: TcpListener,
    origin: SocketAddr,
    /// In pairs: a client at an even place, its origin connection, if any, behind it.
    ends: Vec<Option<End>>,
    /// Even places of pairs that are empty.
    free: Vec<usize>,
    scratch: Vec<u8>,
    answer: Vec<u8>,
}

/// One socket.
struct End {
    stream: TcpStream,
    peer: Peer,
    /// Bytes from the other side that this socket has not taken yet.
    unsent: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Peer {
    /// The other socket.
    Socket(usize),
    /// None: each read is answered here.
    Answer,
}

impl Floor {
    fn new(proxy: SocketAddr, local: SocketAddr, origin: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listen = |address, token| {
            let listener = listen(address)?;
            poll.add(&listener, token, Interest::Read)?;
            io::Result::Ok(listener)
        };
        let (proxy, local) = (listen(proxy, PROXY)?, listen(local, LOCAL)?);
        let body: String = "0123456789abcdef".repeat(8);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
        let answer = format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes();
        let (ends, free, scratch) = (Vec::new(), Vec::new(), vec![0; READ_BYTES]);
        Ok(Self { poll, proxy, local, origin, ends, free, scratch, answer })
    }

    fn run(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            self.poll.wait(None, &mut ready)?;
            for event in ready.drain(..) {
                match event.token {
                    PROXY => self.accept_proxied(),
                    LOCAL => self.accept_local(),
                    token => self.handle(token as usize, event),
                }
            }
        }
    }

    fn accept_proxied(&mut self) {
        while let Ok((client, _)) = self.proxy.accept() {
            let Ok(origin) = TcpStream::connect(self.origin) else { continue };
            let at = self.place();
            let added = self
                .add(client, at, Peer::Socket(at + 1))
                .and_then(|()| self.add(origin, at + 1, Peer::Socket(at)));
            if added.is_err() {
                self.close(at);
            }
        }
    }

    fn accept_local(&mut self) {
        while let Ok((client, _)) = self.local.accept() {
            let at = self.place();
            if self.add(client, at, Peer::Answer).is_err() {
                self.close(at);
            }
        }
    }

    /// An empty pair.
    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.ends.extend([None, None]);
            self.ends.len() - 2
        })
    }

    fn add(&mut self, stream: TcpStream, at: usize, peer: Peer) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        self.poll.add(&stream, at as u64, Interest::Read)?;
        self.ends[at] = Some(End { stream, peer, unsent: Vec::new() });
        Ok(())
    }

    fn handle(&mut self, at: usize, event: Ready) {
        if event.writable {
            self.drain(at);
        }
        let Some(Some(end)) = self.ends.get_mut(at) else { return };
        if !event.readable {
            return;
        }
        let peer = end.peer;
        match (end.stream.read(&mut self.scratch), peer) {
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => {}
            (Ok(0) | Err(_), _) => self.close(at),
            (Ok(_), Peer::Answer) => {
                let Some(Some(end)) = self.ends.get_mut(at) else { return };
                if end.stream.write(&self.answer).is_err() {
                    self.close(at);
                }
            }
            (Ok(count), Peer::Socket(other)) => self.copy(other, count),
        }
    }

    /// Sends what was read to the other side, and keeps what it does not take.
    fn copy(&mut self, to: usize, count: usize) {
        let Some(Some(end)) = self.ends.get_mut(to) else { return };
        let bytes = &self.scratch[..count];
        let sent = if end.unsent.is_empty() {
            match end.stream.write(bytes) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return self.close(to),
            }
        } else {
            0
        };
        if sent < count {
            end.unsent.extend_from_slice(&bytes[sent..]);
            let _ = self.poll.change(&end.stream, to as u64, Interest::Both);
        }
    }

    fn drain(&mut self, at: usize) {
        let Some(Some(end)) = self.ends.get_mut(at) else { return };
        match end.stream.write(&end.unsent) {
            Ok(sent) => drop(end.unsent.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return self.close(at),
        }
        if end.unsent.is_empty() {
            let _ = self.poll.change(&end.stream, at as u64, Interest::Read);
        }
    }

    /// Closes both sides.
    fn close(&mut self, at: usize) {
        let base = at & !1;
        for end in self.ends.iter_mut().skip(base).take(2) {
            *end = None;
        }
        self.free.push(base);
    }
}
