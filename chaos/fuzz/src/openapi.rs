//! OpenAPI documents, whole and broken.

use arbitrary::Unstructured;
use tidegate_control::openapi::{ExportOptions, Extensions, Format, ImportOptions, Imported, export, import};
use tidegate_gateway::StageTable;
use tidegate_proto::document::{ApiDefinition, Resource, RestApi, Stage};

use crate::Checked;

/// Documents to begin with: one of each flavour, with what API Gateway adds.
const SEEDS: [&str; 2] = [
    r##"{"openapi":"3.0.1","info":{"title":"t","version":"1"},"paths":{"/pets/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Pet"}}}}},"x-amazon-apigateway-integration":{"type":"http","httpMethod":"GET","uri":"http://u/{id}","requestParameters":{"integration.request.path.id":"method.request.path.id"},"responses":{"default":{"statusCode":"200"}}}}},"/{proxy+}":{"x-amazon-apigateway-any-method":{"x-amazon-apigateway-integration":{"type":"http_proxy","httpMethod":"ANY","uri":"http://u/"}}}},"components":{"schemas":{"Pet":{"type":"object","properties":{"id":{"type":"integer"}}}}}}"##,
    "swagger: '2.0'\ninfo: {title: t}\nbasePath: /v1\npaths:\n  /a:\n    post:\n      consumes: [application/json]\n      parameters:\n        - {in: body, name: b, schema: {$ref: '#/definitions/B'}}\n      responses: {'200': {description: ok, headers: {X-A: {type: string}}}}\n      x-amazon-apigateway-integration:\n        type: mock\n        requestTemplates: {application/json: '{\"statusCode\":200}'}\n        responses: {default: {statusCode: '200', responseParameters: {method.response.header.X-A: \"'1'\"}}}\ndefinitions:\n  B: {type: object}\n",
];
/// Text that changes what a document means.
const TOKENS: [&str; 16] =
    ["{", "}", "[", "]", ":", ",", "- ", "&a ", "*a", "<<: ", "\"", "'", "\u{0}", "1e999", "\n", "null"];

pub(crate) fn check(chance: &mut Unstructured<'_>) -> Checked {
    let document = document(chance)?;
    let options = ImportOptions { fail_on_warnings: chance.ratio(1, 4)?, ..ImportOptions::default() };
    let Ok(first) = import(&document, &options) else { return Ok(Ok(())) };
    let definition = definition(&first);
    let stage = Stage { stage_name: "s".into(), ..Stage::default() };
    // It may be refused, for example where two paths are the same to the router.
    let _refused = StageTable::compile(&definition, &stage);
    let options = ExportOptions {
        format: *chance.choose(&[Format::Oas30, Format::Swagger])?,
        yaml: chance.arbitrary()?,
        extensions: Extensions { apigateway: true, ..Extensions::default() },
        server_url: "http://localhost".into(),
        date: "2026-01-01T00:00:00Z".into(),
    };
    let Ok(written) = export(&definition, &stage, &options) else { return Ok(Ok(())) };
    let shown = || String::from_utf8_lossy(&document).into_owned();
    Ok(match import(&written, &ImportOptions::default()) {
        Ok(second) if paths(&second) == paths(&first) => Ok(()),
        Ok(second) => Err(format!(
            "paths {:?} became {:?} on the way out and in: {}",
            paths(&first),
            paths(&second),
            shown()
        )),
        Err(error) => Err(format!("what was exported is not imported: {error}: {}", shown())),
    })
}

fn document(chance: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut bytes = chance.choose(&SEEDS)?.as_bytes().to_vec();
    for _ in 0..chance.int_in_range(0..=8)? {
        let at = chance.int_in_range(0..=bytes.len().saturating_sub(1))?;
        match chance.int_in_range(0..=4)? {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = chance.arbitrary().unwrap_or(0)),
            2 => {
                let to = bytes.len().min(at + chance.int_in_range(0..=40)?);
                bytes.drain(at..to);
            }
            3 => {
                let token = *chance.choose(&TOKENS)?;
                bytes.splice(at..at, token.bytes());
            }
            _ => {
                let copy: Vec<u8> =
                    bytes.iter().skip(at).take(chance.int_in_range(0..=200)?).copied().collect();
                let to = chance.int_in_range(0..=bytes.len())?;
                bytes.splice(to..to, copy);
            }
        }
    }
    Ok(bytes)
}

fn definition(imported: &Imported) -> ApiDefinition {
    let resource = |(number, found): (usize, &tidegate_control::openapi::ImportedResource)| Resource {
        id: format!("r{number}"),
        path: found.path.clone(),
        resource_methods: found.methods.clone(),
        ..Resource::default()
    };
    let api = RestApi {
        id: "abcdefghij".into(),
        name: imported.name.clone(),
        version: imported.version.clone(),
        binary_media_types: imported.binary_media_types.clone(),
        ..RestApi::default()
    };
    let mut imported = imported.clone();
    imported.bind(&api.id);
    let resources = imported.resources.iter().enumerate().map(resource).collect();
    ApiDefinition { api, resources, models: imported.models }
}

/// Paths with methods, and their verbs; resources without methods are not written.
fn paths(imported: &Imported) -> Vec<(&str, Vec<&String>)> {
    let mut paths: Vec<_> = imported
        .resources
        .iter()
        .filter(|resource| !resource.methods.is_empty())
        .map(|resource| (resource.path.as_str(), resource.methods.keys().collect()))
        .collect();
    paths.sort();
    paths
}
