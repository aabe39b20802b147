//! Leaving HTTP: after status 101 bytes pass unread; after anything else the next head is judged as ever.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tidegate_listener::{Body, Connection, Options, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{reply, send, until, within};

const ASK: &str = "HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Switches on `/switch` and echoes; answers 200 otherwise.
async fn handler(mut request: Request<Body>, _: Connection) -> Response<Full<Bytes>> {
    if request.uri().path() != "/switch" {
        return Response::new(Full::default());
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut buffer = [0u8; 64];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..count]).await.unwrap();
        }
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    response.header("connection", "upgrade").header("upgrade", "echo").body(Full::default()).unwrap()
}

#[tokio::test]
async fn bytes_pass_unread_only_after_a_switch() {
    let service = Service::new(Options::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
    let (address, handle) = (service.local_address(), service.handle());
    tokio::spawn(service.run(handler, std::future::pending()));

    // What follows the head in the same packet belongs to the new protocol.
    let mut stream = send(address, format!("GET /switch {ASK}\0\x01not http\n").as_bytes()).await;
    assert_eq!(reply(&mut stream).await.status, 101);
    let mut echoed = [0u8; 11];
    within(stream.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"\0\x01not http\n");
    stream.write_all(b"more").await.unwrap();
    let mut echoed = [0u8; 4];
    within(stream.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"more");
    assert_eq!(handle.connections(), 1, "a switched connection still counts");
    drop(stream);
    until("the switched connection is gone", || handle.connections() == 0).await;

    let mut stream = send(address, format!("GET /stay {ASK}\0\x01not http\r\n\r\n").as_bytes()).await;
    assert_eq!(reply(&mut stream).await.status, 200);
    assert_eq!(reply(&mut stream).await.status, 400);
}
