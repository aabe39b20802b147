//! Certificates of the data plane: what is taken, what is refused and why, and that no private key ever comes back.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tidegate_proto::{
    document::{Certificate, TicketSecret},
    key,
    limits::{CERTIFICATE_CHAIN_BYTES_MAX, CERTIFICATE_KEY_BYTES_MAX, CERTIFICATES_MAX},
    transaction::{PutV1, TransactionV1},
};

use super::rig::{NOW_S, Rig};
use crate::{Store, StoreError};

const ALL: &str = "/_tidegate/certificates";

fn at(name: &str) -> String {
    format!("{ALL}/{name}")
}

fn body(chain: &str, key: &str) -> Value {
    json!({ "chain_pem": chain, "key_pem": key })
}

/// A self-signed certificate for these names, with a change to what is usual; chain and key.
fn made(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2023, 1, 1);
    params.not_after = date_time_ymd(2024, 1, 1);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_certificate_is_stored_shown_replaced_and_deleted() {
    let rig = Rig::new();
    assert_eq!(rig.expect(200, "GET", ALL, json!(null)), json!({ "certificates": [] }));
    let (chain, key) = made(&["b.example.com", "*.Example.com"], |_| ());
    let shown = json!({
        "name": "web-1", "dns_names": ["*.example.com", "b.example.com"], "not_before": 1_672_531_200,
        "not_after": 1_704_067_200, "stored": NOW_S,
    });
    assert_eq!(rig.expect(200, "PUT", &at("web-1"), body(&chain, &key)), shown);
    assert_eq!(rig.expect(200, "GET", ALL, json!(null)), json!({ "certificates": [shown] }));
    let one = rig.expect(200, "GET", &at("web-1"), json!(null));
    assert_eq!(one["chain_pem"], json!(chain));
    assert!(!one.to_string().contains("PRIVATE"), "{one}");
    let secret = || rig.store.view().read::<TicketSecret>(key::TICKET_SECRET).unwrap().unwrap();
    let first_secret = secret();
    assert!(first_secret.document.secret().is_some_and(|secret| secret != [0; 32]));

    let (chain, key) = made(&["c.example.com"], |_| ());
    rig.expect(200, "PUT", &at("web-1"), body(&chain, &key));
    let stored = rig.store.view().read::<Certificate>(&key::certificate("web-1")).unwrap().unwrap().document;
    assert_eq!((stored.dns_names, stored.key_pem), (vec!["c.example.com".to_owned()], key));
    assert_eq!(secret(), first_secret, "open sessions outlive a rotation");

    assert_eq!(rig.expect(204, "DELETE", &at("web-1"), json!(null)), json!(null));
    for verb in ["DELETE", "GET"] {
        let answer = rig.expect(404, verb, &at("web-1"), json!(null));
        assert_eq!(answer["detail"], "There is no certificate 'web-1'");
    }
}

/// Requires that each request is refused with a text that begins so, and that none left a trace.
fn all_refused(cases: &[(&str, Value, &str)]) {
    let rig = Rig::new();
    for (name, body, expect) in cases {
        let (status, answer) = rig.call("PUT", &at(name), body.clone());
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && detail.starts_with(expect), "{status} {answer}, expected {expect}");
    }
    assert_eq!(rig.store.view().prefix(key::CERTIFICATE_PREFIX).count(), 0);
}

#[test]
fn a_request_of_the_wrong_shape_is_refused() {
    let (chain, key) = made(&["a.test"], |_| ());
    let (other, _) = made(&["b.test"], |params| params.distinguished_name.push(DnType::CommonName, "other"));
    let padded = |text: &str, bytes: usize| format!("{text}{}", " ".repeat(bytes + 1 - text.len()));
    let (long_chain, long_key) =
        (padded(&chain, CERTIFICATE_CHAIN_BYTES_MAX), padded(&key, CERTIFICATE_KEY_BYTES_MAX));
    all_refused(&[
        ("a", body(&long_chain, &key), "Invalid chain_pem: it has 32769 bytes, at most 32768"),
        ("a", body(&chain, &long_key), "Invalid key_pem: it has 16385 bytes, at most 16384"),
        ("a", body("", &key), "Invalid chain_pem: the chain holds no certificate"),
        ("a", body(&chain, "none"), "Invalid key_pem: no unencrypted PRIVATE KEY"),
        (
            "a",
            body(&format!("{chain}{key}"), &key),
            "Invalid chain_pem: the chain must hold certificates only",
        ),
        (
            "a",
            body(&other, &key),
            "Invalid key_pem: the private key does not belong to the first certificate",
        ),
        (
            "a",
            body(&format!("{chain}{other}"), &key),
            "Invalid chain_pem: certificate 2 must be the issuer of",
        ),
        ("A", body(&chain, &key), "Invalid certificate name 'A': must be 1 to 64 of a-z"),
        (".a", body(&chain, &key), "Invalid certificate name '.a'"),
        (&"a".repeat(65), body(&chain, &key), "Invalid certificate name 'aaa"),
        ("a", json!({ "chain_pem": chain, "key_pem": key, "more": 1 }), "This field is not supported"),
        (
            "a",
            json!({ "chain_pem": chain }),
            "1 validation error detected: Value null at 'putCertificateInput.key_pem'",
        ),
    ]);
}

