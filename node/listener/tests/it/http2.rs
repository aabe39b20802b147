//! HTTP/2 with prior knowledge: served on the same port, the same rules, GOAWAY on draining.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::{Running, options, start, until, within};

type Sender = SendRequest<Full<Bytes>>;

async fn connect(running: &Running) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn ask(sender: &mut Sender, request: Request<Full<Bytes>>) -> Response<Incoming> {
    within(sender.send_request(request)).await.unwrap()
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://a{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn prior_knowledge_is_served() {
    let running = start(options());
    let (mut sender, _connection) = connect(&running).await;
    let post = Request::post("http://a/x").body(Full::new(Bytes::from_static(b"hello"))).unwrap();
    let answer = ask(&mut sender, post).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "POST /x 5");
    let counters = running.handle.counters();
    assert_eq!((counters.http2_connections, counters.requests), (1, 1));
}

#[tokio::test]
async fn doubtful_heads_are_refused_without_ending_the_connection() {
    let running = start(options());
    let (mut sender, _connection) = connect(&running).await;
    for (name, request) in [
        ("host differs", Request::get("http://a/").header("host", "b")),
        ("length in disguise", Request::get("http://a/").header("content_length", "5")),
        ("user information", Request::get("http://u@a/")),
        ("connect", Request::connect("a:443")),
    ] {
        let answer = ask(&mut sender, request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"message":"Bad Request"}"#);
    }
    let large = Request::get("http://a/").header("x", "x".repeat(20_000)).body(Full::default()).unwrap();
    assert_eq!(ask(&mut sender, large).await.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(running.entered(), 0);
    assert_eq!(ask(&mut sender, get("/")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn draining_says_goaway_and_finishes_streams() {
    let mut running = start(options());
    let (mut sender, connection) = connect(&running).await;
    assert_eq!(ask(&mut sender, get("/")).await.status(), StatusCode::OK);
    let mut second = sender.clone();
    let slow = tokio::spawn(async move { ask(&mut second, get("/slow")).await.status() });
    until("the slow request is inside", || running.entered() == 2).await;

    running.begin_stop();
    // After GOAWAY the client may not open a stream.
    within(async { while sender.send_request(get("/late")).await.is_ok() {} }).await;
    running.record.gate.add_permits(1);
    assert_eq!(within(slow).await.unwrap(), StatusCode::OK);
    assert!(within(connection).await.unwrap().is_ok());
    running.stopped().await;
}
