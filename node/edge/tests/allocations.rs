//! The request path of HTTP/1 allocates nothing, that of HTTP/2 little: a counting allocator over a running data plane, a client
//! and an upstream that allocate nothing either.

#[path = "allocations/multiplexed.rs"]
mod multiplexed;

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidegate_edge::{Options, Service};
use tidegate_gateway::{Snapshot, StageTable};
use tidegate_proto::document::{
    ApiDefinition, Integration, IntegrationResponse, Method, Resource, RestApi, Stage,
};
use tidegate_telemetry::{access_log, metrics::Registry};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: up\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Type: application/json\r\n\
      Content-Length: 66\r\nCache-Control: no-store\r\nETag: \"5f3a-9c1b\"\r\n\r\n\
      {\"id\":42,\"name\":\"widget\",\"tags\":[\"a\",\"b\"],\"price\":12.5,\"left\":100}";
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests of one window, and windows: a window may meet a tick of the clock, the quietest one does not.
const REQUESTS: usize = 200;
const WINDOWS: usize = 25;

fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                    if stream.write_all(ANSWER).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn method(integration: Integration) -> Method {
    Method { http_method: "GET".into(), method_integration: Some(integration), ..Method::default() }
}

fn snapshot(upstream: SocketAddr) -> Snapshot {
    let proxy = Integration {
        kind: "HTTP_PROXY".into(),
        http_method: Some("ANY".into()),
        uri: Some(format!("http://{upstream}/v1/{{id}}")),
        ..Integration::default()
    };
    let mut mock = Integration { kind: "MOCK".into(), ..Integration::default() };
    mock.request_templates.insert("application/json".into(), r#"{"statusCode": 200}"#.into());
    let response = IntegrationResponse { status_code: "200".into(), ..IntegrationResponse::default() };
    mock.integration_responses.insert("200".into(), response);
    let mut keyed = method(mock.clone());
    keyed.api_key_required = true;
    let mut resources = Vec::new();
    for (path, method) in [("/proxied/{id}", method(proxy)), ("/local", method(mock)), ("/rejected", keyed)] {
        let mut resource = Resource { id: path.into(), path: path.into(), ..Resource::default() };
        resource.resource_methods.insert("GET".into(), method);
        resources.push(resource);
    }
    let api = RestApi { id: "api1".into(), ..RestApi::default() };
    let definition = ApiDefinition { api, resources, ..ApiDefinition::default() };
    let stage = Stage { stage_name: "dev".into(), deployment_id: "d1".into(), ..Stage::default() };
    let table = StageTable::compile(&definition, &stage).unwrap();
    Snapshot::new(1, 1, "eu-west-1", "000000000000", vec![table.into()])
}

/// A data plane of one shard with metrics and an access log.
fn serve(snapshot: Snapshot, log: &std::path::Path) -> SocketAddr {
    let mut options = Options { shards: 1, ..Options::default() };
    options.listener.address = SocketAddr::from(([127, 0, 0, 1], 0));
    let destination = access_log::Destination::File(log.to_owned());
    let log = access_log::Service::new(access_log::Options { destination, ..Default::default() }).unwrap();
    let service = Service::new(options, Arc::new(snapshot), Registry::new(100)).unwrap();
    let service = service.with_access_log(log.handle(), access_log::Format::default(), "az1", "1");
    let address = service.handle().local_address().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            tokio::spawn(log.run(std::future::pending()));
            service.run(std::future::pending()).await.unwrap();
        });
    });
    address
}

/// Allocations of the quietest window of requests over HTTP/1.
fn fewest(gateway: SocketAddr, path: &str, status: &[u8]) -> usize {
    let request = format!(
        "GET /dev/{path} HTTP/1.1\r\nHost: api1.execute-api.local\r\nUser-Agent: test\r\nAccept: */*\r\n\
         Accept-Encoding: gzip\r\nAuthorization: Bearer x\r\nX-Request-Id: 1\r\n\r\n"
    );
    let mut client = TcpStream::connect(gateway).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 4096];
    quietest(1, || {
        client.write_all(request.as_bytes()).unwrap();
        let count = client.read(&mut buffer).unwrap();
        assert!(buffer[..count].starts_with(status), "{}", String::from_utf8_lossy(&buffer[..count]));
    })
}

/// Allocations of the quietest window, when `ask` asks so many times at once.
fn quietest(at_once: usize, mut ask: impl FnMut()) -> usize {
    let rounds = REQUESTS / at_once;
    // Pools, buffers and the log find their sizes.
    (0..20 * rounds).for_each(|_| ask());
    let window = || {
        let region = Region::new(ALLOCATOR);
        (0..rounds).for_each(|_| ask());
        let change = region.change();
        change.allocations + change.reallocations
    };
    std::iter::repeat_with(window).take(WINDOWS).min().unwrap()
}

/// One test at a time: the allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// What `measure` finds at a new gateway.
fn alone(measure: impl FnOnce(SocketAddr) -> usize) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    measure(serve(snapshot(upstream()), &folder.path().join("access.log")))
}

fn allocates_nothing(path: &str, status: &[u8]) {
    assert_eq!(alone(|gateway| fewest(gateway, path, status)), 0, "{path}");
}

#[test]
fn a_proxied_request_allocates_nothing() {
    allocates_nothing("proxied/7", b"HTTP/1.1 200 OK\r\n");
}

#[test]
fn a_local_answer_allocates_nothing() {
    allocates_nothing("local", b"HTTP/1.1 200 OK\r\n");
}

#[test]
fn a_rejected_request_allocates_nothing() {
    allocates_nothing("rejected", b"HTTP/1.1 403 Forbidden\r\n");
    allocates_nothing("nowhere", b"HTTP/1.1 403 Forbidden\r\n");
}
