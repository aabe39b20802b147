//! TLS towards clients: the certificates of the newest snapshot on every shard, and what a request says about its scheme.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tidegate_edge::Options;
use tidegate_gateway::Snapshot;
use tidegate_listener as listener;
use tidegate_proto::compiled::CertificateV1;

use crate::room::{Answer, PATIENCE, Room, Upstream, mock, proxy, snapshot};

/// A certificate for one name.
fn certificate(name: &str, dns_name: &str, stored_s: i64) -> Arc<CertificateV1> {
    let made = rcgen::generate_simple_self_signed(vec![dns_name.to_owned()]).unwrap();
    Arc::new(CertificateV1 {
        name: name.into(),
        dns_names: vec![dns_name.into()],
        chain_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
        not_after_s: i64::MAX,
        stored_s,
    })
}

fn secured(snapshot: Snapshot) -> Room {
    let tls_listener = Some(listener::Options::at(SocketAddr::from(([127, 0, 0, 1], 0))));
    Room::with(Options { shards: 2, tls_listener, ..Options::default() }, snapshot)
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A connection of a client that trusts one certificate only; the handshake comes with the first byte.
fn connect(room: &Room, trusted: &CertificateV1, dns_name: &str) -> Secured {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.chain_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(dns_name.to_owned()).unwrap();
    let stream = TcpStream::connect(room.handle.tls_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// One request on a connection of its own; `None` when there was no handshake.
fn ask(room: &Room, trusted: &CertificateV1, dns_name: &str, path: &str) -> Option<Answer> {
    let mut stream = connect(room, trusted, dns_name);
    let head = format!("GET {path} HTTP/1.1\r\nHost: api1.execute-api.local\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    Some(Answer(String::from_utf8(bytes).unwrap()))
}

/// One request on a connection that stays open; `end` is how the answer ends.
fn ask_again(stream: &mut Secured, path: &str, end: &str) -> Answer {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    while !bytes.ends_with(end.as_bytes()) {
        let count = stream.read(&mut block).unwrap();
        bytes.extend_from_slice(&block[..count]);
    }
    Answer(String::from_utf8(bytes).unwrap())
}

/// Whether every shard serves this certificate; the system spreads connections over them.
fn is_served(room: &Room, certificate: &CertificateV1, dns_name: &str) -> bool {
    let answers: Vec<bool> =
        (0..8).map(|_| ask(room, certificate, dns_name, "/dev").is_some_and(|a| a.body() == "x")).collect();
    assert!(answers.iter().all(|is| *is == answers[0]), "shards differ: {answers:?}");
    answers[0]
}

#[test]
fn the_newest_snapshot_chooses_the_certificate() {
    let (first, second) = (certificate("web", "a.test", 1), certificate("web", "a.test", 2));
    let other = certificate("default", "b.test", 1);
    let with = |revision, certificates: &[&Arc<CertificateV1>]| {
        let certificates = certificates.iter().map(|one| Arc::clone(one)).collect();
        snapshot(revision, &[("/", "GET", mock("x"))]).with_certificates(certificates, Some([7; 32]))
    };
    let room = secured(with(1, &[&first]));
    assert!(is_served(&room, &first, "a.test"), "the first snapshot counts, as after a restart");
    assert!(ask(&room, &first, "b.test", "/dev").is_none(), "nothing fits");

    room.handle.publish(Arc::new(with(2, &[&second, &other])));
    assert!(is_served(&room, &second, "a.test") && !is_served(&room, &first, "a.test"));
    assert!(is_served(&room, &other, "b.test"));

    let broken = Arc::new(CertificateV1 { key_pem: other.key_pem.clone(), ..CertificateV1::clone(&second) });
    room.handle.publish(Arc::new(with(3, &[&broken, &other])));
    assert!(is_served(&room, &second, "a.test"), "the last good version stays");

    let younger = certificate("another", "a.test", 3);
    room.handle.publish(Arc::new(with(4, &[&younger, &second])));
    assert!(is_served(&room, &younger, "a.test"), "of two for one name the one stored later");
    room.handle.publish(Arc::new(with(5, &[&second])));
    assert!(is_served(&room, &second, "a.test"));
    room.handle.publish(Arc::new(with(6, &[])));
    assert!(!is_served(&room, &second, "a.test"));
    let handshakes: u64 = room.handle.listener_counters().map(|counters| counters.tls_handshakes).sum();
    assert!(handshakes >= 40, "{handshakes} handshakes are counted");
}

#[test]
fn upstreams_and_templates_learn_that_tls_was_used() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let certificate = certificate("web", "a.test", 1);
    let first = snapshot(1, &[("/up", "GET", proxy(upstream.address, "/"))]);
    let room = secured(first.with_certificates(vec![Arc::clone(&certificate)], None));
    assert_eq!(ask(&room, &certificate, "a.test", "/dev/up").unwrap().body(), "ok");
    let seen = upstream.seen().to_lowercase();
    let port = room.handle.tls_address().unwrap().port();
    assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
    assert!(seen.contains(&format!("x-forwarded-port: {port}\r\n")), "{seen}");
    assert_eq!(room.ask("GET /dev/up", "").body(), "ok", "the plain port goes on");
    assert!(upstream.seen().to_lowercase().contains("x-forwarded-proto: http\r\n"));
}

#[test]
fn an_encrypted_connection_takes_both_lines_and_is_told_of_its_end() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let certificate = certificate("web", "a.test", 1);
    let methods = [
        ("/up", "GET", proxy(upstream.address, "/")),
        ("/fixed", "GET", mock("fixed")),
        ("/made/{id}", "GET", mock("made $input.params('id') $context.protocol")),
    ];
    let room = secured(snapshot(1, &methods).with_certificates(vec![Arc::clone(&certificate)], None));
    let mut stream = connect(&room, &certificate, "a.test");
    assert_eq!(ask_again(&mut stream, "/dev/up", "ok").status(), 200);
    assert_eq!(ask_again(&mut stream, "/dev/fixed", "fixed").status(), 200);
    assert_eq!(ask_again(&mut stream, "/dev/up", "ok").status(), 200);
    let made = ask_again(&mut stream, "/dev/made/7", "HTTP/1.1");
    assert_eq!((made.status(), made.body()), (200, "made 7 HTTP/1.1"));
    assert_eq!(ask_again(&mut stream, "/dev/up", "ok").status(), 200, "the general line goes on");
    for _ in 0..3 {
        assert!(upstream.seen().to_lowercase().contains("x-forwarded-proto: https\r\n"));
    }
    let mut idle = connect(&room, &certificate, "a.test");
    assert_eq!(ask_again(&mut idle, "/dev/fixed", "fixed").status(), 200);
    room.handle.drain();
    for stream in [&mut stream, &mut idle] {
        assert_eq!(stream.read(&mut [0]).expect("a close_notify before the end"), 0);
    }
}

#[test]
fn a_large_answer_comes_through_tls_whole() {
    const BYTES: usize = 20_000_000;
    let upstream = Upstream::scripted(|stream, _| {
        if crate::room::read_request(stream).is_some() {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
            let _ = stream.write_all(&vec![b'x'; BYTES]);
        }
    });
    let certificate = certificate("web", "a.test", 1);
    let first = snapshot(1, &[("/", "GET", proxy(upstream.address, "/"))]);
    let room = secured(first.with_certificates(vec![Arc::clone(&certificate)], None));
    assert_eq!(ask(&room, &certificate, "a.test", "/dev").unwrap().body().len(), BYTES);
}
