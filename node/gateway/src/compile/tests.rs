//! What compiles into what, and what is refused where.

use tidegate_proto::{
    compiled::{IntegrationV1, PartV1, PlaceV1, SourceV1},
    document::{Integration, IntegrationResponse, Stage},
};

use super::{CompileError, compile};
use crate::testing::{definition, http_proxy, mock};

fn integration(kind: &str, uri: &str) -> Integration {
    Integration {
        kind: kind.into(),
        uri: Some(uri.into()),
        http_method: Some("GET".into()),
        ..Integration::default()
    }
}

fn refused(path: &str, integration: Integration) -> CompileError {
    compile(&definition(&[(path, "GET", Some(integration))]), &Stage::default()).unwrap_err()
}

#[test]
fn faults_name_place_and_rule() {
    let long = "x".repeat(400 * 1024);
    let http = |uri: &str| integration("HTTP_PROXY", uri);
    let with = |change: &dyn Fn(&mut Integration)| {
        let mut integration = http("http://up/");
        change(&mut integration);
        integration
    };
    for (integration, field, rule) in [
        (http(""), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (http("ftp://up/"), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (http("http://"), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (http("http://u@up/"), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (http("http://up:/"), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (http("http://up/a b"), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (http("http://up/{id"), "integration.uri", "Invalid HTTP endpoint specified for URI"),
        (
            http("http://up/{other}"),
            "integration.uri",
            "{other} is neither mapped nor a path parameter of the resource",
        ),
        (
            integration("AWS_PROXY", "arn"),
            "integration.type",
            "this version serves HTTP, HTTP_PROXY and MOCK only",
        ),
        (
            with(&|i| i.http_method = None),
            "integration.httpMethod",
            "Enumeration value for HttpMethod must be non-empty",
        ),
        (
            with(&|i| i.timeout_in_millis = 49),
            "integration.timeoutInMillis",
            "Timeout should be between 50 ms and 29000 ms",
        ),
        (
            with(&|i| i.timeout_in_millis = 29_001),
            "integration.timeoutInMillis",
            "Timeout should be between 50 ms and 29000 ms",
        ),
        (
            with(&|i| _ = i.request_parameters.insert("integration.request.header.a".into(), "true".into())),
            "integration.requestParameters",
            "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: true]",
        ),
        (
            with(&|i| {
                _ = i
                    .request_parameters
                    .insert("integration.request.path.a".into(), "method.request.path.none".into())
            }),
            "integration.requestParameters",
            "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: method.request.path.none]",
        ),
        (
            with(&|i| {
                i.kind = "HTTP".into();
                i.request_templates.insert("application/json".into(), long.clone());
            }),
            "integration.requestTemplates",
            "a mapping template has at most 307200 bytes",
        ),
    ] {
        let error = refused("/pets/{id}", integration);
        assert_eq!((error.path.as_str(), error.method.as_str()), ("/pets/{id}", "GET"));
        assert_eq!((error.field.as_str(), error.rule.as_str()), (field, rule));
    }
}

#[test]
fn patterns_are_checked() {
    let bad_pattern = mock("{}", &[("200", Some("(?=x)"))]);
    assert_eq!(refused("/", bad_pattern).field, "integrationResponse.selectionPattern");
}

#[test]
fn api_level_faults_have_the_words_of_aws() {
    let none = compile(&definition(&[]), &Stage::default()).unwrap_err();
    assert_eq!(none.to_string(), "The REST API doesn't contain any methods");
    let bare = compile(&definition(&[("/a", "GET", None)]), &Stage::default()).unwrap_err();
    assert_eq!(bare.rule, "No integration defined for method");
}

#[test]
fn stage_variables_become_text() {
    let mut stage = Stage::default();
    stage.variables.insert("host".into(), "Up.example:81".into());
    for (uri, authority, parts) in [
        ("http://${stageVariables.host}/v1", "up.example:81", vec![PartV1::Literal("/v1".into())]),
        ("http://up", "up", vec![PartV1::Literal("/".into())]),
        ("http://up?a=b#c", "up", vec![PartV1::Literal("/?a=b".into())]),
        ("http://up/${stageVariables.none}x", "up", vec![PartV1::Literal("/x".into())]),
        ("http://${stageVariables.none}/x", "", vec![PartV1::Literal("http:///x".into())]),
        ("http://up/{id}", "up", vec![PartV1::Literal("/".into()), PartV1::PathParameter(0)]),
        (
            "http://{id}/x",
            "",
            vec![PartV1::Literal("http://".into()), PartV1::PathParameter(0), PartV1::Literal("/x".into())],
        ),
    ] {
        let compiled =
            compile(&definition(&[("/{id}", "GET", Some(integration("HTTP_PROXY", uri)))]), &stage).unwrap();
        let IntegrationV1::HttpProxy { call } = &compiled.methods[0].integration else { panic!("{uri}") };
        assert_eq!((call.authority.as_str(), &call.uri), (authority, &parts), "{uri}");
        assert_eq!(call.timeout_ms, 29_000);
    }
}

#[test]
fn mapping_sources() {
    let mut stage = Stage::default();
    stage.variables.insert("v".into(), "1".into());
    for (target, source, expect) in [
        ("header.A", "method.request.header.X-Y", Some((PlaceV1::Header, SourceV1::Header("x-y".into())))),
        (
            "header.A",
            "method.request.multivalueheader.X",
            Some((PlaceV1::Header, SourceV1::MultiHeader("x".into()))),
        ),
        (
            "querystring.a",
            "method.request.querystring.Q",
            Some((PlaceV1::Query, SourceV1::Query("Q".into()))),
        ),
        (
            "querystring.a",
            "method.request.multivaluequerystring.q",
            Some((PlaceV1::Query, SourceV1::MultiQuery("q".into()))),
        ),
        ("path.p", "method.request.path.id", Some((PlaceV1::Path, SourceV1::Path(0)))),
        ("path.p", "method.request.body", Some((PlaceV1::Path, SourceV1::Body))),
        ("path.p", "method.request.body.a.b", Some((PlaceV1::Path, SourceV1::BodyPath("$.a.b".into())))),
        ("path.p", "method.request.body.$.a", Some((PlaceV1::Path, SourceV1::BodyPath("$.a".into())))),
        ("header.A", "'it'", Some((PlaceV1::Header, SourceV1::Constant("it".into())))),
        ("header.A", "stageVariables.v", Some((PlaceV1::Header, SourceV1::Constant("1".into())))),
        ("header.A", "stageVariables.none", None),
        ("path.p", "stageVariables.none", Some((PlaceV1::Path, SourceV1::Constant(String::new())))),
        ("header.A", "context.requestId", Some((PlaceV1::Header, SourceV1::Variable("requestId".into())))),
        ("header.Content-Length", "'1'", Some((PlaceV1::ForbiddenHeader, SourceV1::Constant("1".into())))),
    ] {
        let mut call = integration("HTTP_PROXY", "http://up/");
        call.request_parameters.insert(format!("integration.request.{target}"), source.into());
        let compiled = compile(&definition(&[("/{id}", "GET", Some(call))]), &stage).unwrap();
        let IntegrationV1::HttpProxy { call } = &compiled.methods[0].integration else { panic!("{source}") };
        let got = call.parameters.first().map(|mapping| (mapping.place, mapping.source.clone()));
        assert_eq!(got, expect, "{target} {source}");
    }
}

#[test]
fn responses_keep_match_order_and_texts_are_shared() {
    let first =
        mock("{\"statusCode\":200}", &[("200", None), ("404", Some("4\\d{2}")), ("500", Some("5\\d{2}"))]);
    let second = mock("{\"statusCode\":200}", &[("200", None)]);
    let compiled =
        compile(&definition(&[("/a", "GET", Some(first)), ("/b", "GET", Some(second))]), &Stage::default())
            .unwrap();
    assert_eq!((compiled.templates.len(), compiled.patterns.len()), (1, 2));
    let IntegrationV1::Mock { responses, .. } = &compiled.methods[0].integration else { panic!("a mock") };
    assert_eq!(responses.iter().map(|response| response.status).collect::<Vec<_>>(), [404, 500, 200]);
}

#[test]
fn status_code_must_be_one() {
    let mut call = http_proxy("http://up/");
    call.kind = "HTTP".into();
    call.integration_responses.insert("999".into(), IntegrationResponse::default());
    assert_eq!(refused("/", call).rule, "Invalid response status code specified");
}
