//! TLS with a real client: which certificate, which protocol, which keys; reload, resumption, and peers that stall.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
use rustls::{AlertDescription, Error, NamedGroup, ProtocolVersion, version};
use tidegate_listener::tls::{Settings, Tickets};
use tidegate_listener::{Options, TlsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{options, until, within};
use crate::tls_client::{Client, SECRET, identity, settings, start_tls, table};

fn impatient(handshake_timeout_ms: u64, handshakes_max: usize) -> Options {
    Options { tls: TlsOptions { handshake_timeout_ms, handshakes_max }, ..options() }
}

#[tokio::test]
async fn the_name_chooses_the_certificate() {
    let (exact, wide, default) = (identity(&["a.test"]), identity(&["*.b.test"]), identity(&["default"]));
    let strict = start_tls(options(), &settings(&[("a.test", &exact), ("*.b.test", &wide)]));
    let lenient = start_tls(options(), &settings(&[("a.test", &exact), ("default", &default)]));
    let unrecognized = Error::AlertReceived(AlertDescription::UnrecognisedName);
    for (running, name, expect) in [
        (&strict, "a.test", Ok(&exact)),
        (&strict, "A.Test", Ok(&exact)),
        (&strict, "x.b.test", Ok(&wide)),
        (&strict, "b.test", Err(&unrecognized)),
        (&strict, "y.x.b.test", Err(&unrecognized)),
        (&strict, "127.0.0.1", Err(&unrecognized)),
        (&lenient, "a.test", Ok(&exact)),
        (&lenient, "c.test", Ok(&default)),
        (&lenient, "127.0.0.1", Ok(&default)),
    ] {
        match (Client::new().connect(running.address, name).await, expect) {
            (Ok(mut secured), Ok(identity)) => {
                assert!(secured.is_served(identity), "{name}");
                assert_eq!(secured.get("/x").await.body, "GET /x 0", "{name}");
            }
            (Err(found), Err(expect)) => assert_eq!(&found, expect, "{name}"),
            (found, _) => panic!("{name}: {:?}", found.map(|_| "served")),
        }
    }
    let counters = strict.handle.counters();
    assert_eq!((counters.tls_handshakes, counters.tls_unrecognized_names, counters.tls_failures), (3, 3, 0));
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let own = identity(&["a.test"]);
    let running = start_tls(options(), &settings(&[("a.test", &own)]));
    let http1_only = {
        let mut options = options();
        options.http2.enabled = false;
        start_tls(options, &settings(&[("a.test", &own)]))
    };
    let connect = async |running: &crate::harness::Running, offered: &[&[u8]]| {
        let client = Client::with(&[&version::TLS13], offered, |_| ());
        client.connect(running.address, "a.test").await
    };
    for (running, offered, agreed) in [
        (&running, vec![b"http/1.1".as_slice()], Some(b"http/1.1".as_slice())),
        (&running, vec![b"spdy/3", b"http/1.1"], Some(b"http/1.1")),
        (&running, vec![], None),
        (&http1_only, vec![b"h2", b"http/1.1"], Some(b"http/1.1")),
    ] {
        let mut secured = connect(running, &offered).await.unwrap();
        assert_eq!(secured.protocol(), agreed, "{offered:?}");
        assert_eq!(secured.get("/connection").await.body, "Http1 https");
    }
    let secured = connect(&running, &[b"http/1.1", b"h2"]).await.unwrap();
    assert_eq!(secured.protocol(), Some(b"h2".as_slice()), "the server's preference counts");
    let io = TokioIo::new(secured.0);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for (path, expect) in [("/connection", "Http2 https"), ("/x", "GET /x 0")] {
        let request = Request::get(format!("https://a.test{path}")).body(Full::<Bytes>::default()).unwrap();
        let answer = within(sender.send_request(request)).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expect);
    }
    let refused = connect(&running, &[b"spdy/3"]).await.err();
    assert_eq!(refused, Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}

#[tokio::test]
async fn versions_and_groups() {
    let own = identity(&["a.test"]);
    let running = start_tls(options(), &settings(&[("a.test", &own)]));
    for (versions, groups, version, group) in [
        (
            vec![&version::TLS13],
            vec![X25519MLKEM768, X25519],
            ProtocolVersion::TLSv1_3,
            NamedGroup::X25519MLKEM768,
        ),
        // A share that is there already is taken: no further round trip for the sake of the hybrid group.
        (
            vec![&version::TLS13],
            vec![SECP256R1, X25519MLKEM768],
            ProtocolVersion::TLSv1_3,
            NamedGroup::secp256r1,
        ),
        (vec![&version::TLS13], vec![X25519], ProtocolVersion::TLSv1_3, NamedGroup::X25519),
        (vec![&version::TLS12], vec![X25519MLKEM768, X25519], ProtocolVersion::TLSv1_2, NamedGroup::X25519),
        (vec![&version::TLS12], vec![SECP256R1], ProtocolVersion::TLSv1_2, NamedGroup::secp256r1),
        (
            vec![&version::TLS13, &version::TLS12],
            vec![X25519MLKEM768],
            ProtocolVersion::TLSv1_3,
            NamedGroup::X25519MLKEM768,
        ),
    ] {
        let client = Client::with(&versions, &[b"http/1.1"], |provider| provider.kx_groups = groups.clone());
        let mut secured = client.connect(running.address, "a.test").await.unwrap();
        assert_eq!((secured.version(), secured.group()), (version, group), "{groups:?}");
        assert_eq!(secured.get("/x").await.status, 200);
    }
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let (old, new) = (identity(&["a.test"]), identity(&["a.test"]));
    let settings = settings(&[("a.test", &old)]);
    let running = start_tls(options(), &settings);
    let mut first = Client::new().connect(running.address, "a.test").await.unwrap();
    assert!(first.is_served(&old));
    assert_eq!(first.get("/before").await.status, 200);
    settings.certificates.replace(table(&[("a.test", &new)]));
    assert_eq!(first.get("/after").await.status, 200, "an open connection goes on");
    let second = Client::new().connect(running.address, "a.test").await.unwrap();
    assert!(second.is_served(&new));
    settings.certificates.replace(table(&[]));
    assert_eq!(first.get("/still").await.status, 200);
    assert!(Client::new().connect(running.address, "a.test").await.is_err());
}

#[tokio::test]
async fn sessions_resume_at_any_listener_of_the_region() {
    let own = identity(&["a.test", "b.test"]);
    let served = [("a.test", &own), ("b.test", &own)];
    let node = |secret: &[u8; 32], region: &str| {
        let settings = Settings { tickets: Tickets::new(secret, region), ..settings(&served) };
        start_tls(options(), &settings)
    };
    let (one, two) = (node(&SECRET, "eu-west-1"), node(&SECRET, "eu-west-1"));
    let (far, foreign) = (node(&SECRET, "eu-west-2"), node(&[8; 32], "eu-west-1"));
    for version in [&version::TLS13, &version::TLS12] {
        let client = Client::with(&[version], &[b"http/1.1"], |_| ());
        for (case, running, name, resumed) in [
            ("a first visit", &one, "a.test", false),
            ("the same node", &one, "a.test", true),
            ("another node of the region", &two, "a.test", true),
            ("and back", &one, "a.test", true),
            ("another name", &one, "b.test", false),
            ("another region", &far, "a.test", false),
            ("what that region issued", &one, "a.test", false),
            ("another cluster", &foreign, "a.test", false),
        ] {
            let mut secured = client.connect(running.address, name).await.unwrap();
            assert_eq!(secured.is_resumed(), resumed, "{case}, {version:?}");
            assert_eq!(secured.get("/x").await.status, 200, "{case}");
        }
    }
    let counters = one.handle.counters();
    assert_eq!((counters.tls_handshakes, counters.tls_resumed), (10, 4));
    assert_eq!(two.handle.counters().tls_resumed, 2);
    assert_eq!(far.handle.counters().tls_resumed + foreign.handle.counters().tls_resumed, 0);
}

#[tokio::test]
async fn peers_that_stall_or_speak_nonsense_are_closed() {
    let running = start_tls(impatient(100, 16), &settings(&[("a.test", &identity(&["a.test"]))]));
    let hello_begins = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    for sent in [b"".as_slice(), &hello_begins] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        within(stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"", "closed without a word");
    }
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
    assert_eq!(rest.first(), Some(&21), "an alert, nothing in the clear");
    drop(TcpStream::connect(running.address).await.unwrap());
    until("all are gone", || running.handle.connections() == 0).await;
    let counters = running.handle.counters();
    assert_eq!((counters.tls_timeouts, counters.tls_failures, counters.tls_handshakes), (2, 1, 0));
    assert_eq!(counters.requests, 0);
}

