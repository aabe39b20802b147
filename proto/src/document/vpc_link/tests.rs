//! What tags say, and what they cannot say.

use super::*;

fn tags(pairs: &[(&str, &str)]) -> Map<String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_link_survives_its_document() {
    let text = r#"{"id":"abc123","name":"orders","targetArns":["arn:aws:elasticloadbalancing:x"],"tags":{"a":"b"},"later":1}"#;
    let link = VpcLink::decode(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(link.encode()).unwrap(), text);
}

#[test]
fn targets_by_zone() {
    let found = LinkTargets::from_tags(&tags(&[
        ("tidegate:targets", "192.0.2.9:80"),
        ("tidegate:targets:az-a", " 10.1.0.7:8080  [2001:db8::7]:8080 "),
        ("tidegate:targets:az-a:more", "Orders.internal:8080"),
        ("tidegate:targets:az-b", "srv:_http._tcp.orders.internal"),
        ("tidegate:targetsx", "not ours"),
        ("Team", "orders"),
    ]));
    let found = found.unwrap();
    let shown: Vec<String> =
        found.targets.iter().map(|target| format!("{} {:?}", target.az, target.entry)).collect();
    assert_eq!(
        shown,
        [
            " Address(192.0.2.9:80)",
            "az-a Address(10.1.0.7:8080)",
            "az-a Address([2001:db8::7]:8080)",
            "az-a Name { host: \"orders.internal\", port: 8080 }",
            "az-b Service(\"_http._tcp.orders.internal\")",
        ]
    );
    assert_eq!(found.check, LinkCheck { kind: CheckKind::Tcp, interval_s: 2, timeout_s: 1 });
    assert_eq!(found.try_timeout_ms, None);
    assert!(LinkTargets::from_tags(&Map::new()).unwrap().targets.is_empty());
}

#[test]
fn checks() {
    let check = |kind, interval_s, timeout_s| LinkCheck { kind, interval_s, timeout_s };
    for (given, expect) in [
        (&[(HEALTH_CHECK, "/up?deep=1")][..], check(CheckKind::Http("/up?deep=1".into()), 2, 1)),
        (&[(HEALTH_CHECK_PROTOCOL, "tcp")], check(CheckKind::Tcp, 2, 1)),
        (
            &[
                (HEALTH_CHECK, "/up"),
                (HEALTH_CHECK_PROTOCOL, "https"),
                (HEALTH_CHECK_INTERVAL, "300"),
                (HEALTH_CHECK_TIMEOUT, "60"),
            ],
            check(CheckKind::Https("/up".into()), 300, 60),
        ),
    ] {
        assert_eq!(LinkTargets::from_tags(&tags(given)).unwrap().check, expect, "{given:?}");
    }
    let found = LinkTargets::from_tags(&tags(&[(TRY_TIMEOUT, "250")])).unwrap();
    assert_eq!(found.try_timeout_ms, Some(250));
}

#[test]
fn wrong_values_are_named_with_their_tag_and_rule() {
    let shape = "must be ADDRESS:PORT, NAME:PORT or srv:";
    for (tag, value, part, rule) in [
        ("tidegate:targets", "10.1.0.7", "10.1.0.7", shape),
        ("tidegate:targets", "10.1.0.7:0", "10.1.0.7:0", shape),
        ("tidegate:targets", "10.1.0.7:65536", "10.1.0.7:65536", shape),
        ("tidegate:targets", "10.1.0.300:80", "10.1.0.300:80", shape),
        ("tidegate:targets", "a:80 b", "b", shape),
        ("tidegate:targets", "http://a:80", "http://a:80", shape),
        ("tidegate:targets", "a..b:80", "a..b:80", shape),
        ("tidegate:targets", "srv:orders.internal", "srv:orders.internal", shape),
        ("tidegate:targets", "srv:_http._tcp", "srv:_http._tcp", shape),
        ("tidegate:targets", "a:80 A:80", "A:80", "must be named once"),
        ("tidegate:targets:AZ", "a:80", "AZ", "the zone must be"),
        (HEALTH_CHECK, "up", "up", "must be a path"),
        (HEALTH_CHECK, "/a b", "/a b", "must be a path"),
        (HEALTH_CHECK_PROTOCOL, "grpc", "grpc", "must be http or https"),
        (HEALTH_CHECK_PROTOCOL, "http", "http", "needs the tag tidegate:health-check"),
        (HEALTH_CHECK_INTERVAL, "0", "0", "must be a whole number from 1 to 300"),
        (HEALTH_CHECK_INTERVAL, "2.5", "2.5", "must be a whole number"),
        (HEALTH_CHECK_TIMEOUT, "61", "61", "must be a whole number from 1 to 60"),
        (TRY_TIMEOUT, "49", "49", "must be a whole number from 50 to 29000"),
    ] {
        let error = LinkTargets::from_tags(&tags(&[(tag, value)])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("Invalid value '{part}' of tag {tag}: {rule}")), "{text}");
    }
    let many: Vec<String> = (1..=65).map(|port| format!("a:{port}")).collect();
    let error = LinkTargets::from_tags(&tags(&[(TARGETS, &many.join(" "))])).unwrap_err();
    assert!(error.to_string().ends_with("a link has 64 targets at most"), "{error}");
}
