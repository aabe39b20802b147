//! The short line against the general one: for what both serve, both must say the same.

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_proto::document::{ApiDefinition, Integration, Stage};

use super::*;
use crate::{Facts, Request, Snapshot, StageTable, Step, address, testing, transform};

const FACTS: Facts<'static> = Facts {
    request_id: "request",
    extended_request_id: "extended",
    trace_id: "Root=1-5759e988-bd862e3fe1be46a994272793",
    source_ip: "192.0.2.1",
    protocol: "HTTP/1.1",
    scheme: "http",
    port: 8080,
    time_ms: 1_465_510_280_123,
};

fn snapshot(definition: &ApiDefinition) -> Snapshot {
    let stage = Stage { stage_name: "dev".into(), deployment_id: "d1".into(), ..Stage::default() };
    let table = StageTable::compile(definition, &stage).unwrap();
    Snapshot::new(1, 1, "eu-west-1", "000000000000", vec![table.into()])
}

fn fields(head: &[u8]) -> Vec<Field<'_>> {
    let mut room = [httparse::EMPTY_HEADER; 64];
    match httparse::parse_headers(head, &mut room).unwrap() {
        httparse::Status::Complete((_, fields)) => {
            fields.iter().map(|line| Field::new(line.name.as_bytes(), line.value)).collect()
        }
        httparse::Status::Partial => panic!("a partial head"),
    }
}

