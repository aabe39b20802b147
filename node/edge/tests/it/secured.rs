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

/// One request by a client that trusts one certificate only; `None` when there was no handshake.
fn ask(room: &Room, trusted: &CertificateV1, dns_name: &str, path: &str) -> Option<Answer> {
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
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
    let head = format!("GET {path} HTTP/1.1\r\nHost: api1.execute-api.local\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    Some(Answer(String::from_utf8(bytes).unwrap()))
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
    let seen = upstream.seen();
    let port = room.handle.tls_address().unwrap().port();
    assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
    assert!(seen.contains(&format!("x-forwarded-port: {port}\r\n")), "{seen}");
    assert_eq!(room.ask("GET /dev/up", "").body(), "ok", "the plain port goes on");
    assert!(upstream.seen().contains("x-forwarded-proto: http\r\n"));
}
