//! Formats of the four AWS presets, hostile values, refused formats.

use super::*;
use crate::access_log::record::{PhaseTimes, Record};
use crate::limits::VALUE_BYTES_MAX;

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
        assert_eq!(parsed.as_object().unwrap().len(), 31, "{parsed}");
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

/// What a value looks like by the rules, one character at a time.
fn by_the_rules(value: Value<'_>, escapes: &str, has_quotes: bool) -> String {
    let text = match value {
        Value::Number(number) => return number.to_string(),
        Value::Missing => "-".into(),
        Value::Own(text) => String::from_utf8(text.to_vec()).unwrap(),
        Value::Time(0) => "01/Jan/1970:00:00:00 +0000".into(),
        Value::Time(other) => panic!("{other}"),
        Value::Text(text) | Value::Quoted(text) => {
            let text = String::from_utf8_lossy(text);
            let cut = &text[..text.floor_char_boundary(VALUE_BYTES_MAX)];
            cut.chars().map(|character| escaped_by_the_rules(escapes, character)).collect()
        }
    };
    if has_quotes { format!("\"{text}\"") } else { text }
}

fn escaped_by_the_rules(escapes: &str, character: char) -> String {
    let is_hidden = character.is_control() || "\u{2028}\u{202e}".contains(character);
    match (escapes, character) {
        ("xml", '<') => "&lt;".into(),
        ("xml", '>') => "&gt;".into(),
        ("xml", '&') => "&amp;".into(),
        ("xml", '"') => "&quot;".into(),
        ("xml", '\'') => "&apos;".into(),
        ("xml", _) if is_hidden => " ".into(),
        ("xml", _) => character.into(),
        (_, '"') => "\\\"".into(),
        (_, '\\') => "\\\\".into(),
        ("text", ' ') | ("csv", ',') => format!("\\u{:04x}", u32::from(character)),
        _ if is_hidden => format!("\\u{:04x}", u32::from(character)),
        _ => character.into(),
    }
}

/// Shows one value wherever it is asked for.
struct Always(Value<'static>);

impl Facts for Always {
    fn value(&self, _: Variable) -> Value<'_> {
        self.0
    }
}

