//! The upstream behind the limits: notes when each admitted request arrives, and answers. It is the only judge of what was
//! admitted.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{bucket::Admitted, wire};
use crate::{clock::Clock, limits::POLL};

/// The header by which a client tells who sent a request, and when.
pub(super) const MARK: &str = "x-storm";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// A running upstream. Dropping it ends it.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    books: Arc<Mutex<Books>>,
    accepting: JoinHandle<()>,
}

/// What arrived.
#[derive(Default)]
struct Books {
    names: Vec<String>,
    /// By limit.
    admitted: Vec<Vec<Admitted>>,
    seen: BTreeSet<Mark>,
    /// Arrivals that no client of this run sent, or that arrived before.
    strange: u64,
}

/// Who sent a request, as which of its requests, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) stream: u32,
    pub(super) number: u64,
    pub(super) sent_us: u64,
}

impl Upstream {
    /// Listens on a port of its own, for limits of these names.
    pub(super) async fn start(clock: Clock, names: Vec<String>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let admitted = vec![Vec::new(); names.len()];
        let books = Arc::new(Mutex::new(Books { names, admitted, ..Books::default() }));
        let kept = books.clone();
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(serve(stream, kept.clone(), clock))),
                    Err(_) => tokio::time::sleep(POLL).await,
                }
            }
        });
        Ok(Self { address, books, accepting })
    }

    /// What arrived so far, by limit.
    pub(super) fn admitted(&self) -> Vec<Vec<Admitted>> {
        lock(&self.books).admitted.clone()
    }

    /// How many arrived so far of one limit.
    pub(super) fn count(&self, limit: usize) -> usize {
        lock(&self.books).admitted.get(limit).map_or(0, Vec::len)
    }

    /// Arrivals that no client of this run sent, or that arrived before.
    pub(super) fn strange(&self) -> u64 {
        lock(&self.books).strange
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Books {
    fn note(&mut self, head: &[u8], arrived_us: u64) {
        let path = wire::target(head).and_then(|target| target.strip_prefix('/'));
        let limit = path.and_then(|name| self.names.iter().position(|known| known == name));
        let mark = wire::header(head, MARK).and_then(Mark::parse);
        match (limit.and_then(|limit| self.admitted.get_mut(limit)), mark) {
            (Some(book), Some(mark)) if self.seen.insert(mark) => {
                book.push(Admitted { sent_us: mark.sent_us, arrived_us });
            }
            _ => self.strange += 1,
        }
    }
}

impl Mark {
    /// Reads what [`Mark`]'s `Display` wrote.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (stream, number, sent_us) = (parts.next()?, parts.next()?, parts.next()?);
        let (stream, number, sent_us) = (stream.parse().ok()?, number.parse().ok()?, sent_us.parse().ok()?);
        parts.next().is_none().then_some(Self { stream, number, sent_us })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.stream, self.number, self.sent_us)
    }
}

async fn serve(mut stream: TcpStream, books: Arc<Mutex<Books>>, clock: Clock) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(end) = wire::read_head(&mut stream, &mut buffer).await {
        let arrived_us = clock.now_us();
        lock(&books).note(buffer.get(..end).unwrap_or_default(), arrived_us);
        buffer.drain(..end);
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn arrivals_are_noted_once_and_by_limit() {
        let clock = Clock::start();
        let upstream = Upstream::start(clock, vec!["one".into(), "two".into()]).await.unwrap();
        let mut stream = TcpStream::connect(upstream.address).await.unwrap();
        for (path, mark) in [
            ("two", "7.1.99"),
            ("two", "7.2.99"),
            ("two", "7.1.99"),
            ("three", "7.3.99"),
            ("one", "7.4"),
            ("one", "8.1.3"),
        ] {
            let request = format!("GET /{path} HTTP/1.1\r\nhost: u\r\nX-Storm: {mark}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; ANSWER.len()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, ANSWER);
        }
        assert_eq!((upstream.count(0), upstream.count(1), upstream.strange()), (1, 2, 3));
        assert_eq!(upstream.admitted()[0][0].sent_us, 3);
    }

    #[test]
    fn marks_come_back() {
        let mark = Mark { stream: 3, number: 1 << 40, sent_us: u64::MAX };
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.x", "-1.2.3"] {
            assert_eq!(Mark::parse(wrong), None, "{wrong}");
        }
    }
}
