//! Formats of the four AWS presets, hostile values, refused formats.

use super::*;

fn rendered(format: &str, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Format::parse(format).unwrap().render(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn hostile() -> Record<'static> {
    Record {
        request_id: Some(b"id-1"),
        source_ip: Some(b"192.0.2.7"),
        user_agent: Some("x\",\"status\":200,\"y\":\"\r\n<b>\u{2028}".as_bytes()),
        request_time_ms: Some(971_186_136_000),
        http_method: Some(b"GET"),
        status: Some(403),
        error_message: Some("say \"no\""),
        authorizer: &[("tenant", "blue"), ("claims.sub", "me")],
        ..Record::default()
    }
}

#[test]
fn presets_render_as_in_aws() {
    let record = Record {
        user_agent: Some(b"curl/8"),
        protocol: Some("HTTP/1.1"),
        resource_path: Some("/pets"),
        response_bytes: Some(12),
        ..hostile()
    };
    for (format, expected) in [
        (
            "$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] \
             \"$context.httpMethod $context.resourcePath $context.protocol\" $context.status $context.responseLength $context.requestId",
            "192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] \"GET /pets HTTP/1.1\" 403 12 id-1",
        ),
        ("$context.identity.sourceIp,$context.identity.user,$context.status", "192.0.2.7,-,403"),
        (
            "<request id=\"$context.requestId\"> <ua>$context.identity.userAgent</ua> </request>",
            "<request id=\"id-1\"> <ua>curl/8</ua> </request>",
        ),
        (
            r#"{"id":"$context.requestId","status":"$context.status","n":$context.status,"user":"$context.identity.user"}"#,
            r#"{"id":"id-1","status":"403","n":403,"user":"-"}"#,
        ),
        (
            r#"{"tenant":"$context.authorizer.tenant","sub":"$context.authorizer.claims.sub","none":"$context.authorizer.none"}"#,
            r#"{"tenant":"blue","sub":"me","none":"-"}"#,
        ),
        (
            r#"{"unknown":"$context.whatever.this","m":$context.error.messageString}"#,
            r#"{"unknown":"-","m":"say \"no\""}"#,
        ),
        ("$context.status. $5 $", "403. $5 $"),
    ] {
        assert_eq!(rendered(format, &record), expected);
    }
}

#[test]
fn no_value_leaves_its_place() {
    let record = hostile();
    for format in [
        r#"{"ua":"$context.identity.userAgent","status":$context.status}"#,
        r#"{"ua":$context.identity.userAgent,"status":$context.status}"#,
    ] {
        let line = rendered(format, &record);
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["status"], 403, "{line}");
        assert_eq!(parsed.as_object().unwrap().len(), 2, "{line}");
        assert_eq!(parsed["ua"].as_str().unwrap().as_bytes(), record.user_agent.unwrap());
    }
    for format in [
        "$context.identity.userAgent $context.status",
        "$context.identity.userAgent,$context.status",
        "<a>$context.identity.userAgent</a>",
    ] {
        let line = rendered(format, &record);
        assert!(!line.contains(['\n', '\r', '\u{2028}']), "{line:?}");
        assert!(!line.contains("<b>") || !format.starts_with('<'), "{line:?}");
    }
}

#[test]
fn the_default_format_is_json_even_when_nothing_is_known() {
    assert!(Format::default().has_request_id());
    for record in [Record::default(), hostile()] {
        let mut out = Vec::new();
        Format::default().render(&record, &mut out);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed.as_object().unwrap().len(), 26, "{parsed}");
    }
}

#[test]
fn a_bound_format_says_the_same() {
    let record = Record { region: Some("eu\"1"), az: Some("eu-1a"), node: None, ..hostile() };
    for source in [DEFAULT_FORMAT, "$context.tidegate.az $context.status $context.tidegate.node"] {
        let format = Format::parse(source).unwrap();
        let (mut bound, mut free) = (Vec::new(), Vec::new());
        let short = format.bind(&record);
        short.render(&hostile(), &mut bound);
        format.render(&record, &mut free);
        assert_eq!(String::from_utf8(bound), String::from_utf8(free));
        assert!(short.segments.len() < format.segments.len());
    }
}

#[test]
fn only_context_may_be_used() {
    for (format, expected) in [
        ("$input.body", FormatError::NotContext("$input.body".into())),
        ("$context.status ${stageVariables.x}", FormatError::NotContext("${stageVariables.x}".into())),
    ] {
        assert_eq!(Format::parse(format).unwrap_err(), expected);
    }
    let long = "x".repeat(FORMAT_BYTES_MAX + 1);
    assert_eq!(Format::parse(&long).unwrap_err(), FormatError::TooLong(FORMAT_BYTES_MAX + 1));
    assert!(!Format::parse("$context.status").unwrap().has_request_id());
}
