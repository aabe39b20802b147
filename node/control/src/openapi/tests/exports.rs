//! What written documents look like, byte for byte.

use serde_json::{Value, json};
use tidegate_proto::document::{
    ApiDefinition, Integration, IntegrationResponse, Map, Method, Resource, Stage,
};

use super::definition::{definition, export_options, stage};
use crate::openapi::{
    ExportError, ExportOptions, Extensions, Format, ImportOptions, export, export_file_name, import,
};

fn sample() -> ApiDefinition {
    let bytes = include_bytes!("../../../tests/openapi/petstore.yaml");
    definition(import(bytes, &ImportOptions::default()).unwrap())
}

#[test]
fn the_sample_is_written_as_expected() {
    for (format, yaml, expected) in [
        (Format::Oas30, false, include_str!("../../../tests/openapi/petstore.export.oas30.json")),
        (Format::Oas30, true, include_str!("../../../tests/openapi/petstore.export.oas30.yaml")),
        (Format::Swagger, false, include_str!("../../../tests/openapi/petstore.export.swagger.json")),
    ] {
        let bytes = export(&sample(), &stage(), &export_options(format, yaml)).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text == expected, "{format:?} yaml={yaml} gives\n{text}");
    }
}

fn written(definition: &ApiDefinition, options: &ExportOptions) -> Value {
    serde_json::from_slice(&export(definition, &stage(), options).unwrap()).unwrap()
}

/// One `GET` on `/{id}` that calls a mock.
fn small(responses: &[(&str, Option<&str>)]) -> ApiDefinition {
    let integration_responses: Map<IntegrationResponse> = responses
        .iter()
        .map(|(status, pattern)| {
            let response = IntegrationResponse {
                status_code: (*status).into(),
                selection_pattern: pattern.map(str::to_owned),
                ..IntegrationResponse::default()
            };
            ((*status).to_owned(), response)
        })
        .collect();
    let method = Method {
        http_method: "GET".into(),
        authorization_type: "NONE".into(),
        api_key_required: true,
        method_integration: Some(Integration {
            kind: "MOCK".into(),
            passthrough_behavior: "NEVER".into(),
            timeout_in_millis: 29_000,
            cache_namespace: "abc123".into(),
            integration_responses,
            ..Integration::default()
        }),
        ..Method::default()
    };
    let mut definition = ApiDefinition::default();
    definition.api.id = "abcdefghij".into();
    definition.api.name = "Small".into();
    definition.resources = vec![
        Resource { id: "root".into(), path: "/".into(), ..Resource::default() },
        Resource {
            id: "abc123".into(),
            path: "/{id}".into(),
            resource_methods: [("GET".to_owned(), method)].into(),
            ..Resource::default()
        },
    ];
    definition
}

#[test]
fn extensions_are_written_when_asked_for() {
    let definition = small(&[("200", None)]);
    let plain = json!({
        "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
        "responses": { "default": { "description": "Default response" } },
        "security": [{ "api_key": [] }],
    });
    let integration = json!({
        "responses": { "default": { "statusCode": "200" } }, "passthroughBehavior": "never", "type": "mock",
    });
    for (extensions, with_integration) in [
        ("", false),
        ("postman", false),
        ("authorizers", false),
        ("integrations", true),
        ("integrations,postman", true),
    ] {
        let options = ExportOptions {
            extensions: Extensions::parse(extensions).unwrap(),
            ..export_options(Format::Oas30, false)
        };
        let document = written(&definition, &options);
        let mut wanted = plain.clone();
        if with_integration {
            wanted["x-amazon-apigateway-integration"] = integration.clone();
        }
        assert_eq!(document["paths"]["/{id}"]["get"], wanted, "{extensions}");
        assert_eq!(document["info"], json!({ "title": "Small", "version": "2026-11-21T12:00:00Z" }));
        assert_eq!(
            document["components"],
            json!({ "securitySchemes": { "api_key": { "type": "apiKey", "name": "x-api-key", "in": "header" } } })
        );
    }
    assert_eq!(Extensions::parse("integrations,unknown"), None);
}

#[test]
fn what_openapi_cannot_say_is_added() {
    let operation = |definition: &ApiDefinition| {
        written(definition, &export_options(Format::Oas30, false))["paths"]["/{id}"]["get"].clone()
    };
    let usual = operation(&small(&[("200", None), ("404", Some("404"))]));
    assert_eq!(usual.get("x-tidegate-method"), None, "{usual:#}");
    assert_eq!(usual["parameters"][0]["x-tidegate-implied"], true);
    let twice = operation(&small(&[("200", None), ("404", None)]));
    assert_eq!(twice["x-amazon-apigateway-integration"]["responses"]["default"]["statusCode"], "200");
    assert_eq!(
        twice["x-tidegate-method"],
        json!({ "integrationResponses": { "200": { "statusCode": "200" }, "404": { "statusCode": "404" } } })
    );
}

#[test]
fn the_server_is_taken_apart() {
    for (url, scheme, host, base_path) in [
        ("https://a.example.com/prod", "https", "a.example.com", "prod"),
        (
            "http://127.0.0.1:4000/_aws/execute-api/abc/dev/",
            "http",
            "127.0.0.1:4000",
            "_aws/execute-api/abc/dev",
        ),
        ("https://a.example.com", "https", "a.example.com", "blue"),
        ("a.example.com/x", "https", "a.example.com", "x"),
    ] {
        let stage = Stage { stage_name: "blue".into(), ..Stage::default() };
        let write = |format| -> Value {
            let options = ExportOptions { format, server_url: url.into(), ..ExportOptions::default() };
            serde_json::from_slice(&export(&small(&[]), &stage, &options).unwrap()).unwrap()
        };
        assert_eq!(
            write(Format::Oas30)["servers"],
            json!([{ "url": format!("{scheme}://{host}/{{basePath}}"), "variables": { "basePath": { "default": base_path } } }])
        );
        let swagger = write(Format::Swagger);
        assert_eq!(
            [&swagger["host"], &swagger["basePath"], &swagger["schemes"][0]],
            [&json!(host), &json!(format!("/{base_path}")), &json!(scheme)]
        );
    }
}

#[test]
fn names_and_errors() {
    let options = export_options(Format::Oas30, true);
    let mut definition = small(&[]);
    assert_eq!(export_file_name(&definition, &options), "oas30_2026-11-21T12:00:00Z.yaml");
    definition.api.version = Some("1.0\r\n\"x/../".into());
    assert_eq!(export_file_name(&definition, &export_options(Format::Swagger, false)), "swagger_1.0x...json");
    let methods = &mut definition.resources[1].resource_methods;
    let method = methods.remove("GET").unwrap();
    methods.insert("BREW".into(), method);
    let error = export(&definition, &stage(), &options).unwrap_err();
    assert_eq!(error, ExportError::Verb { path: "/{id}".into(), verb: "BREW".into() });
}
