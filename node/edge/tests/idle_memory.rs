//! An idle connection is small: a counting allocator over a running data plane tells what a keep-alive connection holds once
//! its request has been answered.

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidegate_edge::{Options, Service};
use tidegate_gateway::{Snapshot, StageTable};
use tidegate_proto::document::{ApiDefinition, Integration, Method, Resource, RestApi, Stage};
use tidegate_telemetry::metrics::Registry;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What one idle connection may hold on the heap, its share of tables included.
const IDLE_BYTES_MAX: isize = 1_450;
const CONNECTIONS: usize = 256;
/// Time for buffers that are no longer needed to be freed.
const SETTLE: Duration = Duration::from_secs(10);

const REQUEST: &[u8] = b"GET /dev/proxied HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

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

fn snapshot(upstream: SocketAddr) -> Snapshot {
    let proxy = Integration {
        kind: "HTTP_PROXY".into(),
        http_method: Some("ANY".into()),
        uri: Some(format!("http://{upstream}/")),
        ..Integration::default()
    };
    let method = Method { http_method: "GET".into(), method_integration: Some(proxy), ..Method::default() };
    let mut resource = Resource { id: "r".into(), path: "/proxied".into(), ..Resource::default() };
    resource.resource_methods.insert("GET".into(), method);
    let api = RestApi { id: "api1".into(), ..RestApi::default() };
    let definition = ApiDefinition { api, resources: vec![resource], ..ApiDefinition::default() };
    let stage = Stage { stage_name: "dev".into(), deployment_id: "d1".into(), ..Stage::default() };
    let table = StageTable::compile(&definition, &stage).unwrap();
    Snapshot::new(1, 1, "eu-west-1", "000000000000", vec![table.into()])
}

fn serve(snapshot: Snapshot) -> SocketAddr {
    let mut options = Options { shards: 1, ..Options::default() };
    options.listener.address = SocketAddr::from(([127, 0, 0, 1], 0));
    let service = Service::new(options, Arc::new(snapshot), Registry::new(100)).unwrap();
    let address = service.handle().local_address().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(service.run(std::future::pending())).unwrap();
    });
    address
}

/// A connection that has had one answer.
fn answered(gateway: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(gateway).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(REQUEST).unwrap();
    let mut buffer = [0; 4096];
    let count = client.read(&mut buffer).unwrap();
    assert!(
        buffer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        String::from_utf8_lossy(&buffer[..count])
    );
    client
}

fn live_bytes() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed()
}

#[test]
fn an_idle_connection_holds_little() {
    let gateway = serve(snapshot(upstream()));
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    // Tables grow by doubling: after this many they have their size for as many again.
    clients.extend((0..=CONNECTIONS).map(|_| answered(gateway)));
    let before = live_bytes();
    clients.extend((1..CONNECTIONS).map(|_| answered(gateway)));
    let deadline = Instant::now() + SETTLE;
    let each = loop {
        let each = (live_bytes() - before) / CONNECTIONS.cast_signed();
        if each <= IDLE_BYTES_MAX || Instant::now() > deadline {
            break each;
        }
        thread::sleep(Duration::from_millis(50));
    };
    println!("{each} bytes for each of {} idle connections", clients.len());
    assert!((256..=IDLE_BYTES_MAX).contains(&each), "{each} bytes for each idle connection");
}
