//! Two data planes side by side, one with the fast path and one without, each in front of an upstream of its own. One case at a
//! time; several lanes run in parallel.

use std::{fmt::Write, io, net::SocketAddr, sync::Arc, thread, time::Duration};

use tidegate_edge::{Handle, Options, Service};
use tidegate_gateway::{Snapshot, StageTable};
use tidegate_proto::document::{ApiDefinition, Integration, Method, Resource, RestApi, Stage};
use tidegate_telemetry::metrics::Registry;

use super::{
    case::{Case, Manners},
    client::{self, Talk},
    message::Message,
    upstream::Upstream,
};

/// What an integration may take, in milliseconds; the slow one's is [`SLOW_MS`].
const PATIENT_MS: u32 = 5_000;
/// What `/slow` may take, in milliseconds.
const SLOW_MS: u32 = 80;

/// A data plane and the upstream behind it.
struct Plane {
    address: SocketAddr,
    handle: Handle,
    upstream: Upstream,
}

/// The two planes.
pub(crate) struct Lane {
    direct: Plane,
    general: Plane,
}

/// What became of a case in one plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) talk: Talk,
    /// What arrived at the upstream.
    pub(crate) requests: Vec<Message>,
}

/// What became of a case in both planes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) direct: Outcome,
    pub(crate) general: Outcome,
}

impl Lane {
    /// Starts everything on ports of its own, the upstreams on the current runtime.
    pub(crate) async fn start() -> io::Result<Self> {
        Ok(Self { direct: Plane::start(true).await?, general: Plane::start(false).await? })
    }

    /// Runs a case in both planes at once.
    pub(crate) async fn run(&self, case: &Case, manners: &Manners, patience: Duration) -> Outcomes {
        let (direct, general) =
            tokio::join!(self.direct.run(case, manners, patience), self.general.run(case, manners, patience));
        Outcomes { direct, general }
    }
}

impl Plane {
    async fn start(direct: bool) -> io::Result<Self> {
        let upstream = Upstream::start().await?;
        let mut options = Options { shards: 1, direct, ..Options::default() };
        options.listener.address = SocketAddr::from(([127, 0, 0, 1], 0));
        options.listener.drain_timeout_ms = 0;
        let service = Service::new(
            options,
            Arc::new(snapshot(upstream.address)?),
            tidegate_edge::Limiter::default(),
            Registry::new(100),
        )
        .map_err(io::Error::other)?;
        let handle = service.handle();
        let address = handle.local_address().ok_or_else(|| io::Error::other("no address"))?;
        thread::Builder::new().name("plane".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let ended = runtime.map(|runtime| runtime.block_on(service.run(std::future::pending())));
            if let Err(error) = ended {
                eprintln!("a plane could not be started: {error}");
            }
        })?;
        Ok(Self { address, handle, upstream })
    }

    async fn run(&self, case: &Case, manners: &Manners, patience: Duration) -> Outcome {
        self.upstream.begin(&case.scripts);
        let mut talk = client::talk(self.address, case, manners, patience).await;
        talk.answers.iter_mut().for_each(mask_answer);
        let mut requests = self.upstream.take();
        requests.iter_mut().for_each(|request| mask_request(request, self.address));
        Outcome { talk, requests }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.handle.drain();
    }
}

impl Outcome {
    /// Statuses of the final answers, the probe's included.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers().map(Message::status).filter(|status| *status >= 200).collect()
    }

    /// Answers that are whole. One that breaks off says no more than that the connection broke off: how much of it leaves
    /// before that is a matter of time.
    fn answers(&self) -> impl Iterator<Item = &Message> {
        self.talk.answers.iter().filter(|answer| answer.is_whole)
    }

    /// The canonical form, to be compared and shown.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for request in &self.requests {
            let _ = write!(text, "upstream saw {request}");
        }
        for answer in self.answers() {
            let _ = write!(text, "client got {answer}");
        }
        if !self.talk.rest.is_empty() {
            let _ = writeln!(text, "client got something else: {}", self.talk.rest);
        }
        if self.talk.is_hung {
            text.push_str("hung\n");
        }
        text
    }
}

/// A trace that the gateway began.
fn is_drawn_trace(value: &str) -> bool {
    value.len() == 40 && value.starts_with("Root=1-") && !value.contains("5759e988")
}

/// Masks what each answer draws for itself, and leaves out what belongs to one connection.
fn mask_answer(answer: &mut Message) {
    for (name, length) in [("date", 29), ("x-amzn-requestid", 36), ("x-amz-apigw-id", 16)] {
        answer.mask(name, "*", |value| value.len() == length);
    }
    answer.mask("x-amzn-trace-id", "*", is_drawn_trace);
    answer.forget("connection");
}

/// Masks what differs from plane to plane and from call to call.
fn mask_request(request: &mut Message, own: SocketAddr) {
    let port = own.port().to_string();
    request.mask("x-forwarded-port", "PORT", |value| value == port);
    request.mask("x-amzn-trace-id", "*", is_drawn_trace);
}

/// One API `a`, stage `s`, whose methods take each of the ways through the gateway.
fn snapshot(upstream: SocketAddr) -> io::Result<Snapshot> {
    let proxy = |verb: &str, path: &str| Integration {
        kind: "HTTP_PROXY".into(),
        uri: Some(format!("http://{upstream}{path}")),
        http_method: Some(verb.into()),
        timeout_in_millis: PATIENT_MS,
        ..Integration::default()
    };
    let slow = Integration { timeout_in_millis: SLOW_MS, ..proxy("ANY", "/slow") };
    let mut constant = Integration { kind: "MOCK".into(), ..Integration::default() };
    constant.request_templates.insert("application/json".into(), "{\"statusCode\": 200}".into());
    constant.integration_responses.insert("200".into(), Default::default());
    let mut mapped = Integration { kind: "HTTP".into(), ..proxy("POST", "/mapped") };
    mapped.request_templates.insert("application/json".into(), "{\"got\":$input.json('$')}".into());
    mapped.integration_responses.insert("200".into(), Default::default());
    let mut definition =
        ApiDefinition { api: RestApi { id: "a".into(), ..RestApi::default() }, ..ApiDefinition::default() };
    for (path, verb, integration) in [
        ("/p", "ANY", proxy("ANY", "/p")),
        ("/probe", "GET", proxy("GET", "/probe")),
        ("/only", "GET", proxy("ANY", "/only")),
        ("/q", "ANY", proxy("ANY", "/q?z=1")),
        ("/g/{proxy+}", "ANY", proxy("ANY", "/g/{proxy}")),
        ("/x/{one}/y", "ANY", proxy("ANY", "/{one}/y")),
        ("/get", "ANY", proxy("GET", "/get")),
        ("/post", "ANY", proxy("POST", "/post")),
        ("/locked", "ANY", proxy("ANY", "/locked")),
        ("/slow", "ANY", slow),
        ("/mock", "ANY", constant),
        ("/mapped", "ANY", mapped),
    ] {
        let method = Method {
            api_key_required: path == "/locked",
            method_integration: Some(integration),
            ..Method::default()
        };
        let mut resource = Resource { path: path.into(), ..Resource::default() };
        resource.resource_methods.insert(verb.into(), method);
        definition.resources.push(resource);
    }
    let stage = Stage { stage_name: "s".into(), ..Stage::default() };
    let table =
        StageTable::compile(&definition, &stage).map_err(|faults| io::Error::other(format!("{faults:?}")))?;
    Ok(Snapshot::new(1, 1, "local", "000000000000", vec![Arc::new(table)]))
}
