//! Bad configurations: some that must be refused when they are written, some that are valid and must hurt their own API only.

use futures_util::{FutureExt, future::BoxFuture};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Nemesis;
use crate::{
    lab::site::Site,
    limits::POISONED_PER_S,
    storm::{
        clients::{Asking, Stream},
        error::StormError,
        record::{Book, Class},
        scenario::Measure,
        setup::{self, Caller, STAGE},
        world::World,
    },
};

/// Attempts to write each bad API.
const TRIES: usize = 5;

/// Templates that try to use up a processor or the memory.
const GREEDY: [(&str, &str); 4] = [
    ("loops", "#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])x#end#end#end"),
    ("doubles", "#set($s='xxxxxxxxxxxxxxxx')#foreach($a in [1..64])#set($s=\"$s$s\")#end$s"),
    ("recurses", "#macro(m)#m()#end#m()"),
    ("unfinished", "#if($a"),
];

/// Bad APIs and requests to them; deleted at the end.
#[derive(Default)]
pub(super) struct Poison {
    apis: Vec<String>,
    asked: u8,
    stop: Option<watch::Sender<bool>>,
}

impl Poison {
    async fn write(&mut self, world: &World) -> (usize, usize) {
        let (mut accepted, mut deployed) = (0, 0);
        for (name, integration) in refusable() {
            let Some((api, root)) = self.create(world, &format!("storm-bad-{name}")).await else { continue };
            if setup::method(&caller(world), &api, &root, "GET", integration).await.is_ok() {
                world.note(format!("a bad integration was accepted: {name}"));
                accepted += 1;
            }
        }
        for (name, template) in GREEDY {
            let Some((api, root)) = self.create(world, &format!("storm-greedy-{name}")).await else {
                continue;
            };
            let written = setup::mock(&caller(world), &api, &root, template).await;
            deployed += usize::from(written.is_ok() && self.deploy(world, &api).await);
        }
        // An API whose upstream is itself.
        if let Some((api, root)) = self.create(world, "storm-self").await {
            let gateway = world.fleet.nodes()[0].gateway();
            let uri = format!("http://{gateway}/_aws/execute-api/{api}/{STAGE}/");
            let integration = json!({ "type": "HTTP_PROXY", "httpMethod": "GET", "uri": uri });
            let written = setup::method(&caller(world), &api, &root, "GET", integration).await;
            deployed += usize::from(written.is_ok() && self.deploy(world, &api).await);
        }
        (accepted, deployed)
    }

    /// An API; with bad ones at work this may take more than one try, or fail, which is for the gates to judge.
    async fn create(&mut self, world: &World, name: &str) -> Option<(String, String)> {
        for _ in 0..TRIES {
            match setup::create(&caller(world), name).await {
                Ok(made) => {
                    self.apis.push(made.0.clone());
                    return Some(made);
                }
                Err(error) => world.note(error.to_string()),
            }
        }
        None
    }

    /// Deploys a bad API and begins to ask it.
    async fn deploy(&mut self, world: &World, api: &str) -> bool {
        let deployed = setup::deploy(&caller(world), api, json!({})).await;
        match deployed {
            Ok(()) => self.ask(world, api),
            Err(error) => {
                world.note(error.to_string());
                return false;
            }
        }
        true
    }

    /// Sends a few requests per second to a bad API, from one region for each; nobody expects an answer.
    fn ask(&mut self, world: &World, api: &str) {
        let stop = self.stop.get_or_insert_with(|| watch::channel(false).0);
        let region = self.asked % world.lab.extent.regions;
        self.asked += 1;
        let nodes = world.fleet.nodes().iter().filter(|node| node.site.region() == Some(region));
        let asking = Asking {
            class: Class::Poisoned,
            region,
            doors: nodes.map(|node| (node.site, node.gateway())).collect(),
            path: setup::path_of(api),
            post_percent: 0,
            per_s: POISONED_PER_S,
        };
        let (clock, stopped) = (world.clock, stop.subscribe());
        let space = world.lab.space(Site::Clients { region });
        space.spawn(async move { Stream::start(asking, clock, Book::default(), stopped) });
    }
}

impl Nemesis for Poison {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let (accepted, deployed) = self.write(world).await;
            world.journal().measured.push((Measure::PoisonAccepted, accepted as f64));
            Ok(format!("{accepted} broken integrations accepted, {deployed} greedy APIs deployed and asked"))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            if let Some(stop) = self.stop.take() {
                stop.send_replace(true);
            }
            for api in std::mem::take(&mut self.apis) {
                // What is left over hurts nobody any more.
                let path = format!("/restapis/{api}");
                let _ = caller(world).call("a deletion", Method::DELETE, &path, Value::Null).await;
            }
            Ok(())
        }
        .boxed()
    }
}

fn caller(world: &World) -> Caller<'_> {
    Caller::new(&world.lab, Site::Observer, world.fleet.client(&world.fleet.nodes()[0]))
}

/// Integrations that can never work.
fn refusable() -> [(&'static str, Value); 4] {
    [
        ("no-host", json!({ "type": "HTTP_PROXY", "httpMethod": "GET", "uri": "http://" })),
        ("no-uri", json!({ "type": "HTTP_PROXY", "httpMethod": "GET" })),
        ("no-type", json!({ "type": "", "httpMethod": "GET", "uri": "http://127.0.0.80:8081/" })),
        (
            "oversize",
            json!({ "type": "MOCK", "requestTemplates": { "application/json": "x".repeat(400_000) } }),
        ),
    ]
}