fn header_map(fields: &[Field<'_>]) -> HeaderMap {
    let name = |text: &[u8]| HeaderName::from_bytes(text).unwrap();
    fields.iter().map(|field| (name(field.name), HeaderValue::from_bytes(field.value).unwrap())).collect()
}

/// Lines in an order and spelling that two writers of the same head agree on.
fn canonical(head: &[u8]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<_> = fields(head)
        .iter()
        .map(|field| format!("{}: {}", text(field.name).to_ascii_lowercase(), text(field.value)))
        .collect();
    lines.sort();
    lines
}

fn map_lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_call_is_the_same_on_both_lines() {
    let definition = testing::definition(&[
        ("/a/{id}", "ANY", Some(testing::http_proxy("http://up:9000/base/{id}?fixed=1"))),
        ("/b/{proxy+}", "ANY", Some(testing::http_proxy("http://up/{proxy}"))),
        ("/c", "GET", Some(testing::http_proxy("http://up/c"))),
    ]);
    let snapshot = snapshot(&definition);
    for (verb, path, query, lines) in [
        ("GET", "/dev/a/7", None, "Host: gw\r\n"),
        ("GET", "/dev/a/7", Some("x=1&y=2"), "Host: gw\r\nAccept: */*\r\nUser-Agent: me\r\n"),
        ("POST", "/dev/a/7%20b", Some(""), "Host: gw\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"),
        (
            "PUT",
            "/dev/b/x/y/z",
            Some("q"),
            "Host: gw\r\nX-Forwarded-For: 198.51.100.7\r\nX-A: 1\r\nX-A: 2\r\n",
        ),
        (
            "GET",
            "/dev/c",
            None,
            "Host: gw\r\nX-Forwarded-For: a\r\nX-B: 1\r\nX-Forwarded-For: b\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Port: 1\r\nX-Amzn-Trace-Id: forged\r\nProxy-Authorization: x\r\nProxy-A-Very-Long-Header-Name: x\r\n\
             TE: trailers\r\nKeep-Alive: x\r\nConnection: keep-alive\r\nVia: 1.1 x\r\nContent-Encoding: gzip\r\n\
             Authorization: Bearer x\r\nX-Amzn-Apigateway-Api-Id: forged\r\nMax-Forwards: 1\r\nServer: x\r\n\
             WWW-Authenticate: x\r\nContent-MD5: x\r\nX-Weird:  \u{e9} \r\n",
        ),
    ] {
        let head = format!("{lines}\r\n");
        let fields = fields(head.as_bytes());
        let address = address(b"api1.execute-api.x", path);
        let routed = snapshot.route(address, verb).unwrap();
        assert!(matches!(routed.plan(), Plan::Forward { .. }), "{path}");
        let admitted = testing::admit(routed).unwrap();
        let headers = header_map(&fields);
        let request = Request { verb, host: "gw", address, query, headers: &headers, facts: FACTS };
        let Ok(Step::Call(general, _)) = admitted.call(&request, None) else { panic!("no call for {path}") };
        let rest = address.unwrap().rest;
        let raw = RawHead { verb, rest, query, fields: &fields, raw: head.as_bytes() };
        let mut out = Vec::new();
        let Facts { source_ip, scheme, port, trace_id, .. } = FACTS;
        let sender = Sender { source_ip, scheme, port, trace_id: trace_id.as_bytes() };
        admitted.forward().unwrap().write(&raw, &sender, &mut out).unwrap();
        out.extend_from_slice(b"\r\n");
        let (line, rest) = out.split_at(out.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2);
        let expect = format!("{} {} HTTP/1.1\r\n", general.method, general.target);
        assert_eq!(String::from_utf8_lossy(line), expect);
        assert_eq!(canonical(rest), map_lines(&general.headers), "{verb} {path}");
        let mut from_map = Vec::new();
        admitted.forward().unwrap().write_map(&raw, &headers, &sender, &mut from_map).unwrap();
        from_map.extend_from_slice(b"\r\n");
        let after = from_map.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        assert!(from_map.starts_with(expect.as_bytes()));
        assert_eq!(canonical(&from_map[after..]), map_lines(&general.headers), "{verb} {path}");
    }
}

#[test]
fn an_answer_is_the_same_on_both_lines() {
    for lines in [
        "Content-Type: text/plain\r\nContent-Length: 3\r\nDate: now\r\nServer: up\r\nX-A: 1\r\n",
        "Connection: keep-alive\r\nKeep-Alive: x\r\nVia: 1.1 up\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nx-amzn-RequestId: t\r\n",
        "x-amz-apigw-id: x\r\nx-amzn-ErrorType: y\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nWWW-Authenticate: Basic\r\n",
        "",
    ] {
        let raw = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let fields = fields(&raw.as_bytes()["HTTP/1.1 200 OK\r\n".len()..]);
        let mut out = Vec::new();
        write_reply_fields(raw.as_bytes(), &fields, |_| false, &mut out).unwrap();
        out.extend_from_slice(b"\r\n");
        let general = transform::proxied_to_client(&header_map(&fields));
        assert_eq!(canonical(&out), map_lines(&general), "{lines}");
        let direct = reply_headers(&fields, |_| false).unwrap();
        assert_eq!(map_lines(&direct), map_lines(&general), "{lines}");
    }
}

#[test]
fn methods_take_the_short_line_when_nothing_but_the_head_matters() {
    let constant = testing::mock(r#"{"statusCode": 200}"#, &[("200", None)]);
    let mut with_template = constant.clone();
    let answer = with_template.integration_responses.get_mut("200").unwrap();
    answer.response_templates.insert("application/json".into(), Some(r#"{"ok":true}"#.into()));
    answer.response_parameters.insert("method.response.header.X-A".into(), "'b'".into());
    let mut rendering = with_template.clone();
    let answer = rendering.integration_responses.get_mut("200").unwrap();
    answer.response_templates.insert("application/json".into(), Some("$context.requestId".into()));
    let mut mapped = testing::http_proxy("http://up/{id}");
    mapped.request_parameters.insert("integration.request.path.id".into(), "method.request.path.id".into());
    let mut by_query = testing::http_proxy("http://up/x");
    by_query
        .request_parameters
        .insert("integration.request.querystring.q".into(), "method.request.querystring.q".into());
    let http = Integration { kind: "HTTP".into(), ..testing::http_proxy("http://up/x") };
    for (path, integration, expect) in [
        ("/a", constant, "answer"),
        ("/b", with_template, "answer"),
        ("/c", rendering, "general"),
        ("/d/{id}", mapped, "forward"),
        ("/e", by_query, "general"),
        ("/f", http, "general"),
    ] {
        let definition = testing::definition(&[(path, "GET", Some(integration))]);
        let snapshot = snapshot(&definition);
        let plan =
            snapshot.route(address(b"api1.execute-api.x", &format!("/dev{path}")), "GET").unwrap().plan();
        let found = match plan {
            Plan::General => "general",
            Plan::Forward { .. } => "forward",
            Plan::Answer { answer } => {
                let answer = snapshot.stages()[0].answer(answer).unwrap();
                let head = String::from_utf8_lossy(answer.head()).into_owned();
                assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
                assert_eq!(path == "/b", head.contains("x-a: b\r\n") && answer.body() == br#"{"ok":true}"#);
                "answer"
            }
        };
        assert_eq!(found, expect, "{path}");
    }
}
