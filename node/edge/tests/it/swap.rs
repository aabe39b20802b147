//! Snapshots replaced under load, and HTTP/2 clients.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::room::{PATIENCE, Room, mock, proxy, snapshot};

#[test]
fn no_request_notices_a_swap() {
    const CLIENTS: usize = 8;
    const SWAPS: u64 = 200;
    let upstream = crate::room::Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let methods = |revision: u64| {
        [
            ("/local", "GET", mock(&format!("{{\"revision\":{revision}}}"))),
            ("/up", "GET", proxy(upstream.address, "/")),
        ]
    };
    let room = Room::serve(&methods(0));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (stop, answered, address) = (Arc::clone(&stop), Arc::clone(&answered), room.address);
            thread::spawn(move || {
                let mut client = crate::room::Client::connect(address);
                let (path, end) = if index % 2 == 0 { ("local", "}") } else { ("up", "\r\n\r\nok") };
                let mut newest = 0;
                while !stop.load(SeqCst) {
                    client.send(&format!("GET /dev/{path} HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n"));
                    let answer = client.read_until(end);
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    if let Some(revision) = answer.body().strip_prefix("{\"revision\":") {
                        let revision: u64 = revision.trim_end_matches('}').parse().unwrap();
                        assert!(revision >= newest, "{revision} after {newest}");
                        newest = revision;
                    }
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for revision in 1..=SWAPS {
        let before = answered.load(SeqCst);
        room.handle.publish(Arc::new(snapshot(revision, &methods(revision))));
        assert_eq!(room.handle.serving_revision(), revision);
        crate::room::eventually("requests go on", || answered.load(SeqCst) > before);
    }
    stop.store(true, SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(answered.load(SeqCst) as u64 >= SWAPS);
}

#[test]
fn http2_with_prior_knowledge() {
    let upstream = crate::room::Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let room =
        Room::serve(&[("/up", "ANY", proxy(upstream.address, "/x")), ("/local", "ANY", mock("local"))]);
    let address = room.address;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let all = async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for (verb, path, body) in
            [("GET", "local", ""), ("POST", "up", "ping"), ("HEAD", "local", ""), ("GET", "none", "")]
        {
            let request = http::Request::builder()
                .method(verb)
                .uri(format!("http://api1.execute-api.local/dev/{path}"))
                .body(Full::new(Bytes::from_static(body.as_bytes())))
                .unwrap();
            let response = sender.clone().send_request(request).await.unwrap();
            let length =
                response.headers().get("content-length").map(|value| value.to_str().unwrap().to_owned());
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            answers.push((status, length.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap()));
        }
        answers
    };
    let answers = runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await.unwrap() });
    let expect = [
        (200, "5", "local"),
        (200, "2", "ok"),
        (200, "5", ""),
        (403, "42", r#"{"message":"Missing Authentication Token"}"#),
    ];
    assert_eq!(answers, expect.map(|(status, length, body)| (status, length.to_owned(), body.to_owned())));
    let seen = upstream.seen();
    assert!(seen.starts_with("POST /x HTTP/1.1\r\n") && seen.ends_with("ping"), "{seen}");
}
