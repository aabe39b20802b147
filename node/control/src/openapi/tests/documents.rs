//! Whole documents with the import they must give, from `tests/openapi`.

use serde_json::{Value, json};
use tidegate_proto::document::Stage;

use super::definition::{assert_round_trip, definition};
use crate::openapi::{Basepath, ImportOptions, Imported, import};

const DOCUMENTS: [(&str, &[u8], &str); 3] = [
    (
        "petstore",
        include_bytes!("../../../tests/openapi/petstore.yaml"),
        include_str!("../../../tests/openapi/petstore.expected.json"),
    ),
    (
        "orders-swagger",
        include_bytes!("../../../tests/openapi/orders-swagger.json"),
        include_str!("../../../tests/openapi/orders-swagger.expected.json"),
    ),
    (
        "shared-oas30",
        include_bytes!("../../../tests/openapi/shared-oas30.yaml"),
        include_str!("../../../tests/openapi/shared-oas30.expected.json"),
    ),
];

fn shown(imported: &Imported) -> Value {
    let resources: serde_json::Map<String, Value> =
        imported.resources.iter().map(|resource| (resource.path.clone(), json!(resource.methods))).collect();
    let models: serde_json::Map<String, Value> = imported
        .models
        .iter()
        .map(|(name, model)| {
            let schema: Value = serde_json::from_str(model.schema.as_deref().unwrap()).unwrap();
            (
                name.clone(),
                json!({ "schema": schema, "description": model.description, "generated": model.generated }),
            )
        })
        .collect();
    json!({
        "name": imported.name,
        "description": imported.description,
        "version": imported.version,
        "binaryMediaTypes": imported.binary_media_types,
        "apiKeySource": imported.api_key_source,
        "endpoint": imported.endpoint,
        "disableExecuteApiEndpoint": imported.disable_execute_api_endpoint,
        "tags": imported.tags,
        "resources": resources,
        "models": models,
        "warnings": imported.warnings,
    })
}

#[test]
fn documents_give_what_they_say() {
    for (name, bytes, expected) in DOCUMENTS {
        let imported =
            import(bytes, &ImportOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Value = serde_json::from_str(expected).unwrap_or_default();
        let shown = shown(&imported);
        assert!(shown == expected, "{name} gives\n{shown:#}");
    }
}

#[test]
fn documents_survive_export_and_import() {
    for (name, bytes, _) in DOCUMENTS {
        assert_round_trip(&definition(import(bytes, &ImportOptions::default()).unwrap()), name);
    }
}

#[test]
fn imported_definitions_can_be_served() {
    let variables = [("upstream".to_owned(), "127.0.0.1:8080".to_owned())].into();
    let stage = Stage { stage_name: "dev".into(), variables, ..Stage::default() };
    for (name, bytes, _) in &DOCUMENTS[..2] {
        let definition = definition(import(bytes, &ImportOptions::default()).unwrap());
        let compiled =
            tidegate_gateway::compile(&definition, &stage).unwrap_or_else(|error| panic!("{name}: {error}"));
        let methods =
            definition.resources.iter().map(|resource| resource.resource_methods.len()).sum::<usize>();
        assert_eq!(compiled.methods.len(), methods, "{name}");
    }
}

#[test]
fn the_sample_has_no_warnings() {
    let strict = ImportOptions { fail_on_warnings: true, ..ImportOptions::default() };
    import(DOCUMENTS[0].1, &strict).unwrap();
}

#[test]
fn the_base_path_is_ignored_prepended_or_split() {
    let swagger = |base: &str| {
        format!(r#"{{"swagger":"2.0","info":{{"title":"t"}},"basePath":"{base}","paths":{{"/e":{{}}}}}}"#)
    };
    let oas30 = |servers: &str| {
        format!(r#"{{"openapi":"3.0.0","info":{{"title":"t"}},"servers":{servers},"paths":{{"/e":{{}}}}}}"#)
    };
    let variable = r#"[{"url":"https://a/zzz"},{"url":"https://b/{basePath}","variables":{"basePath":{"default":"/a/b/c"}}}]"#;
    let (i, p, s) = (Basepath::Ignore, Basepath::Prepend, Basepath::Split);
    for (document, basepath, last) in [
        (swagger("/a/b/c"), i, "/e"),
        (swagger("/a/b/c"), p, "/a/b/c/e"),
        (swagger("/a/b/c"), s, "/b/c/e"),
        (swagger("/a"), s, "/e"),
        (swagger("/"), p, "/e"),
        (oas30(r#"[{"url":"https://h:80/x/y?q#f"}]"#), p, "/x/y/e"),
        (oas30(r#"[{"url":"/x/y"}]"#), s, "/y/e"),
        (oas30("[]"), p, "/e"),
        (oas30(variable), i, "/e"),
        (oas30(variable), p, "/a/b/c/e"),
        (oas30(variable), s, "/b/c/e"),
    ] {
        let imported =
            import(document.as_bytes(), &ImportOptions { basepath, ..ImportOptions::default() }).unwrap();
        let paths: Vec<&str> = imported.resources.iter().map(|resource| resource.path.as_str()).collect();
        assert_eq!(paths.last(), Some(&last), "{document} {basepath:?}");
        assert_eq!(paths.len(), last.split('/').count(), "{document} {basepath:?}: {paths:?}");
    }
}

#[test]
fn import_parameters_set_the_endpoint_and_the_base_path() {
    let document = r#"{"swagger":"2.0","info":{"title":"t"},"basePath":"/a","paths":{"/e":{}}}"#;
    let parameters =
        [("endpointConfigurationTypes", "PRIVATE"), ("basepath", "prepend"), ("ignore", "documentation")];
    let options = ImportOptions {
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        fail_on_warnings: true,
        ..ImportOptions::default()
    };
    let imported = import(document.as_bytes(), &options).unwrap();
    assert_eq!(imported.endpoint.unwrap().types, ["PRIVATE"]);
    assert_eq!(imported.resources.last().unwrap().path, "/a/e");
}