#[test]
fn every_value_is_written_by_the_rules_in_every_place() {
    let long: &'static str = "long \u{e9}".repeat(VALUE_BYTES_MAX / 4).leak();
    let texts = [
        "",
        "x",
        "/a/b?c",
        "curl/8.5 (x; y)",
        "sixteen+bytes..x",
        "a\"b",
        "\\",
        "1,2",
        "<i>",
        "&",
        "it's",
        "\r\n\t",
    ];
    let others = [
        "\u{7f}",
        "\u{e9}t\u{e9}",
        "\u{2028}\u{202e}",
        "\u{1f980}",
        "0123456789abcdef0123456789abcdef \"",
        long,
    ];
    let texts = texts.into_iter().chain(others).map(str::as_bytes).chain([&b"a\xff\xc3"[..]]);
    let numbers = [0, 7, 42, 200, 9_999, 99_999_999, 100_000_000, 1_709_251_199_000, u64::MAX];
    let mut values: Vec<_> = texts.flat_map(|text| [Value::Text(text), Value::Quoted(text)]).collect();
    values.extend(numbers.map(Value::Number));
    values.extend([Value::Missing, Value::Own(b"Root=1-5759e988"), Value::Own(b""), Value::Time(0)]);
    // Each with its escapes, whether texts get quotes, and whether texts with quotes of their own bring them.
    for (before, after, escapes, gets_quotes, brings_quotes) in [
        (r#"{"a":""#, r#""}"#, "json", false, false),
        (r#"{"a":"#, r#"}"#, "json", true, true),
        (r#"["one \"two\"","#, "]", "json", true, true),
        ("<a>", "</a>", "xml", false, true),
        ("<a b=\"", "\"/>", "xml", false, false),
        ("a,", ",b", "csv", false, true),
        ("", "", "text", false, true),
        ("at [", "] -", "text", false, true),
        ("a long text in front of the value \"GET ", "\"", "json", false, false),
    ] {
        let format = Format::parse(&format!("{before}$context.path{after}")).unwrap();
        for value in &values {
            let has_quotes = if matches!(value, Value::Quoted(_)) { brings_quotes } else { gets_quotes };
            let mut out = Vec::new();
            format.render(&Always(*value), &mut out);
            let expected = format!("{before}{}{after}", by_the_rules(*value, escapes, has_quotes));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{value:?}");
        }
    }
}

/// A record in which every field says something else.
fn full() -> Record<'static> {
    Record {
        request_id: Some(b"request_id"),
        extended_request_id: Some(b"extended_request_id"),
        source_ip: Some(b"source_ip"),
        user_agent: Some(b"user_agent"),
        caller: Some("caller"),
        user: Some("user"),
        user_arn: Some("user_arn"),
        identity_account_id: Some("identity_account_id"),
        access_key: Some("access_key"),
        api_key_id: Some("api_key_id"),
        client_cert_subject: Some("client_cert_subject"),
        request_time_ms: Some(1),
        http_method: Some(b"http_method"),
        path: Some(b"path"),
        resource_path: Some("resource_path"),
        resource_id: Some("resource_id"),
        route_key: Some("route_key"),
        status: Some(2),
        protocol: Some("protocol"),
        response_bytes: Some(3),
        response_latency_ms: Some(4),
        integration_latency_ms: Some(5),
        integration_status: Some(6),
        integration_error: Some("integration_error"),
        integration_request_id: Some("integration_request_id"),
        api_id: Some("api_id"),
        account_id: Some("account_id"),
        stage: Some("stage"),
        deployment_id: Some("deployment_id"),
        domain_name: Some(b"domain_name"),
        domain_prefix: Some(b"domain_prefix"),
        base_path_matched: Some("base_path_matched"),
        error_message: Some("error_message"),
        error_response_type: Some("error_response_type"),
        error_validation: Some("error_validation"),
        authorizer_principal_id: Some("authorizer_principal_id"),
        authorizer_error: Some("authorizer_error"),
        authorizer_status: Some(7),
        authorizer_latency_ms: Some(8),
        authorizer: &[("tenant", "blue")],
        waf_response_code: Some("waf_response_code"),
        xray_trace_id: Some(b"xray_trace_id"),
        connection_id: Some("connection_id"),
        event_type: Some("event_type"),
        message_id: Some("message_id"),
        region: Some("region"),
        az: Some("az"),
        node: Some("node"),
        cache: Some("cache"),
        upstream_az: Some("upstream_az"),
        upstream_attempts: Some(18),
        throttle_limit: Some("throttle_limit"),
        throttle_reason: Some("throttle_reason"),
        throttle_lease: Some("throttle_lease"),
        throttle_plan: Some("throttle_plan"),
        phases: PhaseTimes {
            route_us: Some(10),
            authorize_us: Some(11),
            throttle_us: Some(12),
            cache_us: Some(13),
            request_transform_us: Some(14),
            integrate_us: Some(15),
            response_transform_us: Some(16),
            respond_us: Some(17),
        },
    }
}

/// Names after `$context.`, and what a line of text shows of [`full`] for them; at the end those that are no [`Variable`].
const NAMES: &[&str] = &[
    "requestId request_id",
    "extendedRequestId extended_request_id",
    "identity.sourceIp source_ip",
    "identity.userAgent user_agent",
    "identity.caller caller",
    "identity.user user",
    "identity.userArn user_arn",
    "identity.accountId identity_account_id",
    "identity.accessKey access_key",
    "identity.apiKeyId api_key_id",
    "identity.clientCert.subjectDN client_cert_subject",
    "requestTime 01/Jan/1970:00:00:00 +0000",
    "requestTimeEpoch 1",
    "httpMethod http_method",
    "path path",
    "resourcePath resource_path",
    "resourceId resource_id",
    "routeKey route_key",
    "status 2",
    "protocol protocol",
    "responseLength 3",
    "dataProcessed 3",
    "responseLatency 4",
    "integrationLatency 5",
    "integration.latency 5",
    "integrationStatus 6",
    "integration.status 6",
    "integration.integrationStatus 6",
    "integrationErrorMessage integration_error",
    "integration.error integration_error",
    "integration.requestId integration_request_id",
    "apiId api_id",
    "accountId account_id",
    "stage stage",
    "deploymentId deployment_id",
    "domainName domain_name",
    "domainPrefix domain_prefix",
    "customDomain.basePathMatched base_path_matched",
    "error.message error_message",
    "error.messageString \"error_message\"",
    "error.responseType error_response_type",
    "error.validationErrorString error_validation",
    "authorizer.principalId authorizer_principal_id",
    "authorizer.error authorizer_error",
    "authorizer.status 7",
    "authorizer.latency 8",
    "wafResponseCode waf_response_code",
    "xrayTraceId xray_trace_id",
    "connectionId connection_id",
    "eventType event_type",
    "messageId message_id",
    "tidegate.region region",
    "tidegate.az az",
    "tidegate.node node",
    "tidegate.cache cache",
    "tidegate.upstream.az upstream_az",
    "tidegate.upstream.attempts 18",
    "tidegate.throttle.limit throttle_limit",
    "tidegate.throttle.reason throttle_reason",
    "tidegate.throttle.lease throttle_lease",
    "tidegate.throttle.plan throttle_plan",
    "tidegate.phase.route_us 10",
    "tidegate.phase.authorize_us 11",
    "tidegate.phase.throttle_us 12",
    "tidegate.phase.cache_us 13",
    "tidegate.phase.request_transform_us 14",
    "tidegate.phase.integrate_us 15",
    "tidegate.phase.response_transform_us 16",
    "tidegate.phase.respond_us 17",
    "authorizer.tenant blue",
    "authorizer.other -",
    "other -",
];

#[test]
fn every_name_shows_its_field() {
    let record = full();
    for row in NAMES {
        let (name, expected) = row.split_once(' ').unwrap();
        let format = Format::parse(&format!("$context.{name}")).unwrap();
        for (record, expected) in [(&record, expected), (&Record::default(), "-")] {
            let mut out = Vec::new();
            format.render(record, &mut out);
            format.bind(record).render(&Record::default(), &mut out);
            let again = if Variable::find(name).is_some_and(Variable::is_constant) { expected } else { "-" };
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}{again}"), "{name}");
        }
    }
    let known: Vec<_> = Variable::ALL.iter().map(|(name, _)| *name).collect();
    let shown: Vec<_> = NAMES.iter().map(|row| row.split(' ').next().unwrap()).collect();
    assert_eq!(shown[..known.len()], known);
}
