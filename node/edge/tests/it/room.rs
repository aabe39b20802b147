//! A running data plane in front of a scripted upstream, and a client that speaks raw bytes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use tidegate_edge::{Handle, Limiter, Options, Service};
use tidegate_gateway::{Snapshot, StageTable};
use tidegate_proto::document::{
    ApiDefinition, Integration, IntegrationResponse, Method, Resource, RestApi, Stage,
};
use tidegate_telemetry::{access_log, metrics::Registry};

/// How long anything in a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A data plane on a port of its own; dropped, it is drained.
pub(crate) struct Room {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) registry: Registry,
}

impl Room {
    /// Serves an API `api1`, stage `dev`, of these methods by path and verb.
    pub(crate) fn serve(methods: &[(&str, &str, Integration)]) -> Self {
        Self::with(Options { shards: 2, ..Options::default() }, snapshot(1, methods))
    }

    /// Serves a snapshot with these options.
    pub(crate) fn with(mut options: Options, snapshot: Snapshot) -> Self {
        options.listener.address = SocketAddr::from(([127, 0, 0, 1], 0));
        options.listener.drain_timeout_ms = 2_000;
        let registry = Registry::new(100);
        let service =
            Service::new(options, Arc::new(snapshot), Limiter::default(), registry.clone()).unwrap();
        Self::run(service, registry, None)
    }

    /// Runs a service, and the log it writes to.
    pub(crate) fn run(service: Service, registry: Registry, log: Option<access_log::Service>) -> Self {
        let handle = service.handle();
        let address = handle.local_address().unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                if let Some(log) = log {
                    tokio::spawn(log.run(std::future::pending()));
                }
                service.run(std::future::pending()).await.unwrap();
            });
        });
        Self { address, handle, registry }
    }

    /// One connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends one request with `Connection: close` and returns all that comes back.
    pub(crate) fn ask(&self, head: &str, body: &str) -> Answer {
        let mut client = self.connect();
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
        client.send(&format!(
            "{line} HTTP/1.1\r\nHost: api1.execute-api.local\r\n{headers}Connection: close\r\n\r\n{body}"
        ));
        client.read_to_end()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.handle.drain();
    }
}

/// A client that writes and reads bytes.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Everything until the peer closes.
    pub(crate) fn read_to_end(&mut self) -> Answer {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        Answer(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads until what came ends in `mark`, with as few calls as possible.
    pub(crate) fn read_whole(&mut self, mark: &str) {
        let mut buffer = [0; 4096];
        let mut filled = 0;
        while !buffer[..filled].ends_with(mark.as_bytes()) {
            let count = self.0.read(&mut buffer[filled..]).unwrap();
            assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&buffer[..filled]));
            filled += count;
        }
    }

    /// Everything up to and including `mark`.
    pub(crate) fn read_until(&mut self, mark: &str) -> Answer {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(mark.as_bytes()) && self.0.read(&mut byte).is_ok_and(|count| count == 1) {
            bytes.push(byte[0]);
        }
        Answer(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split_once("\r\n\r\n").map_or(self.0.as_str(), |(head, _)| head);
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Sorted headers without those that differ from answer to answer.
    pub(crate) fn stable_headers(&self) -> Vec<String> {
        const VOLATILE: [&str; 4] = ["date", "x-amzn-requestid", "x-amz-apigw-id", "connection"];
        let head = self.0.split_once("\r\n\r\n").map_or("", |(head, _)| head);
        let mut lines: Vec<String> = head
            .lines()
            .skip(1)
            .filter(|line| {
                !VOLATILE.iter().any(|name| line.to_ascii_lowercase().starts_with(&format!("{name}:")))
            })
            .map(lower_name)
            .collect();
        lines.sort();
        lines
    }
}

/// A header line with its name in lower case: names have no case (RFC 9110 §5.1).
pub(crate) fn lower_name(line: &str) -> String {
    line.split_once(':')
        .map_or_else(|| line.to_owned(), |(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
}

/// An upstream that answers every connection as a script says and reports the requests it saw.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: mpsc::Receiver<String>,
}

impl Upstream {
    /// Each request, whatever it is, is read as far as its Content-Length or last chunk and answered with `answer`.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::scripted(move |stream, seen| {
            while let Some(request) = read_request(stream) {
                let is_last = answer.contains("Connection: close");
                let _ = seen.send(request);
                if stream.write_all(answer.as_bytes()).is_err() || is_last {
                    return;
                }
            }
        })
    }

    /// Each connection is handed to `script`.
    pub(crate) fn scripted(
        script: impl Fn(&mut TcpStream, &mpsc::Sender<String>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (report, seen) = mpsc::channel();
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), script, report) = (stream, Arc::clone(&script), report.clone()) else {
                    return;
                };
                thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    script(&mut stream, &report);
                });
            }
        });
        Self { address, seen }
    }

    /// The next request, head and body as they came.
    pub(crate) fn seen(&self) -> String {
        self.seen.recv_timeout(PATIENCE).expect("the upstream was called")
    }

    /// All requests that came since.
    pub(crate) fn all(&self) -> Vec<String> {
        self.seen.try_iter().collect()
    }

    /// Whether the upstream was called since.
    pub(crate) fn was_called(&self) -> bool {
        self.seen.try_recv().is_ok()
    }
}

