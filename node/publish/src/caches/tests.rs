//! Documents in, caches out.

use tidegate_proto::{
    document::{Deployment, Map, Resource},
    transaction::TransactionV1,
};

use super::*;

/// A stage in the making.
struct Fixture {
    stage: Stage,
    resources: Vec<Resource>,
}

impl Fixture {
    /// A stage with or without a cluster.
    fn new(cluster: bool) -> Self {
        let stage = Stage {
            stage_name: "s".into(),
            deployment_id: "d".into(),
            cache_cluster_enabled: cluster,
            ..Stage::default()
        };
        Self { stage, resources: Vec::new() }
    }

    fn tag(mut self, name: &str, value: &str) -> Self {
        self.stage.tags.insert(name.into(), value.into());
        self
    }

    fn set(mut self, name: &str, setting: MethodSetting) -> Self {
        self.stage.method_settings.insert(name.into(), setting);
        self
    }

    fn method(mut self, path: &str, verb: &str, edit: impl FnOnce(&mut Method)) -> Self {
        let mut method = Method {
            http_method: verb.into(),
            method_integration: Some(Integration::default()),
            ..Method::default()
        };
        edit(&mut method);
        let id = format!("id{path}");
        let resource_methods = Map::from([(verb.to_owned(), method)]);
        self.resources.push(Resource { id, path: path.into(), resource_methods, ..Resource::default() });
        self
    }

    fn state(self) -> State {
        let mut state = State::default();
        let mut transaction = TransactionV1::default();
        let definition = ApiDefinition { resources: self.resources, ..ApiDefinition::default() };
        let deployment = Deployment { id: "d".into(), definition, ..Deployment::default() };
        transaction
            .put(key::stage("a", &self.stage.stage_name), &self.stage)
            .put(key::deployment("a", "d"), &deployment);
        state.apply(transaction);
        state
    }

    fn compile(self) -> CachesV1 {
        compile(&self.state(), "r", "a")
    }

    /// `path verb mode ttl` of every cached method.
    fn methods(self) -> Vec<String> {
        let stages = self.compile().stages;
        let shown = |one: &MethodCacheV1| format!("{} {} {:?} {}", one.path, one.verb, one.mode, one.ttl_s);
        stages.iter().flat_map(|stage| &stage.methods).map(shown).collect()
    }
}

fn caching(enabled: bool, ttl_s: i64) -> MethodSetting {
    MethodSetting { caching_enabled: enabled, cache_ttl_in_seconds: ttl_s, ..MethodSetting::default() }
}

fn mode(mode: CacheMode) -> impl Fn(&mut Method) {
    move |method| method.tidegate_cache = Some(mode)
}

#[test]
fn a_cluster_caches_what_its_settings_say() {
    let all_verbs = |fixture: Fixture| {
        let verbs = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "ANY"];
        verbs.iter().fold(fixture, |fixture, verb| fixture.method(&format!("/{verb}"), verb, |_| {}))
    };
    let own = |fixture: Fixture| {
        let verbs = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "ANY"];
        verbs.iter().fold(fixture, |fixture, verb| fixture.set(&format!("~1{verb}/{verb}"), caching(true, 7)))
    };
    let on = || Fixture::new(true);
    for (what, fixture, expect) in [
        ("no settings", all_verbs(on()), &[][..]),
        ("no cluster", all_verbs(Fixture::new(false)).set("*/*", caching(true, 300)), &[]),
        ("off for all", all_verbs(on()).set("*/*", caching(false, 300)), &[]),
        ("no life", all_verbs(on()).set("*/*", caching(true, 0)), &[]),
        ("all", all_verbs(on()).set("*/*", caching(true, 300)), &["/ANY ANY Aws 300", "/GET GET Aws 300"]),
        (
            "each",
            own(all_verbs(on())),
            &[
                "/ANY ANY Aws 7",
                "/GET GET Aws 7",
                "/HEAD HEAD Aws 7",
                "/OPTIONS OPTIONS Aws 7",
                "/POST POST Aws 7",
            ],
        ),
        (
            "own settings win",
            all_verbs(on()).set("*/*", caching(true, 300)).set("GET/GET", caching(false, 300)),
            &["/ANY ANY Aws 300"],
        ),
        (
            "own life",
            all_verbs(on()).set("*/*", caching(false, 300)).set("/GET/GET", caching(true, 1)),
            &["/GET GET Aws 1"],
        ),
        ("the setting of a verb is not that of ANY", all_verbs(on()).set("/ANY/GET", caching(true, 1)), &[]),
        (
            "tag aws is the default",
            all_verbs(on()).tag("tidegate:cache", "aws").set("*/*", caching(true, 9)),
            &["/ANY ANY Aws 9", "/GET GET Aws 9"],
        ),
        (
            "tag aws needs a cluster",
            all_verbs(Fixture::new(false)).tag("tidegate:cache", "aws").set("*/*", caching(true, 9)),
            &[],
        ),
        (
            "rfc9111 needs neither",
            all_verbs(Fixture::new(false)).tag("tidegate:cache", "rfc9111"),
            &["/ANY ANY Http 0", "/GET GET Http 0", "/HEAD HEAD Http 0"],
        ),
        ("off", own(all_verbs(on())).tag("tidegate:cache", "off"), &[]),
    ] {
        assert_eq!(fixture.methods(), expect, "{what}");
    }
}

