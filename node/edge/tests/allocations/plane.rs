//! A whole data plane in this process, and an upstream that allocates nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use tidegate_edge::{Limiter, Options, Service};
use tidegate_gateway::{Caches, Snapshot, StageTable};
use tidegate_proto::{
    compiled::caches::{CacheModeV1, CachesV1, MethodCacheV1, StageCacheV1},
    document::{ApiDefinition, Integration, IntegrationResponse, Method, Resource, RestApi, Stage},
};
use tidegate_telemetry::{access_log, metrics::Registry};

/// A whole answer with a body of so many bytes, which caches may share.
fn answer(body_bytes: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: up\r\nContent-Type: application/json\r\nContent-Length: {body_bytes}\r\n\
         Cache-Control: public, max-age=3600\r\nETag: \"5f3a-9c1b\"\r\n\r\n"
    );
    [head.into_bytes(), vec![b'7'; body_bytes]].concat()
}

/// How long anything may take that should take no time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let (small, large, mut buffer) = (answer(66), answer(20_000), [0; 4096]);
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    let is_large = buffer[..count].windows(6).any(|part| part == b"/large");
                    if stream.write_all(if is_large { &large } else { &small }).is_err() {
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

pub(crate) fn snapshot(upstream: SocketAddr) -> Snapshot {
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
    let proxied = method(proxy);
    for (path, method) in [
        ("/proxied/{id}", proxied.clone()),
        ("/cached/{id}", proxied.clone()),
        ("/kept/{id}", proxied),
        ("/local", method(mock)),
        ("/rejected", keyed),
    ] {
        let mut resource = Resource { id: path.into(), path: path.into(), ..Resource::default() };
        resource.resource_methods.insert("GET".into(), method);
        resources.push(resource);
    }
    let api = RestApi { id: "api1".into(), ..RestApi::default() };
    let definition = ApiDefinition { api, resources, ..ApiDefinition::default() };
    let stage = Stage { stage_name: "dev".into(), deployment_id: "d1".into(), ..Stage::default() };
    let table = StageTable::compile(&definition, &stage).unwrap();
    let snapshot = Snapshot::new(1, 1, "eu-west-1", "000000000000", vec![table.into()]);
    let caches = Caches::build(Arc::new(caches()), snapshot.stages());
    snapshot.with_caches(Arc::new(caches))
}

/// Answers below `/cached` are cached by API Gateway's rules, those below `/kept` by HTTP's.
fn caches() -> CachesV1 {
    let method = |path: &str, mode| MethodCacheV1 {
        path: path.into(),
        verb: "GET".into(),
        mode,
        ttl_s: 3_600,
        namespace: path.into(),
        ..MethodCacheV1::default()
    };
    let methods = vec![method("/cached/{id}", CacheModeV1::Aws), method("/kept/{id}", CacheModeV1::Http)];
    let (api, stage) = ("api1".into(), "dev".into());
    CachesV1 {
        stages: vec![StageCacheV1 { api, stage, bytes_max: 1 << 24, methods, ..StageCacheV1::default() }],
    }
}

/// A data plane of one shard with metrics, and an access log where there is a path for it.
pub(crate) fn serve(snapshot: Snapshot, log: Option<&Path>) -> SocketAddr {
    let mut options = Options { shards: 1, ..Options::default() };
    options.listener.address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut service =
        Service::new(options, Arc::new(snapshot), Limiter::default(), Registry::new(100)).unwrap();
    let log = log.map(|path| {
        let destination = access_log::Destination::File(path.to_owned());
        access_log::Service::new(access_log::Options { destination, ..Default::default() }).unwrap()
    });
    if let Some(log) = &log {
        service = service.with_access_log(log.handle(), access_log::Format::default(), "az1", "1");
    }
    let address = service.handle().local_address().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            if let Some(log) = log {
                tokio::spawn(log.run(std::future::pending()));
            }
            service.run(std::future::pending()).await.unwrap();
        });
    });
    address
}
