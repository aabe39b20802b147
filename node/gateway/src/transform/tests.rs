//! Requests in, calls out; answers in, responses out.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_proto::document::{Integration, IntegrationResponse, Stage};

use super::{CallBody, Carry, Intake, ResponseBody, Step};
use crate::{
    Facts, Fault, Rejection, Request, Snapshot, StageTable, address, authorize,
    testing::{self, definition, http_proxy, mock},
    throttle,
};

const FACTS: Facts<'static> = Facts {
    request_id: "11111111-2222-4333-8444-555555555555",
    extended_request_id: "AAAAAAAAAAAAAAA=",
    trace_id: "Root=1-5759e988-bd862e3fe1be46a994272793",
    source_ip: "192.0.2.7",
    protocol: "HTTP/1.1",
    scheme: "http",
    port: 8080,
    time_ms: 1_428_582_896_438,
};

pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
        .collect()
}

fn snapshot(path: &str, integration: Integration) -> Snapshot {
    let mut stage = Stage { stage_name: "dev".into(), ..Stage::default() };
    stage.variables.insert("team".into(), "red".into());
    let table = StageTable::compile(&definition(&[(path, "ANY", Some(integration))]), &stage).unwrap();
    Snapshot::new(1, 1, "eu-west-1", "123456789012", vec![Arc::new(table)])
}

/// Sends one request through intake and call, and renders the outcome as text.
fn sent(
    snapshot: &Snapshot,
    verb: &str,
    target: &str,
    lines: &[(&str, &str)],
    body: &str,
) -> Result<String, Rejection> {
    let headers = headers(lines);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let address = address(b"api1.execute-api.eu-west-1.localhost:99", path);
    let host = "api1.execute-api.eu-west-1.localhost:99";
    let request = Request { verb, host, address, query, headers: &headers, facts: FACTS };
    let routed = snapshot.route(address, verb)?;
    let admitted = testing::admit(routed)?;
    let whole = (admitted.intake(&request)? == Intake::Whole).then_some(body.as_bytes());
    Ok(match admitted.call(&request, whole)? {
        Step::Call(call, _) => {
            let mut lines: Vec<String> = call
                .headers
                .iter()
                .filter(|(name, _)| {
                    !matches!(
                        name.as_str(),
                        "x-amzn-trace-id"
                            | "x-amzn-apigateway-api-id"
                            | "user-agent"
                            | "x-forwarded-for"
                            | "x-forwarded-proto"
                            | "x-forwarded-port"
                    )
                })
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            lines.sort();
            let scheme = if call.tls { "https" } else { "http" };
            let body = match call.body {
                CallBody::Empty => "-".to_owned(),
                CallBody::Stream => "~".to_owned(),
                CallBody::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            };
            format!(
                "{} {scheme}://{}{} [{}] {body}",
                call.method,
                call.authority,
                call.target,
                lines.join(" | ")
            )
        }
        Step::Respond(response) => shown(&response),
    })
}

fn shown(response: &super::Response) -> String {
    let lines: Vec<String> =
        response.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    let body = match &response.body {
        ResponseBody::Stream => "~".to_owned(),
        ResponseBody::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    };
    format!("{} [{}] {body}", response.status.as_u16(), lines.join(" | "))
}

fn with(mut integration: Integration, parameters: &[(&str, &str)]) -> Integration {
    for (target, source) in parameters {
        integration.request_parameters.insert(format!("integration.request.{target}"), (*source).into());
    }
    integration
}

#[test]
fn proxied_calls() {
    let plain = snapshot("/{proxy+}", http_proxy("http://up:81/base/{proxy}"));
    let query = snapshot(
        "/{id}",
        with(http_proxy("http://up/x?fixed=1"), &[("querystring.q", "method.request.querystring.a")]),
    );
    let dynamic =
        snapshot("/{id}", with(http_proxy("https://{h}/p"), &[("path.h", "method.request.header.target")]));
    for (snapshot, verb, target, lines, expect) in [
        (
            &plain,
            "GET",
            "/dev/a/b%20c?x=1&x=2",
            vec![],
            "GET http://up:81/base/a/b%20c?x=1&x=2 [accept: application/json | host: up:81] -",
        ),
        (
            &plain,
            "POST",
            "/dev/a//b/",
            vec![("content-type", "text/plain")],
            "POST http://up:81/base/a//b [accept: application/json | content-type: text/plain | host: up:81] ~",
        ),
        (
            &plain,
            "DELETE",
            "/dev/a",
            vec![("Accept", "x/y"), ("Connection", "b"), ("b", "1"), ("c", "2")],
            "DELETE http://up:81/base/a [accept: x/y | c: 2 | host: up:81] ~",
        ),
        (
            &query,
            "GET",
            "/dev/7?a=1&a=b%26c",
            vec![],
            "GET http://up/x?fixed=1&a=1&a=b%26c&q=b%26c [accept: application/json | host: up] -",
        ),
        (&query, "GET", "/dev/7", vec![], "GET http://up/x?fixed=1 [accept: application/json | host: up] -"),
        (
            &dynamic,
            "GET",
            "/dev/7",
            vec![("Target", "Other.host:9")],
            "GET https://other.host:9/p [accept: application/json | host: other.host:9 | target: Other.host:9] -",
        ),
    ] {
        assert_eq!(sent(snapshot, verb, target, &lines, "").unwrap(), expect, "{verb} {target}");
    }
    for bad in [vec![], vec![("target", "a b")], vec![("target", "u@h")], vec![("target", "a/../?")]] {
        let fault = sent(&dynamic, "GET", "/dev/7", &bad, "");
        assert_eq!(fault, Err(Rejection::IntegrationFailure(Fault::Endpoint)), "{bad:?}");
    }
}

