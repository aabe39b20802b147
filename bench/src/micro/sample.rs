//! APIs of any size and requests to them, the same on every machine.

use std::sync::Arc;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tidegate_edge::CacheTrial;
use tidegate_gateway::{Address, Caches, Snapshot, StageTable};
use tidegate_proto::compiled::caches::{CachesV1, MethodCacheV1, StageCacheV1};
use tidegate_proto::document::{ApiDefinition, Integration, Map, Method, Resource, RestApi, Stage};

/// Id of the API.
pub(super) const API: &str = "abcdefghij";
/// Its stage.
pub(super) const STAGE: &str = "prod";
/// Resources below one first segment.
const PER_SERVICE: usize = 100;

/// An API with one `GET` on each of `routes` resources; two in three have path parameters.
pub(super) fn definition(routes: usize) -> ApiDefinition {
    let api = RestApi { id: API.into(), name: "bench".into(), ..RestApi::default() };
    ApiDefinition { api, resources: (0..routes).map(resource).collect(), ..ApiDefinition::default() }
}

/// The stage it is served on.
pub(super) fn stage() -> Stage {
    let variables = Map::from([("upstream".to_owned(), "10.0.0.1:8080".to_owned())]);
    Stage { stage_name: STAGE.into(), deployment_id: "d1".into(), variables, ..Stage::default() }
}

/// The compiled API.
pub(super) fn snapshot(routes: usize) -> Snapshot {
    let table = StageTable::compile(&definition(routes), &stage()).expect("the sample compiles");
    Snapshot::new(1, 1, "eu-west-1", "000000000000", vec![Arc::new(table)])
}

/// Request paths, one per route, in an order that no branch predictor guesses.
///
/// They lie in memory in the order of their use: a request's head was just read, so it is in the cache, and only the
/// tables may be cold.
pub(super) struct Paths {
    text: String,
    ranges: Vec<(u32, u32)>,
    next: usize,
}

impl Paths {
    /// The next path, round and round.
    pub(super) fn turn(&mut self) -> &str {
        let (start, end) = self.ranges[self.next];
        self.next = if self.next + 1 == self.ranges.len() { 0 } else { self.next + 1 };
        &self.text[start as usize..end as usize]
    }

    /// Number of paths.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }
}

/// What follows the stage in a request to each route, and then `tail`.
pub(super) fn paths(routes: usize, tail: &str) -> Paths {
    let fill = |index: usize| {
        let (path, _) = route(index);
        path.replace("{id}", &format!("{:08}", index * 7_919)).replace("{part}", &format!("p-{index}"))
    };
    let mut order: Vec<usize> = (0..routes).collect();
    order.shuffle(&mut StdRng::seed_from_u64(1));
    let mut paths = Paths { text: String::new(), ranges: Vec::new(), next: 0 };
    for index in order {
        let start = paths.text.len() as u32;
        paths.text += &(fill(index) + tail);
        paths.ranges.push((start, paths.text.len() as u32));
    }
    paths
}

/// The path of a cached answer.
pub(crate) fn cached_path(number: u64) -> String {
    format!("/service-000/resource-00001/{number:08}")
}

/// The cache of one method, empty, with room for so many bytes.
pub(crate) fn cache(bytes_max: u64) -> CacheTrial {
    let (path, _) = route(1);
    let method = MethodCacheV1 {
        namespace: path.clone(),
        path,
        verb: "GET".into(),
        ttl_s: 3_600,
        ..MethodCacheV1::default()
    };
    let stage = StageCacheV1 {
        api: API.into(),
        stage: STAGE.into(),
        bytes_max,
        methods: vec![method],
        ..StageCacheV1::default()
    };
    let snapshot = snapshot(2);
    let caches = Caches::build(Arc::new(CachesV1 { stages: vec![stage] }), snapshot.stages());
    let snapshot = snapshot.with_caches(Arc::new(caches));
    let path = cached_path(0);
    let address = Address { api: API.as_bytes(), stage: STAGE, rest: &path, by_host: true };
    let routed = snapshot.route(Some(address), "GET").expect("the sample has the route");
    let places = (routed.stage_index(), routed.method_index());
    CacheTrial::new(Arc::new(snapshot), places.0, places.1, bytes_max).expect("the sample is cached")
}

fn resource(index: usize) -> Resource {
    let (path, parameters) = route(index);
    let mapped =
        |name: &&str| (format!("integration.request.path.{name}"), format!("method.request.path.{name}"));
    let integration = Integration {
        kind: "HTTP_PROXY".into(),
        http_method: Some("GET".into()),
        uri: Some(format!("http://${{stageVariables.upstream}}{path}")),
        request_parameters: parameters.iter().map(mapped).collect(),
        ..Integration::default()
    };
    let method = Method {
        http_method: "GET".into(),
        authorization_type: "NONE".into(),
        request_parameters: parameters
            .iter()
            .map(|name| (format!("method.request.path.{name}"), true))
            .collect(),
        method_integration: Some(integration),
        ..Method::default()
    };
    let resource_methods = Map::from([("GET".to_owned(), method)]);
    Resource { id: format!("r{index}"), path, resource_methods, ..Resource::default() }
}

/// Path of a resource and the names of its parameters.
fn route(index: usize) -> (String, &'static [&'static str]) {
    let base = format!("/service-{:03}/resource-{:05}", index / PER_SERVICE, index);
    match index % 3 {
        0 => (base, &[]),
        1 => (base + "/{id}", &["id"]),
        _ => (base + "/{id}/parts/{part}", &["id", "part"]),
    }
}
