//! Recorded routing facts, a naive reference matcher, and timings that are printed and not judged.

use std::{hint::black_box, time::Instant};

use tidegate_proto::document::Stage;

use super::{find, head, is_same, verb_index};
use crate::{
    StageTable,
    testing::{definition, http_proxy},
};

fn table(routes: &[(&str, &str)]) -> StageTable {
    let proxy = Some(http_proxy("http://up/"));
    let methods: Vec<_> = routes.iter().map(|(verb, path)| (*path, *verb, proxy.clone())).collect();
    StageTable::compile(&definition(&methods), &Stage::default()).unwrap()
}

/// `verb path [values]` of the route that is found, or nothing.
fn routed(table: &StageTable, verb: &str, path: &str) -> Option<String> {
    let (method, parameters) = find(table.stage(), path, verb_index(verb)?)?;
    let (resource, verb) = table.routes().nth(method as usize)?;
    let values: Vec<&str> = (0..parameters.len()).map(|at| parameters.value(path, at).unwrap()).collect();
    Some(format!("{verb} {resource} {values:?}"))
}

#[test]
fn selection() {
    let table = table(&[
        ("GET", "/"),
        ("GET", "/pets"),
        ("POST", "/pets"),
        ("GET", "/pets/{id}"),
        ("GET", "/pets/mine"),
        ("ANY", "/{proxy+}"),
        ("GET", "/pets/{id}/toys/{toy}"),
        ("GET", "/files/{path+}"),
        ("GET", "/only/deep/leaf"),
        ("ANY", "/any"),
        ("HEAD", "/any"),
        ("POST", "/hard"),
    ]);
    for (verb, path, expect) in [
        ("GET", "", Some("GET / []")),
        ("GET", "/", Some("GET / []")),
        ("GET", "//", Some("GET / []")),
        ("POST", "/", None),
        ("GET", "/pets", Some("GET /pets []")),
        ("GET", "/pets/", Some("GET /pets []")),
        ("GET", "//pets", Some("GET /pets []")),
        ("POST", "/pets", Some("POST /pets []")),
        ("PUT", "/pets", Some(r#"ANY /{proxy+} ["pets"]"#)),
        ("GET", "/pets/mine", Some("GET /pets/mine []")),
        ("GET", "/pets/7", Some(r#"GET /pets/{id} ["7"]"#)),
        ("GET", "/pets/%2F7", Some(r#"GET /pets/{id} ["%2F7"]"#)),
        ("DELETE", "/pets/7", Some(r#"ANY /{proxy+} ["pets/7"]"#)),
        ("GET", "/pets/mine/toys/x", Some(r#"GET /pets/{id}/toys/{toy} ["mine", "x"]"#)),
        ("GET", "/pets//toys", Some(r#"ANY /{proxy+} ["pets//toys"]"#)),
        ("GET", "/files/a//b/", Some(r#"GET /files/{path+} ["a//b"]"#)),
        ("GET", "/files", Some(r#"ANY /{proxy+} ["files"]"#)),
        ("GET", "/only/deep", Some(r#"ANY /{proxy+} ["only/deep"]"#)),
        ("GET", "/only/deep/leaf", Some("GET /only/deep/leaf []")),
        ("HEAD", "/any", Some("HEAD /any []")),
        ("OPTIONS", "/any", Some("ANY /any []")),
        ("TRACE", "/any", None),
        ("ANY", "/any", None),
        ("HEAD", "/pets", Some(r#"ANY /{proxy+} ["pets"]"#)),
        ("GET", "/hard", Some(r#"ANY /{proxy+} ["hard"]"#)),
        ("POST", "/hard", Some("POST /hard []")),
    ] {
        assert_eq!(routed(&table, verb, path).as_deref(), expect, "{verb} {path}");
    }
}

#[test]
fn very_deep_paths_end_in_a_greedy_parameter() {
    let table = table(&[("GET", "/{proxy+}"), ("GET", "/a")]);
    let path = "/a".repeat(5_000);
    assert!(routed(&table, "GET", &path).unwrap().starts_with("GET /{proxy+}"));
    assert_eq!(routed(&table, "GET", &"/a".repeat(50_000)), None);
}

#[test]
fn heads_sort_like_bytes() {
    let mut texts: Vec<&[u8]> = vec![b"", b"a", b"a\0", b"ab", b"abcdefgh", b"abcdefghi", b"b", b"\xff"];
    texts.sort_by_key(|text| (head(text, 0, text.len()), *text));
    assert!(texts.is_sorted());
    for (text, start, end) in [
        ("ab", 0, 2),
        ("xxab", 2, 4),
        ("xxabyy", 2, 4),
        ("twelve bytesab", 12, 14),
        ("twelve bytesabyy", 12, 14),
    ] {
        assert_eq!(head(text.as_bytes(), start, end), u64::from_be_bytes(*b"ab\0\0\0\0\0\0"), "{text}");
    }
    for (start, end) in [(2, 1), (1, 1), (2, 9), (9, 12)] {
        assert_eq!(head(b"x", start, end), 0);
    }
}

#[test]
fn texts_are_the_same_when_they_are() {
    let text = b"abcdefghijklmnopqrstuvwxyz";
    for length in 0..text.len() {
        assert!(is_same(&text[..length], &text.to_vec()[..length]));
        assert!(!is_same(&text[..length], &text[..=length]));
        for place in 0..length {
            let mut other = text[..length].to_vec();
            other[place] ^= 1;
            assert!(!is_same(&text[..length], &other), "{length} {place}");
        }
    }
}

/// What the router must do, written the slow way: of all routes that match, the one whose segments are most specific.
fn reference(routes: &[(&str, &str)], verb: &str, path: &str) -> Option<String> {
    let path = path.trim_matches('/');
    let parts: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    let mut best: Option<(Vec<u8>, bool, String)> = None;
    for (route_verb, route) in routes {
        if *route_verb != verb && *route_verb != "ANY" {
            continue;
        }
        let segments: Vec<&str> = route.split('/').filter(|segment| !segment.is_empty()).collect();
        let (mut ranks, mut values, mut rest, mut fits) = (Vec::new(), Vec::new(), parts.as_slice(), true);
        for segment in segments {
            let Some((first, after)) = rest.split_first() else {
                fits = false;
                break;
            };
            if segment.ends_with("+}") {
                ranks.push(2);
                values.push(rest.join("/"));
                rest = &[];
            } else if segment.starts_with('{') && !first.is_empty() {
                ranks.push(1);
                values.push((*first).to_owned());
                rest = after;
            } else if segment == *first {
                ranks.push(0);
                rest = after;
            } else {
                fits = false;
                break;
            }
        }
        let candidate = (ranks, *route_verb == "ANY", format!("{route_verb} {route} {values:?}"));
        if fits
            && rest.is_empty()
            && best.as_ref().is_none_or(|best| (&candidate.0, candidate.1) < (&best.0, best.1))
        {
            best = Some(candidate);
        }
    }
    best.map(|best| best.2)
}

/// A linear congruential generator (Knuth, MMIX): the same tables on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn agrees_with_the_reference() {
    const SEGMENTS: [&str; 9] = ["a", "ab", "abc", "users", "userdata-1", "userdata-2", "", "%20", "x"];
    const VERBS: [&str; 3] = ["GET", "POST", "ANY"];
    let mut dice = Dice(7);
    for round in 0..300 {
        let mut routes: Vec<(&str, String)> = vec![("GET", "/".into())];
        for _ in 0..dice.roll(25) {
            let mut path = String::new();
            for _ in 0..=dice.roll(4) {
                match dice.roll(8) {
                    0 => {
                        path.push_str("/{rest+}");
                        break;
                    }
                    1 | 2 => path.push_str("/{id}"),
                    _ => path = path + "/" + SEGMENTS[dice.roll(6) as usize],
                }
            }
            routes.push((VERBS[dice.roll(3) as usize], path));
        }
        let routes: Vec<(&str, &str)> = routes.iter().map(|(verb, path)| (*verb, path.as_str())).collect();
        let table = table(&routes);
        for _ in 0..60 {
            let path: String =
                (0..dice.roll(6)).map(|_| format!("/{}", SEGMENTS[dice.roll(9) as usize])).collect();
            for verb in ["GET", "POST", "DELETE"] {
                assert_eq!(
                    routed(&table, verb, &path),
                    reference(&routes, verb, &path),
                    "{round} {verb} {path} {routes:?}"
                );
            }
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a timing is the output, and nothing depends on it")]
fn timing_is_printed() {
    for (shape, routes) in [("flat", 10_000), ("nested", 10_000), ("flat", 20_000), ("nested", 20_000)] {
        let paths: Vec<String> = (0..routes)
            .map(|at| match shape {
                "flat" => format!("/service-{at:05}/{{id}}"),
                _ => format!("/team-{:02}/service-{:03}/{{id}}/part-{}", at % 50, at / 50 % 100, at / 5_000),
            })
            .collect();
        let proxy = Some(http_proxy("http://upstream.internal:8080/v1/{id}"));
        let methods: Vec<_> = paths.iter().map(|path| (path.as_str(), "GET", proxy.clone())).collect();
        let definition = definition_fast(&methods);
        let started = Instant::now();
        let compiled = crate::compile(&definition, &Stage::default()).unwrap();
        let compiled_in = started.elapsed();
        let table = StageTable::from_compiled(&compiled).unwrap();
        let loaded_in = started.elapsed() - compiled_in;
        let targets: Vec<String> =
            (0..1_024).map(|at| paths[at * 7 % paths.len()].replace("{id}", "4711")).collect();
        let rounds = if cfg!(debug_assertions) { 4 } else { 2_000 };
        let started = Instant::now();
        for _ in 0..rounds {
            for target in &targets {
                assert!(find(black_box(table.stage()), black_box(target), 0).is_some());
            }
        }
        let each = started.elapsed().as_nanos() as f64 / (rounds * targets.len()) as f64;
        eprintln!(
            "{routes} {shape} routes: compile {compiled_in:?}, archive and load {loaded_in:?}, find {each:.1} ns"
        );
    }
}

/// As [`definition`], without its search for known paths.
fn definition_fast(
    methods: &[(&str, &str, Option<tidegate_proto::document::Integration>)],
) -> tidegate_proto::document::ApiDefinition {
    let mut whole = definition(&[]);
    for method in methods {
        whole.resources.append(&mut definition(std::slice::from_ref(method)).resources);
    }
    whole
}
