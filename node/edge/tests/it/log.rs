//! The access log: one line per request, from every shard.

use std::{fs, num::NonZeroU32, sync::Arc};

use tidegate_edge::{Limiter, Options, Service};
use tidegate_telemetry::{
    access_log::{self, Destination, Format},
    metrics::Registry,
};

use crate::room::{Room, Upstream, eventually, mock, proxy, snapshot};

/// The lines that `requests` leave, over the short line or the general one.
fn logged(direct: bool, format: &str, requests: &[&str]) -> Vec<String> {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let options = access_log::Options {
        destination: Destination::File(path.clone()),
        flush_interval_ms: 10,
        ..access_log::Options::default()
    };
    let log = access_log::Service::new(options).unwrap();
    let handle = log.handle();
    let mut options =
        Options { requests_per_second_max: NonZeroU32::new(1_000), shards: 1, direct, ..Options::default() };
    options.listener.address = ([127, 0, 0, 1], 0).into();
    let gone = proxy(([127, 0, 0, 1], 1).into(), "/");
    let first = snapshot(
        3,
        &[
            ("/up/{id}", "GET", proxy(upstream.address, "/")),
            ("/local", "GET", mock("12345")),
            ("/locked", "GET", mock("12345")),
            ("/gone", "GET", gone),
        ],
    );
    let service = Service::new(options, Arc::new(first), Limiter::default(), Registry::new(10))
        .unwrap()
        .with_access_log(handle, Format::parse(format).unwrap(), "az-a", "1");
    let room = Room::run(service, Registry::new(10), Some(log));
    for request in requests {
        room.ask(request, "");
    }
    eventually("a line per request", || {
        fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == requests.len())
    });
    fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_line_per_request() {
    let format = "$context.httpMethod $context.path $context.resourcePath $context.status $context.responseLength \
                  $context.integration.status $context.error.responseType $context.apiId $context.stage";
    let lines = logged(true, format, &["GET /dev/up/7?x=1", "GET /dev/local", "GET /dev/none"]);
    let expect = [
        "GET /dev/up/7 /up/{id} 200 2 200 - api1 dev",
        "GET /dev/local /local 200 5 - - api1 dev",
        "GET /dev/none - 403 42 - MISSING_AUTHENTICATION_TOKEN - -",
    ];
    assert_eq!(lines, expect);
}

#[test]
fn both_lines_log_the_same() {
    // All but the names and times of a request.
    let names = [
        "identity.sourceIp identity.userAgent identity.caller identity.user identity.userArn identity.accountId",
        "identity.accessKey identity.apiKeyId identity.clientCert.subjectDN httpMethod path resourcePath resourceId",
        "routeKey status protocol responseLength dataProcessed integrationStatus integration.status",
        "integration.integrationStatus integrationErrorMessage integration.error integration.requestId apiId",
        "accountId stage deploymentId domainName domainPrefix customDomain.basePathMatched error.message",
        "error.messageString error.responseType error.validationErrorString authorizer.principalId",
        "authorizer.error authorizer.status authorizer.latency authorizer.other wafResponseCode xrayTraceId",
        "connectionId eventType messageId tidegate.region tidegate.az tidegate.node tidegate.cache other",
    ];
    let shown = |name| format!("\"{name}\":\"$context.{name}\"");
    let members: Vec<String> = names.iter().flat_map(|row| row.split(' ')).map(shown).collect();
    let format = format!("{{{}}}", members.join(","));
    let trace = "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793";
    let asked = ["/up/7?x=1", "/local", "/locked", "/none", "/gone", "/a%20b/c'd&e,f"];
    let requests = asked.map(|path| format!("GET /dev{path}\n{trace}\nUser-Agent: curl/8 (\"x\\y\", <z>)"));
    let requests = requests.each_ref().map(String::as_str);
    let lines = logged(true, &format, &requests);
    assert_eq!(lines, logged(false, &format, &requests));
    for line in &lines {
        for member in [
            r#""identity.userAgent":"curl/8 (\"x\\y\", <z>)""#,
            r#""domainName":"api1.execute-api.local""#,
            r#""domainPrefix":"api1""#,
            r#""tidegate.az":"az-a""#,
            r#""xrayTraceId":"Root=1-5759e988-bd862e3fe1be46a994272793""#,
        ] {
            assert!(line.contains(member), "{member} in {line}");
        }
    }
}

#[test]
fn passing_an_answer_on_takes_time() {
    let format = "$context.requestId $context.tidegate.phase.integrate_us $context.tidegate.phase.respond_us";
    let lines = logged(true, format, &["GET /dev/up/7"; 20]);
    let respond_us = |line: &String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    assert!(lines.iter().any(|line| respond_us(line) > 0), "{lines:?}");
}
