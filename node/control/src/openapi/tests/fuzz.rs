//! Hostile input: it may be refused, never panic, and never take long.

use std::time::{Duration, Instant};

use super::definition::{definition, export_options, stage};
use super::random::Random;
use crate::openapi::{Format, ImportOptions, export, import};

const SEEDS: [&[u8]; 4] = [
    include_bytes!("../../../tests/openapi/petstore.yaml"),
    include_bytes!("../../../tests/openapi/orders-swagger.json"),
    include_bytes!("../../../tests/openapi/shared-oas30.yaml"),
    include_bytes!("../../../tests/openapi/orders-swagger.expected.json"),
];

fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = random.pick(&SEEDS).to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len().max(1));
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes[at..].iter_mut().take(1).for_each(|byte| *byte = random.next() as u8),
            2 => drop(bytes.drain(at..bytes.len().min(at + random.below(40)))),
            3 => {
                let token = random.pick(&[
                    "{",
                    "}",
                    "[",
                    "]",
                    ":",
                    "- ",
                    "&a ",
                    "*a",
                    "!!binary ",
                    "\"",
                    "'",
                    "\u{0}",
                    "1e999",
                    "\n",
                    "<<: ",
                ]);
                bytes.splice(at..at, token.bytes());
            }
            _ => {
                let copy: Vec<u8> = bytes[at..].iter().take(random.below(200)).copied().collect();
                let to = random.below(bytes.len().max(1));
                bytes.splice(to..to, copy);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn broken_documents_do_not_panic() {
    let mut random = Random::new(7);
    let mut read = 0;
    for _ in 0..1_500 {
        read += usize::from(import(&mutated(&mut random), &ImportOptions::default()).is_ok());
    }
    for length in 0..200 {
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        assert!(import(&bytes, &ImportOptions::default()).is_err());
    }
    assert!(read > 20, "only {read} mutations were still documents: they test too little");
}

/// Far above what any of these takes, far below what they would take without bounds.
const PATIENCE: Duration = Duration::from_secs(20);

fn quick(name: &str, document: &str) -> Result<usize, String> {
    let started = Instant::now();
    let result = import(document.as_bytes(), &ImportOptions::default());
    assert!(started.elapsed() < PATIENCE, "{name} took {:?}", started.elapsed());
    result.map(|imported| imported.resources.len()).map_err(|error| error.to_string())
}

#[test]
fn small_documents_do_not_become_large() {
    let head = "swagger: '2.0'\ninfo: {title: t}\n";
    let aliases: String =
        (1..40).map(|n| format!("x-{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","))).collect();
    let text = format!(
        "{head}x-0: &a \"{}\"\nx-1: [{}]\npaths: {{}}\n",
        "b".repeat(1_000_000),
        vec!["*a"; 2_000].join(",")
    );
    let deep = format!("{head}x-a: {}{}\npaths: {{}}\n", "[".repeat(5_000), "]".repeat(5_000));
    let deep_json = format!("{{\"swagger\":\"2.0\",\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let paths = |count: usize, item: &str| {
        (0..count).map(|n| format!("\"/p{n}\":{item}")).collect::<Vec<_>>().join(",")
    };
    let parameters = vec![r#"{"in":"query","name":"abcdefgh"}"#; 40_000].join(",");
    let shared = format!(
        r##"{{"swagger":"2.0","info":{{"title":"t"}},"paths":{{"/a":{{"get":{{"parameters":[{parameters}]}}}},{}}}}}"##,
        paths(15_000, r##"{"$ref":"#/paths/~1a"}"##)
    );
    let kinds: Vec<String> = (0..20_000).map(|n| format!("\"text/a{n}\"")).collect();
    let produces = format!(
        r##"{{"swagger":"2.0","info":{{"title":"t"}},"definitions":{{"A":{{}}}},"produces":[{}],"paths":{{{}}}}}"##,
        kinds.join(","),
        paths(15_000, r##"{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/A"}}}}}"##)
    );
    for (name, document) in [
        ("aliases of aliases", format!("{head}x-0: &a0 [x]\n{aliases}paths: {{}}\n")),
        ("aliases of text", text),
        ("deep YAML", deep),
        ("deep JSON", deep_json),
        ("references", shared),
        ("media types", produces),
        (
            "resources",
            format!(
                r#"{{"swagger":"2.0","info":{{"title":"t"}},"paths":{{{}}}}}"#,
                paths(tidegate_proto::limits::RESOURCES_PER_API_MAX + 1, "{}")
            ),
        ),
        ("size", " ".repeat(7_000_000)),
    ] {
        let refused = quick(name, &document).expect_err(name);
        assert!(refused.len() < 100_000, "{name}: {} bytes of message", refused.len());
    }
}

#[test]
fn large_documents_are_read() {
    let item = r#"{"get":{"parameters":[{"in":"query","name":"q","type":"string"}],"responses":{"200":{"description":"ok"}},"x-amazon-apigateway-integration":{"type":"http_proxy","httpMethod":"GET","uri":"http://a/b"}}}"#;
    let paths: Vec<String> = (0..12_000).map(|n| format!("\"/p{n}\":{item}")).collect();
    let document = format!(r#"{{"swagger":"2.0","info":{{"title":"t"}},"paths":{{{}}}}}"#, paths.join(","));
    assert_eq!(quick("large", &document), Ok(12_001));
    let definition = definition(import(document.as_bytes(), &ImportOptions::default()).unwrap());
    let exported = export(&definition, &stage(), &export_options(Format::Oas30, false)).unwrap();
    assert_eq!(quick("exported", &String::from_utf8(exported).unwrap()), Ok(12_001));
}