#[tokio::test]
async fn handshakes_under_way_are_bounded_and_the_next_waits() {
    let running = start_tls(impatient(10_000, 1), &settings(&[("a.test", &identity(&["a.test"]))]));
    let idle = TcpStream::connect(running.address).await.unwrap();
    until("the idle one is inside", || running.handle.connections() == 1).await;
    let address = running.address;
    let second = tokio::spawn(async move { Client::new().connect(address, "a.test").await.map(|_| ()) });
    until("the second one waits", || running.handle.connections() == 2).await;
    assert_eq!(running.handle.counters().tls_handshakes, 0);
    drop(idle);
    assert_eq!(within(second).await.unwrap(), Ok(()));
    until("it is counted", || running.handle.counters().tls_handshakes == 1).await;
}

#[tokio::test]
async fn draining_ends_idle_encrypted_connections_and_finishes_requests() {
    let mut running = start_tls(options(), &settings(&[("a.test", &identity(&["a.test"]))]));
    let mut idle = Client::new().connect(running.address, "a.test").await.unwrap();
    assert_eq!(idle.get("/x").await.status, 200);
    let mut busy = Client::new().connect(running.address, "a.test").await.unwrap();
    let busy = tokio::spawn(async move { busy.get("/slow").await.body });
    until("the slow request is inside", || running.entered() == 2).await;
    running.begin_stop();
    let mut rest = Vec::new();
    within(idle.0.read_to_end(&mut rest)).await.expect("closed with a close_notify");
    running.record.gate.add_permits(1);
    assert_eq!(within(busy).await.unwrap(), "GET /slow 0");
    running.stopped().await;
}

#[tokio::test]
async fn large_answers_arrive_whole_and_a_peer_that_does_not_read_is_ended() {
    let settings = settings(&[("a.test", &identity(&["a.test"]))]);
    let running = start_tls(Options { write_stall_timeout_ms: 200, ..options() }, &settings);
    let mut reader = Client::new().connect(running.address, "a.test").await.unwrap();
    reader.0.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within(reader.0.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.len() > 32 * 1024 * 1024 && answer.ends_with(b"xxxx"));
    let mut idler = Client::new().connect(running.address, "a.test").await.unwrap();
    idler.0.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    idler.0.flush().await.unwrap();
    until("the idler is ended", || running.handle.connections() == 0).await;
    assert_eq!(running.handle.counters().write_stalls, 1);
}
