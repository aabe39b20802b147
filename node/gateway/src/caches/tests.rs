//! Keys and rules as requests meet them.

use std::sync::Arc;

use http::HeaderMap;
use tidegate_proto::compiled::caches::{CacheModeV1, KeyParameterV1, MethodCacheV1, StageCacheV1};

use super::*;

fn stage(epoch: u64) -> StageCacheV1 {
    StageCacheV1 { api: "a1".into(), stage: "dev".into(), epoch, ..StageCacheV1::default() }
}

fn rule(own: &StageCacheV1, deployment: &str, method: &MethodCacheV1) -> Rule {
    Rule::build(own, method, &key::scope(own, deployment))
}

fn key(rule: &Rule, target: &str, headers: &[(&'static str, &str)]) -> Vec<u8> {
    let (rest, query) = target.split_once('?').map_or((target, None), |(rest, query)| (rest, Some(query)));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let mut out = Vec::new();
    assert!(rule.write_key(KeyParts { rest, query }, &map, &mut out));
    out
}

#[test]
fn what_makes_another_answer_makes_another_key() {
    let parameters = vec![KeyParameterV1::Query("q".into()), KeyParameterV1::Header("x-lang".into())];
    let method = |mode, verb: &str, namespace: &str| MethodCacheV1 {
        mode,
        verb: verb.into(),
        namespace: namespace.into(),
        parameters: parameters.clone(),
        ..MethodCacheV1::default()
    };
    let aws = method(CacheModeV1::Aws, "GET", "n");
    let mut keys = Vec::new();
    for (own, deployment, method) in [
        (stage(0), "d1", aws.clone()),
        (stage(1), "d1", aws.clone()),
        (stage(0), "d2", aws.clone()),
        (StageCacheV1 { stage: "de".into(), ..stage(0) }, "vd1", aws.clone()),
        (StageCacheV1 { api: "a1d".into(), stage: "ev".into(), ..stage(0) }, "d1", aws.clone()),
        (stage(0), "d1", method(CacheModeV1::Aws, "POST", "n")),
        (stage(0), "d1", method(CacheModeV1::Aws, "GET", "nG")),
        (stage(0), "d1", method(CacheModeV1::Http, "GET", "n")),
    ] {
        let rule = rule(&own, deployment, &method);
        for target in ["/p", "/p/", "/P", "/%70", "/p?q=1", "/p?q=2", "/p?q=1&q=2", "/p?q=12", "/p?q=%31"] {
            for headers in [&[][..], &[("x-lang", "1")], &[("x-lang", "1"), ("x-lang", "2")]] {
                if rule.is_http() && !headers.is_empty() {
                    continue;
                }
                keys.push((
                    format!("{own:?} {deployment} {method:?} {target} {headers:?}"),
                    key(&rule, target, headers),
                ));
            }
        }
    }
    for (at, (what, one)) in keys.iter().enumerate() {
        for (other, two) in keys.iter().skip(at + 1) {
            assert_ne!(one, two, "{what}\n{other}");
        }
    }
}

#[test]
fn what_is_not_in_the_key_is_not_looked_at() {
    let method = MethodCacheV1 {
        verb: "GET".into(),
        parameters: vec![KeyParameterV1::Query("a b".into()), KeyParameterV1::Header("x-lang".into())],
        ..MethodCacheV1::default()
    };
    let rule = rule(&stage(0), "d", &method);
    let first = key(&rule, "/p?a+b=1", &[("x-lang", "de")]);
    for (target, headers) in [
        ("/p?a%20b=1&z=2", &[("x-lang", "de"), ("accept", "text/plain")][..]),
        ("/p?z&a+b=1", &[("x-lang", "de"), ("x-forwarded-host", "evil")]),
    ] {
        assert_eq!(first, key(&rule, target, headers), "{target}");
    }
}

#[test]
fn fields_and_maps_make_the_same_key() {
    use tidegate_proto::field::Field;
    let method = MethodCacheV1 {
        verb: "GET".into(),
        parameters: vec![KeyParameterV1::Header("x-lang".into())],
        ..MethodCacheV1::default()
    };
    let rule = rule(&stage(0), "d", &method);
    let fields = [Field::new(b"X-Lang", b"de"), Field::new(b"Accept", b"*/*"), Field::new(b"x-lang", b"en")];
    let mut out = Vec::new();
    assert!(rule.write_key(KeyParts { rest: "/p", query: None }, &fields[..], &mut out));
    assert_eq!(out, key(&rule, "/p", &[("x-lang", "de"), ("x-lang", "en")]));
    let long = "/".repeat(tidegate_proto::limits::CACHE_KEY_BYTES_MAX);
    assert!(!rule.write_key(KeyParts { rest: &long, query: None }, &fields[..], &mut Vec::new()));
}

#[test]
fn which_verbs_are_answered() {
    for (mode, verb, expect) in [
        (CacheModeV1::Aws, "GET", &["GET"][..]),
        (CacheModeV1::Aws, "ANY", &["GET"]),
        (CacheModeV1::Aws, "POST", &["POST"]),
        (CacheModeV1::Http, "GET", &["GET", "HEAD"]),
        (CacheModeV1::Http, "ANY", &["GET", "HEAD"]),
    ] {
        let rule =
            rule(&stage(0), "d", &MethodCacheV1 { mode, verb: verb.into(), ..MethodCacheV1::default() });
        let all = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
        let answered: Vec<_> = all.into_iter().filter(|verb| rule.answers(verb)).collect();
        assert_eq!(answered, expect, "{mode:?} {verb}");
    }
}

#[test]
fn callers_with_credentials_have_answers_of_their_own() {
    let keyed = |name: &str| MethodCacheV1 {
        verb: "GET".into(),
        parameters: vec![KeyParameterV1::Header(name.into())],
        ..MethodCacheV1::default()
    };
    for (key, headers, expect) in [
        ("x", &[][..], Asked::Stored),
        ("x", &[("authorization", "a")], Asked::Own),
        ("x", &[("cookie", "a")], Asked::Own),
        ("cookie", &[("cookie", "a")], Asked::Stored),
        ("authorization", &[("authorization", "a")], Asked::Stored),
        ("authorization", &[("authorization", "a"), ("cookie", "b")], Asked::Own),
        ("x", &[("cache-control", "max-age=0")], Asked::Refresh),
        ("x", &[("cache-control", "no-cache, Max-Age=0")], Asked::Refresh),
        ("x", &[("cache-control", "no-cache")], Asked::Stored),
        ("x", &[("authorization", "a"), ("cache-control", "max-age=0")], Asked::Refresh),
    ] {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| _ = map.append(*name, value.parse().unwrap()));
        assert_eq!(rule(&stage(0), "d", &keyed(key)).asked(&map), expect, "{key} {headers:?}");
    }
}

#[test]
fn a_key_names_its_stage_and_what_is_no_key_names_none() {
    let own = StageCacheV1 { api: "a1".into(), stage: "dev".into(), ..StageCacheV1::default() };
    let method = MethodCacheV1 { verb: "GET".into(), ..MethodCacheV1::default() };
    let whole = key(&rule(&own, "d1", &method), "/p", &[]);
    assert_eq!(key::named(&whole), Some(("a1", "dev")));
    for length in 0..13 {
        assert_eq!(key::named(&whole[..length]), None, "{length}");
    }
    assert_eq!(key::named(&[255; 64]), None);
    assert_eq!(key::named(b"\x01\0\0\0\xff\x01\0\0\0d"), None);
}

#[test]
fn nothing_is_built_of_nothing() {
    let caches = Caches::build(Arc::default(), &[]);
    assert!(caches.is_empty() && caches.rule(0, 0).is_none() && caches.stage(0).is_none());
}