/// Reads one request; the peer sends none before it was answered.
pub(crate) fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let is_whole = match length {
                Some(length) => text.len() >= end + 4 + length,
                None => !head.contains("transfer-encoding: chunked") || text.ends_with(b"0\r\n\r\n"),
            };
            if is_whole {
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
        }
        let count = stream.read(&mut block).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&block[..count]);
    }
}

/// A snapshot of one stage.
pub(crate) fn snapshot(revision: u64, methods: &[(&str, &str, Integration)]) -> Snapshot {
    let mut definition = ApiDefinition {
        api: RestApi { id: "api1".into(), ..RestApi::default() },
        ..ApiDefinition::default()
    };
    for (path, verb, integration) in methods {
        let known = definition.resources.iter().position(|resource| resource.path == *path);
        let at = known.unwrap_or_else(|| {
            definition.resources.push(Resource { path: (*path).into(), ..Resource::default() });
            definition.resources.len() - 1
        });
        let method = Method {
            api_key_required: *path == "/locked",
            method_integration: Some(integration.clone()),
            ..Method::default()
        };
        definition.resources[at].resource_methods.insert((*verb).into(), method);
    }
    let stage = Stage { stage_name: "dev".into(), ..Stage::default() };
    let table = StageTable::compile(&definition, &stage).unwrap();
    Snapshot::new(revision, revision, "eu-west-1", "000000000000", vec![Arc::new(table)])
}

/// An integration of a kind with the client's verb.
pub(crate) fn integration(kind: &str, uri: &str) -> Integration {
    Integration {
        kind: kind.into(),
        uri: Some(uri.into()),
        http_method: Some("ANY".into()),
        timeout_in_millis: 5_000,
        ..Integration::default()
    }
}

/// An `HTTP_PROXY` to a path of an upstream.
pub(crate) fn proxy(upstream: SocketAddr, path: &str) -> Integration {
    integration("HTTP_PROXY", &format!("http://{upstream}{path}"))
}

/// A `MOCK` that answers 200 with a body.
pub(crate) fn mock(body: &str) -> Integration {
    let mut integration = Integration { kind: "MOCK".into(), ..Integration::default() };
    integration.request_templates.insert("application/json".into(), "{\"statusCode\": 200}".into());
    let mut response = IntegrationResponse { status_code: "200".into(), ..IntegrationResponse::default() };
    response.response_templates.insert("application/json".into(), Some(body.into()));
    integration.integration_responses.insert("200".into(), response);
    integration
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