#[test]
fn a_method_has_rules_of_its_own() {
    use CacheMode::{Aws, Off, Rfc9111};
    let cases = [
        (false, None, Rfc9111, Some("Http 0")),
        (true, None, Rfc9111, Some("Http 0")),
        (true, None, Off, None),
        (true, None, Aws, Some("Aws 60")),
        (false, None, Aws, None),
        (true, Some("aws"), Rfc9111, Some("Http 0")),
        (true, Some("rfc9111"), Aws, Some("Aws 60")),
        (false, Some("rfc9111"), Aws, None),
        (true, Some("rfc9111"), Off, None),
        (true, Some("off"), Rfc9111, None),
        (true, Some("off"), Aws, None),
    ];
    for (cluster, tag, own, expect) in cases {
        let fixture = Fixture::new(cluster).set("*/*", caching(true, 60)).method("/p", "GET", mode(own));
        let fixture = tag.into_iter().fold(fixture, |fixture, tag| fixture.tag("tidegate:cache", tag));
        let expect: Vec<String> = expect.into_iter().map(|text| format!("/p GET {text}")).collect();
        assert_eq!(fixture.methods(), expect, "{cluster} {tag:?} {own:?}");
    }
}

#[test]
fn answers_are_told_apart_by_parameters() {
    let query = |name: &str| KeyParameterV1::Query(name.into());
    let header = |name: &str| KeyParameterV1::Header(name.into());
    let mapped = [
        ("integration.request.querystring.a", "method.request.header.X-A"),
        ("integration.request.header.b", "method.request.multivaluequerystring.b.c"),
        ("integration.request.path.c", "method.request.path.c"),
        ("integration.request.header.fixed", "'text'"),
        ("integration.request.header.variable", "stageVariables.v"),
        ("integration.request.header.body", "method.request.body"),
        ("integration.request.header.caller", "context.identity.sourceIp"),
    ];
    let mapped: Map<String> =
        mapped.iter().map(|(to, from)| ((*to).to_owned(), (*from).to_owned())).collect();
    let cases = [
        (vec![], Some(vec![])),
        (vec!["method.request.path.id"], Some(vec![])),
        (
            vec!["method.request.querystring.Page", "method.request.header.Accept-Language"],
            Some(vec![query("Page"), header("accept-language")]),
        ),
        (
            vec!["method.request.multivaluequerystring.p", "method.request.multivalueheader.H"],
            Some(vec![query("p"), header("h")]),
        ),
        (
            vec!["integration.request.querystring.a", "integration.request.header.b"],
            Some(vec![header("x-a"), query("b.c")]),
        ),
        (vec!["integration.request.querystring.a", "method.request.header.x-a"], Some(vec![header("x-a")])),
        (
            vec![
                "integration.request.path.c",
                "integration.request.header.fixed",
                "integration.request.header.variable",
            ],
            Some(vec![]),
        ),
        (vec!["integration.request.header.body"], None),
        (vec!["method.request.querystring.a", "integration.request.header.caller"], None),
        (vec!["integration.request.header.nowhere"], None),
        (vec!["method.request.body"], None),
        (vec!["anything"], None),
    ];
    for (keys, expect) in cases {
        let integration = Integration {
            cache_key_parameters: keys.iter().map(|key| (*key).to_owned()).collect(),
            request_parameters: mapped.clone(),
            ..Integration::default()
        };
        let edit = |method: &mut Method| method.method_integration = Some(integration);
        let fixture = Fixture::new(true).set("*/*", caching(true, 5)).method("/p", "GET", edit);
        let stages = fixture.compile().stages;
        let found = stages.first().map(|stage| stage.methods[0].parameters.clone());
        assert_eq!(found, expect, "{keys:?}");
    }
}

