//! Pass-through, mapping, mocks and refusals.

use tidegate_edge::Options;
use tidegate_proto::document::IntegrationResponse;

use crate::room::{Room, Upstream, integration, lower_name, mock, proxy, snapshot};

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nServer: up\r\nX-Hop: 1\r\n\
                     Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Up: a\r\nX-Up: b\r\n\r\nhi";

/// Request headers the upstream saw, sorted, without those that differ from request to request.
fn stable(seen: &str) -> Vec<String> {
    let head = seen.split_once("\r\n\r\n").unwrap().0;
    let lines = head.lines().skip(1).map(lower_name);
    let mut lines: Vec<String> = lines.filter(|line| !line.starts_with("x-amzn-trace-id: ")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_proxied_request_to_the_byte() {
    let upstream = Upstream::answering(PLAIN);
    let room = Room::serve(&[("/base/{proxy+}", "ANY", proxy(upstream.address, "/v1/{proxy}"))]);
    let answer = room.ask(
        "POST /dev/base/a%20b/c//d?x=1&y=%2F+z\nContent-Type: text/x\nContent-Length: 4\nX-Secret: 1\nX-Forwarded-For: 192.0.2.1\nTE: trailers\nKeep-Alive: 1\nAuthorization: Bearer t",
        "ping",
    );
    let seen = upstream.seen();
    assert!(
        seen.starts_with("POST /v1/a%20b/c//d?x=1&y=%2F+z HTTP/1.1\r\n") && seen.ends_with("\r\n\r\nping"),
        "{seen}"
    );
    let host = format!("host: {}", upstream.address);
    let port = format!("x-forwarded-port: {}", room.address.port());
    let mut expect = vec![
        "accept: application/json",
        "authorization: Bearer t",
        "content-length: 4",
        "content-type: text/x",
        &host,
        "user-agent: AmazonAPIGateway_api1",
        "x-amzn-apigateway-api-id: api1",
        "x-forwarded-for: 192.0.2.1, 127.0.0.1",
        &port,
        "x-forwarded-proto: http",
        "x-secret: 1",
    ];
    expect.sort_unstable();
    assert_eq!(stable(&seen), expect);
    assert_eq!((answer.status(), answer.body()), (200, "hi"));
    assert_eq!(
        answer.stable_headers(),
        [
            "content-length: 2",
            "content-type: text/plain",
            "x-amzn-remapped-connection: keep-alive, X-Hop",
            "x-amzn-remapped-content-length: 2",
            "x-amzn-remapped-server: up",
            "x-up: a",
            "x-up: b",
        ]
    );
    assert_eq!(answer.header("x-amzn-requestid").map(str::len), Some(36));
    assert!(answer.header("x-amz-apigw-id").is_some_and(|id| id.len() == 16 && id.ends_with('=')));
    assert!(answer.header("x-amzn-errortype").is_none() && answer.header("date").is_some());
}

#[test]
fn refusals() {
    let room =
        Room::serve(&[("/pets", "GET", mock("x")), ("/locked", "GET", mock("x")), ("/", "POST", mock("x"))]);
    let host = "Host: none.execute-api.local";
    for (request, status, error, body) in [
        (
            "GET /dev/none",
            403,
            "MissingAuthenticationTokenException",
            r#"{"message":"Missing Authentication Token"}"#,
        ),
        (
            "DELETE /dev/pets",
            403,
            "MissingAuthenticationTokenException",
            r#"{"message":"Missing Authentication Token"}"#,
        ),
        ("GET /none/pets", 403, "ForbiddenException", r#"{"message":"Forbidden"}"#),
        ("GET /dev/locked\nx-api-key: anything", 403, "ForbiddenException", r#"{"message":"Forbidden"}"#),
    ] {
        let answer = room.ask(request, "");
        assert_eq!((answer.status(), answer.body()), (status, body), "{request}");
        let length = format!("content-length: {}", body.len());
        let error = format!("x-amzn-errortype: {error}");
        assert_eq!(
            answer.stable_headers(),
            [length.as_str(), "content-type: application/json", error.as_str()]
        );
    }
    let mut client = room.connect();
    client.send(&format!("GET /dev/pets HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n"));
    assert_eq!(client.read_to_end().body(), r#"{"message":"Forbidden"}"#);
    let summary = room.registry.render();
    assert!(summary.contains("route=\"/locked\",method=\"GET\",code=\"403\"} 1"), "{summary}");
}

#[test]
fn mocks_and_their_templates() {
    let room = Room::serve(&[(
        "/pets/{id}",
        "ANY",
        mock("$input.params('id') $input.params('X-Name') $context.httpMethod"),
    )]);
    let answer = room.ask("GET /dev/pets/7\nX-Name: Ada", "");
    assert_eq!((answer.status(), answer.body()), (200, "7 Ada GET"));
    assert_eq!(answer.stable_headers(), ["content-length: 9", "content-type: application/json"]);
    let head = room.ask("HEAD /dev/pets/7", "");
    assert_eq!((head.status(), head.body(), head.header("content-length")), (200, "", Some("7")));
    let over = room.ask("GET /dev/pets/7\nX-HTTP-Method-Override: PATCH", "");
    assert_eq!(over.body(), "7  PATCH");
    for path in ["/_aws/execute-api/api1/dev/pets/8", "/restapis/api1/dev/_user_request_/pets/8"] {
        let mut client = room.connect();
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert_eq!(client.read_to_end().body(), "8  GET", "{path}");
    }
}

#[test]
fn a_mapped_call() {
    let upstream = Upstream::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\nX-Reason: lost\r\n\r\n{\"id\":\"gone\"}",
    );
    let mut call = integration("HTTP", &format!("http://{}/items", upstream.address));
    call.http_method = Some("POST".into());
    call.request_templates.insert("application/json".into(), "{\"wanted\":$input.json('$.name')}".into());
    call.request_parameters
        .insert("integration.request.querystring.q".into(), "method.request.header.x-q".into());
    let mut lost = IntegrationResponse {
        status_code: "410".into(),
        selection_pattern: Some("404".into()),
        ..IntegrationResponse::default()
    };
    lost.response_parameters
        .insert("method.response.header.x-why".into(), "integration.response.header.x-reason".into());
    lost.response_templates.insert("application/json".into(), Some("id=$input.path('$.id')".into()));
    call.integration_responses.insert("410".into(), lost);
    let room = Room::serve(&[("/find", "PUT", call)]);
    let answer = room.ask(
        "PUT /dev/find\nContent-Type: application/json\nContent-Length: 14\nX-Q: a b",
        r#"{"name":"Ada"}"#,
    );
    let seen = upstream.seen();
    assert!(
        seen.starts_with("POST /items?q=a%20b HTTP/1.1\r\n") && seen.ends_with("{\"wanted\":\"Ada\"}"),
        "{seen}"
    );
    assert!(!seen.contains("x-q") && seen.contains("content-type: application/json"), "{seen}");
    // The upstream announced twelve of its thirteen bytes, so the body is no JSON and the mapping fails.
    assert_eq!((answer.status(), answer.body()), (500, r#"{"message":"Internal server error"}"#));
}

#[test]
fn the_ceiling_answers_429() {
    let options =
        Options { requests_per_second_max: std::num::NonZeroU32::new(1), shards: 1, ..Options::default() };
    let room = Room::with(options, snapshot(1, &[("/", "GET", mock("x"))]));
    let codes: Vec<u16> = (0..5).map(|_| room.ask("GET /dev", "").status()).collect();
    assert!(codes.first() == Some(&200) && codes.contains(&429), "{codes:?}");
}