#[test]
fn a_certificate_that_clients_would_refuse_is_refused() {
    let names: Vec<String> = (0..251).map(|at| format!("{at}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let refused = |made: (String, String), rule: &str| {
        all_refused(&[("a", body(&made.0, &made.1), &format!("Invalid chain_pem: {rule}"))]);
    };
    let until = |params: &mut CertificateParams| params.not_after = date_time_ymd(2023, 11, 14);
    refused(made(&["a.test"], until), "the certificate has expired on 2023-11-14T00:00:00Z");
    let from = |params: &mut CertificateParams| params.not_before = date_time_ymd(2023, 11, 15);
    refused(made(&["a.test"], from), "the certificate is not valid before 2023-11-15T00:00:00Z");
    let common =
        |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "old.test");
    let nameless =
        "the leaf's subject alternative name holds no DNS name; clients ignore its common name 'old.test'";
    refused(made(&[], common), nameless);
    refused(made(&["192.0.2.1"], |_| ()), "the leaf's subject alternative name holds no DNS name");
    refused(made(&["a*.test"], |_| ()), "its DNS name 'a*.test' is neither a host name nor");
    refused(made(&names, |_| ()), "it has 251 DNS names, at most 250");
}

#[test]
fn a_chain_goes_from_the_leaf_to_its_issuers() {
    let rig = Rig::new();
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let leaf =
        CertificateParams::new(vec!["leaf.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap().pem();
    let key = key.serialize_pem();
    rig.expect(200, "PUT", &at("right"), body(&format!("{leaf}{authority}"), &key));
    rig.expect(400, "PUT", &at("wrong"), body(&format!("{authority}{leaf}"), &key));
}

#[test]
fn a_cluster_holds_so_many_and_replaces_at_the_limit() {
    let rig = Rig::new();
    let (chain, key) = made(&["a.test"], |_| ());
    rig.expect(200, "PUT", &at("a"), body(&chain, &key));
    let put = |at: usize| PutV1 { key: key::certificate(&format!("more-{at}")), bytes: b"{}".to_vec() };
    let more = TransactionV1 { puts: (1..CERTIFICATES_MAX).map(put).collect(), ..TransactionV1::default() };
    rig.store.state.lock().unwrap().apply(more);
    rig.expect(200, "PUT", &at("a"), body(&chain, &key));
    let answer = rig.expect(429, "PUT", &at("b"), body(&chain, &key));
    assert_eq!(answer["detail"], "The cluster has 1000 certificates, which is the most it takes");
}

#[test]
fn a_checkpoint_brings_certificates_that_can_be_served() {
    let rig = Rig::new();
    let (chain, key) = made(&["a.test"], |_| ());
    rig.expect(200, "PUT", &at("a"), body(&chain, &key));
    let saved = rig.signed("GET", "/_tidegate/cluster/checkpoint", Vec::new()).body().to_vec();
    let other = Rig::new();
    let (later, later_key) = made(&["b.test"], |_| ());
    other.expect(200, "PUT", &at("later"), body(&later, &later_key));
    let secret = other.store.view().get(key::TICKET_SECRET).cloned();
    assert_eq!(other.signed("PUT", "/_tidegate/cluster/checkpoint", saved).status(), 200);
    let names = other.expect(200, "GET", ALL, json!(null))["certificates"][0]["name"].clone();
    assert_eq!(names, "a");
    other.expect(404, "GET", &at("later"), json!(null));
    assert_eq!(
        other.store.view().get(key::TICKET_SECRET).cloned(),
        secret,
        "the secret is the cluster's own"
    );

    let mut image = rig.store.view();
    let mut document = image.read::<Certificate>(&key::certificate("a")).unwrap().unwrap().document;
    document.key_pem = later_key;
    let mut damage = TransactionV1::default();
    damage.put(key::certificate("a"), &document);
    image.apply(damage);
    let refused = rig.signed("PUT", "/_tidegate/cluster/checkpoint", image.encode().unwrap());
    let text = String::from_utf8(refused.body().to_vec()).unwrap();
    assert_eq!(refused.status(), 400);
    assert!(text.contains("Certificate a: Invalid key_pem: the private key does not belong"), "{text}");
}

#[test]
fn without_quorum_certificates_are_read_and_not_written() {
    let rig = Rig::new();
    let (chain, key) = made(&["a.test"], |_| ());
    rig.expect(200, "PUT", &at("a"), body(&chain, &key));
    *rig.store.barrier_fault.lock().unwrap() = Some(StoreError::NoQuorum);
    let listed = rig.signed("GET", ALL, Vec::new());
    assert_eq!(
        (listed.status().as_u16(), &listed.headers()["x-tidegate-stale"]),
        (200, &"true".parse().unwrap())
    );
    rig.expect(503, "PUT", &at("a"), body(&chain, &key));
    rig.expect(503, "DELETE", &at("a"), json!(null));
}
