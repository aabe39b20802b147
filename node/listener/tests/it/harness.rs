//! A running listener with a recording handler, and a raw client that parses nothing it does not need.

use std::future::Future;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tidegate_listener::{Body, Connection, Handle, Options, Service};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Longer than anything a passing test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// What the handler saw, and the gate that holds requests for `/slow`.
pub(crate) struct Record {
    pub(crate) entered: AtomicUsize,
    pub(crate) served: Mutex<Vec<String>>,
    pub(crate) gate: Semaphore,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn served(&self) -> Vec<String> {
        self.record.served.lock().unwrap().clone()
    }

    pub(crate) fn entered(&self) -> usize {
        self.record.entered.load(SeqCst)
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until `run` has returned.
    pub(crate) async fn stopped(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        within(self.task).await.unwrap();
    }
}

pub(crate) fn options() -> Options {
    Options { drain_timeout_ms: 5_000, ..Options::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))) }
}

pub(crate) fn start(options: Options) -> Running {
    run(Service::new(options).unwrap())
}

pub(crate) fn run(service: Service) -> Running {
    let (address, handle) = (service.local_address(), service.handle());
    let record = Arc::new(Record {
        entered: AtomicUsize::new(0),
        served: Mutex::new(Vec::new()),
        gate: Semaphore::new(0),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let recorder = Arc::clone(&record);
    let handler = move |request, connection| answer(request, connection, Arc::clone(&recorder));
    let task = tokio::spawn(async move {
        let shutdown = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        service.run(handler, shutdown).await.unwrap();
    });
    Running { address, handle, record, stop: Some(stop), task }
}

/// Echoes method, path and body length; `/slow` waits at the gate; `/early` does not read its body; `/big` answers 32 MiB;
/// `/connection` tells protocol and scheme.
pub(crate) async fn answer(
    request: Request<Body>,
    connection: Connection,
    record: Arc<Record>,
) -> Response<Full<Bytes>> {
    record.entered.fetch_add(1, SeqCst);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if path == "/early" {
        record.served.lock().unwrap().push(format!("{} {path} -", parts.method));
        return Response::new(Full::new(Bytes::from_static(b"early")));
    }
    if path == "/connection" {
        let Connection { protocol, scheme, .. } = connection;
        return Response::new(Full::new(Bytes::from(format!("{protocol:?} {}", scheme.as_str()))));
    }
    if path == "/big" {
        return Response::new(Full::new(Bytes::from(vec![b'x'; 32 * 1024 * 1024])));
    }
    let Ok(body) = body.collect().await else {
        let mut response = Response::new(Full::new(Bytes::from_static(b"broken body")));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        return response;
    };
    if path == "/slow" {
        record.gate.acquire().await.unwrap().forget();
    }
    let line = format!("{} {path} {}", parts.method, body.to_bytes().len());
    record.served.lock().unwrap().push(line.clone());
    Response::new(Full::new(Bytes::from(line)))
}

/// An answer as the raw client sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Reads until the peer closes, then cuts the bytes into answers; every answer in these tests has a Content-Length.
pub(crate) async fn replies(stream: &mut TcpStream) -> Vec<Reply> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        match within(stream.read(&mut chunk)).await {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    cut(&bytes)
}

/// Reads exactly one answer from a connection that stays open.
pub(crate) async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Reply {
    let mut bytes = Vec::new();
    loop {
        if let Some(reply) = cut(&bytes).pop() {
            return reply;
        }
        let mut byte = [0u8; 1];
        assert_eq!(within(stream.read(&mut byte)).await.unwrap(), 1, "closed before an answer");
        bytes.push(byte[0]);
    }
}

fn cut(bytes: &[u8]) -> Vec<Reply> {
    let mut text = std::str::from_utf8(bytes).unwrap();
    let mut replies = Vec::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        replies.push(Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() });
        text = rest;
    }
    replies
}

/// Connects and writes; a peer that refuses early may close while we write, which is not the test's business.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let _ = stream.write_all(bytes).await;
    stream
}

/// Like [`send`], one byte at a time.
pub(crate) async fn drip(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in bytes {
        if stream.write_all(std::slice::from_ref(byte)).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    stream
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("deadline passed")
}

/// Polls a condition until it holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