#[test]
fn parameter_mappings() {
    let all = with(
        http_proxy("http://up/{p}/{q}"),
        &[
            ("path.p", "method.request.path.id"),
            ("path.q", "method.request.querystring.q"),
            ("querystring.m", "method.request.multivaluequerystring.m"),
            ("header.h", "method.request.header.one"),
            ("header.hs", "method.request.multivalueheader.many"),
            ("header.v", "context.identity.sourceIp"),
            ("header.t", "stageVariables.team"),
            ("header.c", "'fixed'"),
            ("header.body", "method.request.body.user.name"),
            ("header.none", "method.request.header.absent"),
        ],
    );
    let all = snapshot("/{id}", Integration { kind: "HTTP".into(), ..all });
    let lines =
        [("One", "1"), ("One", "2"), ("Many", "a"), ("Many", "b"), ("Other", "x"), ("Authorization", "y")];
    assert_eq!(
        sent(&all, "POST", "/dev/a%2Fb?q=x%20/?&m=1&m=2+3&z=0", &lines, r#"{"user":{"name":"Ada"}}"#)
            .unwrap(),
        "POST http://up/a%2Fb/x%20/%3F?m=1&m=2%203 [accept: application/json | body: Ada | c: fixed | h: 2 | host: up | hs: a,b \
         | t: red | v: 192.0.2.7] {\"user\":{\"name\":\"Ada\"}}"
    );
    assert!(sent(&all, "POST", "/dev/a", &[], "plain").is_ok());
    assert_eq!(
        sent(&all, "POST", "/dev/a", &[], "{oops"),
        Err(Rejection::BadRequestBody("Invalid JSON in request body".into()))
    );
    for name in ["Content-Length", "Transfer-Encoding", "X-Amzn-Trace-Id", "X-Amzn-Apigateway-Api-Id"] {
        let forbidden = snapshot("/", with(http_proxy("http://up/"), &[(&format!("header.{name}"), "'1'")]));
        assert_eq!(sent(&forbidden, "GET", "/dev", &[], ""), Err(Rejection::ApiConfigurationError), "{name}");
    }
}

#[test]
fn passthrough_and_media_types() {
    let http = |behavior: &str, templates: &[&str]| {
        let mut integration = Integration {
            kind: "HTTP".into(),
            passthrough_behavior: behavior.into(),
            ..http_proxy("http://up/")
        };
        for media in templates {
            integration
                .request_templates
                .insert((*media).into(), format!("<{}>", media.trim_start_matches('$')));
        }
        snapshot("/", integration)
    };
    for (behavior, templates, media, expect) in [
        ("WHEN_NO_MATCH", vec!["application/json"], "application/json", Ok("<application/json>")),
        ("WHEN_NO_MATCH", vec!["application/json"], "Application/JSON; charset=x", Ok("<application/json>")),
        ("WHEN_NO_MATCH", vec!["application/json"], "text/plain", Ok("~")),
        ("WHEN_NO_MATCH", vec!["$default", "text/x"], "text/plain", Ok("<default>")),
        ("WHEN_NO_TEMPLATES", vec![], "text/plain", Ok("~")),
        ("WHEN_NO_TEMPLATES", vec!["application/json"], "text/plain", Err(Rejection::UnsupportedMediaType)),
        ("NEVER", vec![], "text/plain", Err(Rejection::UnsupportedMediaType)),
        ("NEVER", vec!["application/json"], "", Ok("<application/json>")),
    ] {
        let lines = if media.is_empty() { vec![] } else { vec![("content-type", media)] };
        let got = sent(&http(behavior, &templates), "POST", "/dev", &lines, "raw");
        let got = got.map(|text| text.rsplit_once("] ").unwrap().1.to_owned());
        assert_eq!(got, expect.map(str::to_owned), "{behavior} {templates:?} {media}");
    }
}

#[test]
fn mocks() {
    for (template, responses, expect) in [
        (r#"{"statusCode":200}"#, vec![("201", None)], Ok("201 [content-type: application/json] ")),
        (
            "{statusCode: 404}",
            vec![("200", None), ("418", Some("4\\d\\d"))],
            Ok("418 [content-type: application/json] "),
        ),
        (r#"{"statusCode":500}"#, vec![("418", Some("4\\d\\d"))], Err(Rejection::ApiConfigurationError)),
        (r#"{"statusCode":"200"}"#, vec![("200", None)], Err(Rejection::ApiConfigurationError)),
        ("nothing", vec![("200", None)], Err(Rejection::ApiConfigurationError)),
    ] {
        let got = sent(&snapshot("/", mock(template, &responses)), "GET", "/dev", &[], "");
        assert_eq!(got, expect.map(str::to_owned), "{template} {responses:?}");
    }
}

#[test]
fn responses() {
    let mut http = Integration { kind: "HTTP".into(), ..http_proxy("http://up/") };
    let mut answer = IntegrationResponse { status_code: "201".into(), ..IntegrationResponse::default() };
    for (name, source) in [
        ("X-From", "integration.response.header.x-up"),
        ("X-Name", "integration.response.body.name"),
        ("X-Id", "context.requestId"),
        ("Date", "'then'"),
        ("Server", "'me'"),
        ("Transfer-Encoding", "'chunked'"),
    ] {
        answer.response_parameters.insert(format!("method.response.header.{name}"), source.into());
    }
    http.integration_responses.insert("201".into(), answer);
    let mut missing =
        IntegrationResponse { selection_pattern: Some("404".into()), ..IntegrationResponse::default() };
    missing.response_templates.insert("text/xml".into(), Some("<none/>".into()));
    missing.response_templates.insert("application/json".into(), None);
    http.integration_responses.insert("404".into(), missing);
    let snapshot = snapshot("/", http);
    for (status, accept, body, needs, expect) in [
        (
            200,
            "*/*",
            r#"{"name":"Ada"}"#,
            true,
            Ok(
                "201 [x-amzn-remapped-date: then | x-amzn-remapped-server: me | x-from: 2 | x-id: 11111111-2222-4333-8444-555555555555 | x-name: Ada | content-type: application/json | x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793] {\"name\":\"Ada\"}",
            ),
        ),
        (200, "*/*", "{", true, Err(Rejection::ApiConfigurationError)),
        (
            404,
            "*/*",
            "gone",
            false,
            Ok(
                "404 [content-type: application/json | x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793] ~",
            ),
        ),
        (
            404,
            "text/xml",
            "gone",
            true,
            Ok(
                "404 [content-type: text/xml | x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793] <none/>",
            ),
        ),
    ] {
        let lines = headers(&[("accept", accept)]);
        let address = address(b"h", "/_aws/execute-api/api1/dev");
        let request = Request { verb: "GET", host: "h", address, query: None, headers: &lines, facts: FACTS };
        let routed = snapshot.route(address, "GET").unwrap();
        let admitted = testing::admit(routed).unwrap();
        let selected = admitted.select(StatusCode::from_u16(status).unwrap(), Carry::default()).unwrap();
        assert_eq!(selected.needs_body(&request), needs, "{status} {accept}");
        let upstream = headers(&[("x-up", "1"), ("x-up", "2"), ("content-type", "text/up")]);
        let body = needs.then(|| Bytes::copy_from_slice(body.as_bytes()));
        let got = selected.respond(&request, &upstream, body).map(|response| shown(&response));
        assert_eq!(got, expect.map(str::to_owned), "{status} {accept}");
    }
}

#[test]
fn keys_and_ceiling_refuse() {
    let mut definition = definition(&[("/", "GET", Some(http_proxy("http://up/")))]);
    definition.resources[0].resource_methods.get_mut("GET").unwrap().api_key_required = true;
    let stage = Stage { stage_name: "dev".into(), ..Stage::default() };
    let table = Arc::new(StageTable::compile(&definition, &stage).unwrap());
    let snapshot = Snapshot::new(1, 1, "r", "a", vec![table]);
    let routed = snapshot.route(address(b"api1.execute-api.r", "/dev"), "GET").unwrap();
    let refused = authorize(routed, || Some("any")).unwrap_err();
    assert_eq!(refused, Rejection::InvalidApiKey);

    let open = self::snapshot("/", http_proxy("http://up/"));
    let routed = open.route(address(b"api1.execute-api.r", "/dev"), "GET").unwrap();
    let authorized = authorize(routed, || None).unwrap();
    let bucket = tidegate_throttle::Bucket::new(1, 1);
    let bank = tidegate_throttle::Bank::new();
    assert!(throttle(authorized, &testing::turnstile(&bank, Some(&bucket), 5)).is_ok());
    let refused = throttle(authorized, &testing::turnstile(&bank, Some(&bucket), 6)).unwrap_err();
    assert_eq!(refused, Rejection::Throttled(crate::Shortage::of(crate::Level::Node)));
}

#[test]
fn request_templates() {
    let http = |template: &str| {
        let mut integration = Integration { kind: "HTTP".into(), ..http_proxy("http://up/{id}") };
        integration = with(integration, &[("querystring.q", "'mapped'")]);
        integration.request_templates.insert("application/json".into(), template.into());
        snapshot("/{id}", integration)
    };
    for (template, body, expect) in [
        (
            r#"{"n":$input.json('$.n')}"#,
            r#"{"n":[1,2]}"#,
            Ok(
                r#"POST http://up/7?q=mapped [accept: application/json | content-type: application/json | host: up] {"n":[1,2]}"#,
            ),
        ),
        (
            "$input.params('X-One')/$input.params('id')/$input.params('z')",
            "",
            Ok(
                "POST http://up/7?q=mapped [accept: application/json | content-type: application/json | host: up] 1/7/a b",
            ),
        ),
        (
            "$context.stage $context.identity.sourceIp $stageVariables.team",
            "",
            Ok(
                "POST http://up/7?q=mapped [accept: application/json | content-type: application/json | host: up] dev 192.0.2.7 red",
            ),
        ),
        (
            "#set($context.requestOverride.path.id = 'x/y?')#set($context.requestOverride.querystring.q = 'over')\
             #set($context.requestOverride.header.h = 'set')",
            "",
            Ok(
                "POST http://up/7?q=over [accept: application/json | content-type: application/json | h: set | host: up] ",
            ),
        ),
        ("$input.path('$.a')", "{oops", Err(())),
    ] {
        let lines = [("content-type", "application/json"), ("X-ONE", "1")];
        let got = sent(&http(template), "POST", "/dev/7?z=a+b", &lines, body);
        match expect {
            Ok(expect) => assert_eq!(got.unwrap(), expect, "{template}"),
            Err(()) => assert!(matches!(got, Err(Rejection::BadRequestBody(_))), "{template}: {got:?}"),
        }
    }
}

/// A template may work as long as its body is large, and not much longer: other requests wait for the same processor.
#[test]
fn templates_are_bounded_by_their_bodies() {
    let record = format!("\"{}\"", "x".repeat(98));
    let large = format!("[{}]", vec![record; 90_000].join(","));
    let small = "[1]";
    let loops = "#foreach($a in [1..1000])#foreach($b in [1..1000])#set($c = $a + $b)#end#end";
    let visits = "#foreach($a in [1..1000])#set($b = $a + 1)#set($c = \"$b $a\")$c,#end";
    for (template, body, is_rendered) in [
        ("$input.body", large.as_str(), true),
        ("$input.json('$')", large.as_str(), true),
        ("#set($all = $input.path('$'))$all.size()", large.as_str(), true),
        (visits, small, true),
        (loops, small, false),
        ("#macro(m)#m()#end#m()", small, false),
    ] {
        let mut integration = Integration { kind: "HTTP".into(), ..http_proxy("http://up/") };
        integration.request_templates.insert("application/json".into(), template.into());
        let lines = [("content-type", "application/json")];
        let got = sent(&snapshot("/x", integration), "POST", "/dev/x", &lines, body);
        assert_eq!(got.is_ok(), is_rendered, "{template} {:.200?}", got.err());
    }
}

#[test]
fn overrides_reach_the_response() {
    let mut integration = mock(
        "#set($context.responseOverride.status = 444)#set($context.responseOverride.header.first = 'a'){\"statusCode\": 200}",
        &[("200", None)],
    );
    let answer = integration.integration_responses.get_mut("200").unwrap();
    answer.response_templates.insert(
        "application/json".into(),
        Some(
            "#set($context.responseOverride.header.second = ['x', 'y'])$context.requestId $input.body".into(),
        ),
    );
    assert_eq!(
        sent(&snapshot("/", integration), "GET", "/dev", &[], "").unwrap(),
        "444 [content-type: application/json | first: a | second: x | second: y] 11111111-2222-4333-8444-555555555555 {}"
    );
}
