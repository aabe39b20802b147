//! The access log: one line per request, from every shard.

use std::{fs, num::NonZeroU32, sync::Arc};

use tidegate_edge::{Options, Service};
use tidegate_telemetry::{
    access_log::{self, Destination, Format},
    metrics::Registry,
};

use crate::room::{Room, Upstream, eventually, mock, proxy, snapshot};

#[test]
fn a_line_per_request() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let path = std::env::temp_dir().join(format!("tidegate-edge-log-{}", std::process::id()));
    let options = access_log::Options {
        destination: Destination::File(path.clone()),
        flush_interval_ms: 10,
        ..access_log::Options::default()
    };
    let log = access_log::Service::new(options).unwrap();
    let format = "$context.httpMethod $context.path $context.resourcePath $context.status $context.responseLength \
                  $context.integration.status $context.error.responseType $context.apiId $context.stage";
    let handle = log.handle();
    let mut options =
        Options { requests_per_second_max: NonZeroU32::new(1_000), shards: 1, ..Options::default() };
    options.listener.address = ([127, 0, 0, 1], 0).into();
    let first =
        snapshot(3, &[("/up/{id}", "GET", proxy(upstream.address, "/")), ("/local", "GET", mock("12345"))]);
    let service = Service::new(options, Arc::new(first), Registry::new(10)).unwrap().with_access_log(
        handle,
        Format::parse(format).unwrap(),
        "az-a",
        "1",
    );
    let room = Room::run(service, Registry::new(10), Some(log));
    for request in ["GET /dev/up/7?x=1", "GET /dev/local", "GET /dev/none"] {
        room.ask(request, "");
    }
    let expect = [
        "GET /dev/up/7 /up/{id} 200 2 200 - api1 dev",
        "GET /dev/local /local 200 5 - - api1 dev",
        "GET /dev/none - 403 42 - MISSING_AUTHENTICATION_TOKEN - -",
    ];
    eventually("three lines", || {
        fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == expect.len())
    });
    assert_eq!(fs::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), expect);
    fs::remove_file(&path).unwrap();
}