#[test]
fn a_stage_says_everything_about_its_cache() {
    let strategy = |authorized, strategy: &str| MethodSetting {
        require_authorization_for_cache_control: authorized,
        unauthorized_cache_control_header_strategy: strategy.into(),
        cache_data_encrypted: !authorized,
        ..caching(true, 30)
    };
    let named = |name: &str| {
        let cache_namespace = name.to_owned();
        move |method: &mut Method| {
            method.method_integration = Some(Integration { cache_namespace, ..Integration::default() });
        }
    };
    let mut fixture = Fixture::new(true)
        .tag("tidegate:cache-isolated", "serve")
        .tag("tidegate:cache-status", "always")
        .tag("tidegate:cache-set-cookie", "true")
        .tag("tidegate:cache-unkeyed-headers", "X-Tenant")
        .set("*/*", strategy(true, "SUCCEED_WITH_RESPONSE_HEADER"))
        .set("b/GET", strategy(true, "FAIL_WITH_403"))
        .set("c/GET", strategy(true, "SUCCEED_WITHOUT_RESPONSE_HEADER"))
        .set("d/GET", strategy(false, "FAIL_WITH_403"))
        .method("/d", "GET", |_| {})
        .method("/a", "GET", |_| {})
        .method("/b", "GET", named("shared"))
        .method("/c", "GET", |_| {})
        .method("/no-integration", "GET", |method| method.method_integration = None);
    fixture.stage.cache_cluster_size = Some("1.6".into());
    let part = CachePurge { sequence: 8, tag: Some("t".into()), ..CachePurge::default() };
    fixture.stage.tidegate_cache = CacheGeneration { epoch: 4, sequence: 9, purges: vec![part] };
    let method = |path: &str, namespace: &str, refresh, is_encrypted| MethodCacheV1 {
        path: path.into(),
        verb: "GET".into(),
        mode: CacheModeV1::Aws,
        ttl_s: 30,
        is_encrypted,
        namespace: namespace.into(),
        parameters: Vec::new(),
        refresh,
    };
    let expect = StageCacheV1 {
        api: "a".into(),
        stage: "s".into(),
        bytes_max: 1_600_000_000,
        epoch: 4,
        sequence: 9,
        purges: vec![PurgeV1 { sequence: 8, tag: "t".into(), ..PurgeV1::default() }],
        serves_isolated: true,
        tells_always: true,
        shares_cookies: true,
        unkeyed_headers: vec!["x-tenant".into()],
        methods: vec![
            method("/a", "id/a", RefreshV1::SignedOrWarned, false),
            method("/b", "shared", RefreshV1::SignedOrRefused, false),
            method("/c", "id/c", RefreshV1::SignedOrIgnored, false),
            method("/d", "id/d", RefreshV1::Anyone, true),
        ],
    };
    assert_eq!(fixture.compile(), CachesV1 { stages: vec![expect] });
}

#[test]
fn what_cannot_be_read_caches_nothing() {
    let good = || Fixture::new(true).set("*/*", caching(true, 60)).method("/p", "GET", |_| {});
    assert!(good().tag("tidegate:cache", "maybe").compile().is_empty());
    let mut state = good().state();
    let mut transaction = TransactionV1::default();
    let lost = Stage { stage_name: "lost".into(), deployment_id: "nope".into(), ..good().stage };
    transaction.put(key::stage("a", "lost"), &lost).put(key::stage("b", "s"), &good().stage);
    state.apply(transaction);
    let stages = compile(&state, "r", "a").stages;
    assert_eq!(stages.len(), 1, "the others are not held back: {stages:?}");
    for (name, is_of_concern) in [
        (key::stage("a", "s"), true),
        (key::deployment("a", "d"), false),
        (key::rest_api("a"), false),
        (key::ACCOUNT.to_owned(), false),
    ] {
        assert_eq!(concerns(&name), is_of_concern, "{name}");
    }
}
