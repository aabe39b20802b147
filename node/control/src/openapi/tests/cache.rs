//! By which rules answers are cached, and what tells them apart.

use serde_json::Value;
use tidegate_proto::document::CacheMode::{self, Aws, Off, Rfc9111};

use super::definition::{assert_round_trip, definition, export_options, stage};
use crate::openapi::{ExportOptions, Extensions, Format, ImportOptions, export, import};

/// A document with two operations: its first lines and those of the first one.
fn document(top: &str, operation: &str) -> String {
    let get = |name: &str, more: &str| {
        format!(
            "  /{name}:\n    get:\n{more}      parameters:\n        - {{name: q, in: query, type: string}}\n      responses: {{}}\n"
        )
    };
    let (one, two) = (get("one", operation), get("two", ""));
    format!("swagger: '2.0'\n{top}info: {{title: t, version: '1'}}\npaths:\n{one}{two}")
}

fn keys(parameters: &str) -> String {
    format!(
        "      x-amazon-apigateway-integration:\n        type: mock\n        requestParameters: {{integration.request.header.h: method.request.querystring.q}}\n        cacheKeyParameters: [{parameters}]\n"
    )
}

#[test]
fn operations_say_by_which_rules_they_are_cached() {
    let top = |mode: &str| format!("x-tidegate-cache: {mode}\n");
    let own = |mode: &str| format!("      x-tidegate-cache: {mode}\n");
    let none = String::new();
    let cases: [(String, String, [Option<CacheMode>; 2]); 6] = [
        (none.clone(), none.clone(), [None, None]),
        (none.clone(), own("rfc9111"), [Some(Rfc9111), None]),
        (none.clone(), own("off"), [Some(Off), None]),
        (top("aws"), none, [Some(Aws), Some(Aws)]),
        (top("rfc9111"), own("'off'"), [Some(Off), Some(Rfc9111)]),
        (top("off"), own("aws"), [Some(Aws), Some(Off)]),
    ];
    for (top, own, expect) in cases {
        let text = document(&top, &own);
        let imported = import(text.as_bytes(), &ImportOptions::default())
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let wanted = definition(imported);
        let mode = |path: &str| {
            let found = wanted.resources.iter().find(|resource| resource.path == path);
            found.unwrap().resource_methods["GET"].tidegate_cache
        };
        assert_eq!([mode("/one"), mode("/two")], expect, "{text}");
        assert_round_trip(&wanted, &text);
    }
}

#[test]
fn only_a_whole_export_says_it() {
    let text = document("x-tidegate-cache: rfc9111\n", "");
    let wanted = definition(import(text.as_bytes(), &ImportOptions::default()).unwrap());
    let written = |extensions| -> Value {
        let options = ExportOptions { extensions, ..export_options(Format::Oas30, false) };
        serde_json::from_slice(&export(&wanted, &stage(), &options).unwrap()).unwrap()
    };
    let whole = written(Extensions { apigateway: true, ..Extensions::default() });
    assert_eq!(whole["paths"]["/one"]["get"]["x-tidegate-cache"], "rfc9111");
    let part = written(Extensions { integrations: true, ..Extensions::default() });
    assert_eq!(part["paths"]["/one"]["get"].get("x-tidegate-cache"), None);
}

#[test]
fn wrong_rules_and_keys_are_refused() {
    let method = "Unable to put method 'GET' on resource at path '/one': ";
    let integration = "Unable to put integration on 'GET' for resource at path '/one': ";
    let key = |name: &str| format!("{integration}Invalid cache key parameter specified: {name}");
    for (top, own, message) in [
        (
            "x-tidegate-cache: maybe\n",
            String::new(),
            "Invalid x-tidegate-cache specified: 'maybe' must be aws, rfc9111 or off".to_owned(),
        ),
        (
            "",
            "      x-tidegate-cache: AWS\n".into(),
            format!("{method}x-tidegate-cache 'AWS' must be aws, rfc9111 or off"),
        ),
        (
            "",
            "      x-tidegate-cache: [aws]\n".into(),
            "Parse issue: attribute paths.'/one'(get).x-tidegate-cache is not of type string".into(),
        ),
        ("", keys("method.request.querystring.x"), key("method.request.querystring.x")),
        ("", keys("method.request.querystring.q, q"), key("q")),
        ("", keys("integration.request.header.x"), key("integration.request.header.x")),
    ] {
        let text = document(top, &own);
        let Err(error) = import(text.as_bytes(), &ImportOptions::default()) else { panic!("{text}") };
        assert_eq!(error.to_string(), format!("Errors found during import:\n\t{message}"), "{text}");
    }
    let good = keys("method.request.querystring.q, integration.request.header.h");
    let text = document("", &good);
    let wanted = definition(import(text.as_bytes(), &ImportOptions::default()).unwrap());
    assert_round_trip(&wanted, &text);
}
