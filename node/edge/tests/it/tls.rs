//! Upstreams behind TLS.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::room::{Room, Upstream, integration};

#[test]
fn an_unknown_authority_is_refused_unless_the_method_says_otherwise() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let upstream = Upstream::scripted(move |stream, seen| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r\n") {
            if !stream.read(&mut byte).is_ok_and(|count| count == 1) {
                return;
            }
            text.push(byte[0]);
        }
        let _ = seen.send(String::from_utf8_lossy(&text).into_owned());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    });
    let uri = format!("https://localhost:{}/x", upstream.address.port());
    let mut open = integration("HTTP_PROXY", &uri);
    open.tls_config = Some(tidegate_proto::document::TlsConfig { insecure_skip_verification: true });
    let room = Room::serve(&[("/strict", "GET", integration("HTTP_PROXY", &uri)), ("/open", "GET", open)]);
    let strict = room.ask("GET /dev/strict", "");
    assert_eq!(
        (strict.status(), strict.body()),
        (504, r#"{"message":"Network error communicating with endpoint"}"#)
    );
    let open = room.ask("GET /dev/open", "");
    assert_eq!((open.status(), open.body()), (200, "secret"));
    assert!(upstream.seen().starts_with("GET /x HTTP/1.1\r\n"));
}
