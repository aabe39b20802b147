//! Look-up, sharing and the bytes on disk.

use std::sync::Arc;

use tidegate_proto::{
    compiled::{
        CertificateV1,
        links::{LinkV1, LinksV1},
    },
    document::Stage,
};

use super::Snapshot;
use crate::{
    Links, Rejection, StageTable, address,
    testing::{definition, http_proxy},
};

fn stage(api: &str, name: &str) -> Arc<StageTable> {
    let mut definition = definition(&[("/pets/{id}", "GET", Some(http_proxy("http://up/")))]);
    definition.api.id = api.into();
    definition.api.disable_execute_api_endpoint = api == "closed";
    let stage = Stage { stage_name: name.into(), deployment_id: "d1".into(), ..Stage::default() };
    Arc::new(StageTable::compile(&definition, &stage).unwrap())
}

fn snapshot() -> Snapshot {
    let names =
        [("petstore-b", "dev"), ("petstore-a", "prod"), ("petstore-a", "dev"), ("a", "x"), ("closed", "dev")];
    Snapshot::new(
        7,
        9,
        "eu-west-1",
        "000000000000",
        names.iter().map(|(api, name)| stage(api, name)).collect(),
    )
}

#[test]
fn look_up() {
    let snapshot = snapshot();
    for (api, name, found) in [
        ("petstore-a", "dev", true),
        ("petstore-a", "prod", true),
        ("petstore-b", "dev", true),
        ("petstore-b", "prod", false),
        ("a", "x", true),
        ("A", "x", false),
        ("", "", false),
        ("zzzzzzzzzzzz", "dev", false),
    ] {
        let got = snapshot.stage(api, name);
        assert_eq!(got.is_some(), found, "{api} {name}");
        if let Some((index, stage)) = got {
            assert_eq!((stage.api(), stage.name()), (api, name));
            assert!(Arc::ptr_eq(stage, &snapshot.stages()[index]));
        }
    }
    assert!(Snapshot::empty("r", "a").stage("a", "x").is_none());
}

#[test]
fn disk_round_trip() {
    let plain = snapshot();
    let certificate = |name: &str| {
        let names = vec![format!("{name}.example.com"), "*.example.com".into()];
        Arc::new(CertificateV1 { name: name.into(), dns_names: names, ..CertificateV1::default() })
    };
    let secured = snapshot().with_certificates(vec![certificate("b"), certificate("a")], Some([7; 32]));
    let link = LinkV1 { id: "abc123".into(), ..LinkV1::default() };
    let links = Links::build(Arc::new(LinksV1 { links: vec![link], uses: Vec::new() }), snapshot().stages());
    let linked = snapshot().with_links(Arc::new(links));
    for before in [plain, secured, linked] {
        round_trip(&before);
    }
    let before = snapshot().encode().unwrap();
    let after = snapshot().with_certificates(Vec::new(), None).encode().unwrap();
    assert_eq!(before, after, "without certificates the bytes are those of earlier versions");
}

fn round_trip(before: &Snapshot) {
    let bytes = before.encode().unwrap();
    let (after, _) = Snapshot::decode(&bytes).unwrap();
    assert_eq!((after.revision(), after.applied(), after.region()), (7, 9, "eu-west-1"));
    assert_eq!(after.account(), "000000000000");
    assert_eq!(after.encode().unwrap(), bytes);
    assert_eq!(after.certificates(), before.certificates());
    assert!(after.certificates().is_sorted_by_key(|certificate| &certificate.name));
    assert_eq!(after.ticket_secret(), before.ticket_secret());
    assert_eq!(after.links().compiled(), before.links().compiled());
    for cut in [0, 3, 15, 40, bytes.len() / 2, bytes.len() - 1] {
        assert!(Snapshot::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in (0..bytes.len()).step_by(7).filter(|at| !(10..12).contains(at)) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        assert!(Snapshot::decode(&damaged).is_err(), "damage at {at}");
    }
}

#[test]
fn routes_or_the_right_refusal() {
    let snapshot = snapshot();
    for (host, path, verb, expect) in [
        ("petstore-a.execute-api.x", "/dev/pets/7", "GET", Ok("/pets/{id}")),
        ("PetStore-A.execute-api.x", "/dev/pets/7", "GET", Ok("/pets/{id}")),
        ("localhost", "/_aws/execute-api/petstore-a/dev/pets/7", "GET", Ok("/pets/{id}")),
        ("petstore-a.execute-api.x", "/dev/pets/7", "POST", Err(Rejection::MissingAuthenticationToken)),
        ("petstore-a.execute-api.x", "/dev/cats", "GET", Err(Rejection::MissingAuthenticationToken)),
        ("petstore-a.execute-api.x", "/none/pets/7", "GET", Err(Rejection::Forbidden)),
        ("none.execute-api.x", "/dev/pets/7", "GET", Err(Rejection::Forbidden)),
        ("closed.execute-api.x", "/dev/pets/7", "GET", Err(Rejection::Forbidden)),
        ("localhost", "/restapis/closed/dev/_user_request_/pets/7", "GET", Ok("/pets/{id}")),
        ("localhost", "/pets/7", "GET", Err(Rejection::Forbidden)),
    ] {
        let got = snapshot.route(address(host.as_bytes(), path), verb).map(|routed| routed.resource_path());
        assert_eq!(got, expect, "{verb} {host} {path}");
    }
    let long = format!("{}.execute-api.x", "a".repeat(64));
    assert!(snapshot.route(address(long.as_bytes(), "/dev/pets/7"), "GET").is_err());
}
