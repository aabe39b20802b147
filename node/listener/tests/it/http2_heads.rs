//! Heads over HTTP/2 that another reader could take for another request: 400 or a reset for the stream, and nothing worse.

use crate::frames::*;
use crate::harness::{options, start};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Status(u16),
    /// The stream is reset.
    Reset,
    /// The connection ends.
    Ended,
}

use Fate::{Ended, Reset, Status};

type Fields = Vec<(&'static str, &'static str)>;

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "a");
const PATH: (&str, &str) = (":path", "/");

/// A plain request with these fields behind it.
fn with(more: &[(&'static str, &'static str)]) -> Fields {
    [&[METHOD, SCHEME, AUTHORITY, PATH], more].concat()
}

/// A plain request with another value of one pseudo-header field; an empty name leaves nothing out.
fn changed(name: &'static str, value: &'static str) -> Fields {
    with(&[]).into_iter().map(|(known, old)| (known, if known == name { value } else { old })).collect()
}

fn without(name: &'static str, more: &[(&'static str, &'static str)]) -> Fields {
    with(more).into_iter().filter(|(known, _)| *known != name).collect()
}

/// Sends every request on a connection of its own and asks again on the same one.
async fn check(table: Vec<(Fields, Fate)>) {
    let running = start(options());
    let mut wrong = Vec::new();
    for (fields, expect) in table {
        let before = running.entered();
        let mut raw = Raw::plain(running.address).await;
        let answer = raw.ask(1, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))).await;
        let fate = match answer.kind {
            HEADERS => Status(answer.status()),
            RST_STREAM => Reset,
            _ => Ended,
        };
        let reached = running.entered() - before;
        if fate != expect || reached != usize::from(expect == Status(200)) {
            wrong.push(format!("{fields:?}: {fate:?}, {reached} reached the handler, expected {expect:?}"));
        }
        if fate != Ended {
            assert_eq!(raw.ask(3, &get(3, "/")).await.status(), 200, "after {fields:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let counters = running.handle.counters();
    assert_eq!((counters.http2_floods, counters.desynchronised), (0, 0));
}

#[tokio::test]
async fn authority_and_host_must_agree() {
    check(vec![
        (with(&[]), Status(200)),
        (with(&[("host", "a")]), Status(200)),
        (with(&[("host", "A")]), Status(200)),
        (changed(":authority", "a:8080"), Status(200)),
        (changed(":authority", "[::1]:80"), Status(200)),
        (without(":authority", &[("host", "a:1")]), Status(200)),
        (with(&[("host", "b")]), Status(400)),
        (with(&[("host", "a:80")]), Status(400)),
        (with(&[("host", "")]), Status(400)),
        (with(&[("host", "a"), ("host", "a")]), Status(400)),
        (without(":authority", &[]), Status(400)),
        (without(":authority", &[("host", "")]), Status(400)),
        (without(":authority", &[("host", "u@a")]), Status(400)),
        (without(":authority", &[("host", "a,b")]), Status(400)),
        (without(":authority", &[("host", "a"), ("host", "b")]), Status(400)),
        (changed(":authority", "u@a"), Status(400)),
        (changed(":authority", "u:p@a:80"), Status(400)),
        (changed(":authority", "a:"), Status(400)),
        (changed(":authority", "a:65536"), Status(400)),
        (changed(":authority", "a:000080"), Status(400)),
        (changed(":authority", "%61"), Reset),
        (changed(":authority", ""), Reset),
        (changed(":authority", "a:b"), Status(400)),
        (changed(":authority", "a/b"), Reset),
        (changed(":authority", "a b"), Reset),
        (with(&[(":authority", "a")]), Reset),
    ])
    .await;
}

#[tokio::test]
async fn targets_and_methods_have_one_form() {
    let options = [(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")];
    let connect = (":method", "CONNECT");
    check(vec![
        (changed(":path", "/x?y=z"), Status(200)),
        (changed(":scheme", "https"), Status(200)),
        (options.to_vec(), Status(200)),
        (changed(":path", "*"), Status(400)),
        (changed(":path", "/a\\b"), Status(400)),
        (changed(":path", "?x"), Status(400)),
        (changed(":path", "http://a/"), Reset),
        (changed(":path", "x"), Reset),
        (changed(":path", ""), Reset),
        (changed(":path", "/a b"), Reset),
        (without(":path", &[]), Reset),
        (without(":method", &[]), Reset),
        (changed(":method", "G T"), Ended),
        (without(":scheme", &[]), Reset),
        (changed(":scheme", "ftp"), Status(400)),
        (changed(":scheme", "http://b/"), Reset),
        (vec![connect, AUTHORITY], Status(400)),
        (vec![connect, SCHEME, AUTHORITY, PATH], Reset),
        (vec![connect, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")], Reset),
        (with(&[(":protocol", "websocket")]), Reset),
        (with(&[(":status", "200")]), Reset),
        (with(&[("x", "y"), (":path", "/admin")]), Reset),
        (with(&[(":path", "/admin")]), Reset),
        (with(&[(":unknown", "x")]), Ended),
    ])
    .await;
}

#[tokio::test]
async fn fields_of_a_connection_have_no_place() {
    check(vec![
        (with(&[("te", "trailers")]), Status(200)),
        (with(&[("cookie", "a=b"), ("cookie", "c=d")]), Status(200)),
        (with(&[("expect", "100-continue")]), Status(200)),
        (with(&[("content-length", "0")]), Status(200)),
        (with(&[("te", "gzip")]), Reset),
        (with(&[("te", "trailers, gzip")]), Reset),
        (with(&[("connection", "close")]), Reset),
        (with(&[("keep-alive", "5")]), Reset),
        (with(&[("proxy-connection", "close")]), Reset),
        (with(&[("transfer-encoding", "chunked")]), Reset),
        (with(&[("upgrade", "websocket")]), Reset),
        (with(&[("content-length", "5")]), Reset),
        (with(&[("content-length", "-1")]), Reset),
        (with(&[("content-length", "0"), ("content-length", "5")]), Reset),
        (with(&[("content-length", "0"), ("content-length", "0")]), Status(400)),
        (with(&[("content-length", "00")]), Status(400)),
        (with(&[("content_length", "5")]), Status(400)),
        (with(&[("transfer_encoding", "chunked")]), Status(400)),
        (with(&[("Host", "a")]), Ended),
        (with(&[("x y", "z")]), Ended),
        (with(&[("", "z")]), Ended),
        (with(&[("x", "a\r\nb: c")]), Ended),
        (with(&[("x", "a\0b")]), Ended),
    ])
    .await;
}

#[tokio::test]
async fn bodies_have_the_length_they_claim() {
    let running = start(options());
    for (name, claimed, body, expect) in [
        ("exact", "5", "hello", HEADERS),
        ("longer", "5", "hello!", RST_STREAM),
        ("shorter", "5", "hell", RST_STREAM),
    ] {
        let mut raw = Raw::plain(running.address).await;
        let head = [(":method", "POST"), SCHEME, AUTHORITY, PATH, ("content-length", claimed)];
        let request =
            [frame(HEADERS, END_HEADERS, 1, &block(&head)), frame(DATA, END_STREAM, 1, body.as_bytes())]
                .concat();
        assert_eq!(raw.ask(1, &request).await.kind, expect, "{name}");
    }
    assert_eq!(running.served().iter().filter(|line| line.ends_with(" 5")).count(), 1);
    assert_eq!(running.served().len(), 1, "{:?}", running.served());
}
