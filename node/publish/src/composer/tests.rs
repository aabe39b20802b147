//! States in, snapshots out.

use tidegate_proto::{
    document::{
        ApiDefinition, Integration, Map, Method, Resource, RestApi, Stage, StageRollout, StageVersion, Zone,
    },
    transaction::TransactionV1,
};

use super::*;

fn no_limits(_: LimitsV1, _: &[Arc<StageTable>]) -> Arc<Limits> {
    Arc::default()
}

fn deployment(id: &str) -> Deployment {
    let integration = Integration {
        kind: "MOCK".into(),
        request_templates: Map::from([("application/json".into(), r#"{"statusCode":200}"#.into())]),
        ..Integration::default()
    };
    let method = Method {
        http_method: "GET".into(),
        authorization_type: "NONE".into(),
        method_integration: Some(integration),
        ..Method::default()
    };
    let resource = Resource {
        id: "root".into(),
        path: "/".into(),
        resource_methods: Map::from([("GET".into(), method)]),
        ..Resource::default()
    };
    let api = RestApi { id: "a".into(), root_resource_id: "root".into(), ..RestApi::default() };
    let definition = ApiDefinition { api, resources: vec![resource], ..ApiDefinition::default() };
    Deployment { id: id.into(), definition, ..Deployment::default() }
}

/// Puts a stage that serves deployment `id`, with what else `edit` sets.
fn put(state: &mut State, id: &str, edit: impl FnOnce(&mut Stage)) {
    let mut stage = Stage { stage_name: "s".into(), deployment_id: id.into(), ..Stage::default() };
    edit(&mut stage);
    let mut transaction = TransactionV1::default();
    transaction.put(key::deployment("a", id), &deployment(id)).put(key::stage("a", "s"), &stage);
    state.apply(transaction);
}

fn composer(az: &str) -> Composer {
    Composer::new(&Snapshot::empty("r", "1"), az)
}

fn compose(composer: &mut Composer, state: &State, nodes: usize) -> Option<Composed> {
    composer.compose(state.revision(), state, Holders::from(nodes), &no_limits)
}

fn served(composed: &Composed) -> Option<String> {
    composed.snapshot.stage("a", "s").map(|(_, stage)| stage.deployment().to_owned())
}

#[test]
fn only_what_changed_makes_a_snapshot() {
    let (mut composer, mut state) = (composer("a"), State::default());
    put(&mut state, "1", |_| {});
    let first = compose(&mut composer, &state, 1).unwrap();
    assert_eq!((served(&first).as_deref(), first.failures), (Some("1"), 0));
    assert!(compose(&mut composer, &state, 1).is_none());
    let other = compose(&mut composer, &state, 3).expect("limits follow the number of nodes");
    assert!(Arc::ptr_eq(&first.snapshot.stages()[0], &other.snapshot.stages()[0]));
    assert!(compose(&mut composer, &state, 3).is_none());
    let mut gone = TransactionV1::default();
    gone.delete(key::stage("a", "s"));
    state.apply(gone);
    assert_eq!(served(&compose(&mut composer, &state, 3).unwrap()), None);
}

#[test]
fn a_zone_that_was_not_reached_serves_the_version_before() {
    let mut state = State::default();
    put(&mut state, "1", |_| {});
    put(&mut state, "2", |stage| {
        stage.tidegate_rollout = Some(StageRollout {
            from: StageVersion { deployment_id: "1".into(), ..StageVersion::default() },
            reached: vec![Zone { region: "r".into(), az: "a".into() }],
            reached_s: 0,
        });
    });
    for (az, expect) in [("a", "2"), ("b", "1")] {
        let composed = compose(&mut composer(az), &state, 1).unwrap();
        assert_eq!(served(&composed).as_deref(), Some(expect), "{az}");
    }
}

#[test]
fn a_version_that_cannot_be_used_leaves_the_last_good_one_and_is_named() {
    let (mut composer, mut state) = (composer("a"), State::default());
    let failing = |composer: &Composer| composer.failing().len();
    put(&mut state, "1", |_| {});
    compose(&mut composer, &state, 1).unwrap();
    put(&mut state, "2", |stage| stage.deployment_id = "none".into());
    let bad = compose(&mut composer, &state, 1).unwrap();
    assert_eq!((served(&bad).as_deref(), bad.failures, failing(&composer)), (Some("1"), 1, 1));
    put(&mut state, "3", |_| {});
    let good = compose(&mut composer, &state, 1).unwrap();
    assert_eq!((served(&good).as_deref(), good.failures, failing(&composer)), (Some("3"), 0, 0));
}

#[test]
fn a_log_that_is_behind_the_disk_does_not_take_the_configuration_back() {
    let mut state = State::default();
    put(&mut state, "1", |_| {});
    let before = state.clone();
    put(&mut state, "2", |_| {});
    let first = compose(&mut composer("a"), &state, 1).unwrap().snapshot;
    let mut restarted = Composer::new(&first, "a");
    assert!(compose(&mut restarted, &before, 1).is_none());
    assert!(compose(&mut restarted, &before, 3).is_none(), "nor when limits are shared by more nodes");
    let caught_up = compose(&mut restarted, &state, 1).unwrap();
    assert_eq!(served(&caught_up).as_deref(), Some("2"));
}

#[test]
fn what_is_gone_from_the_log_is_not_served_on_from_disk() {
    let mut state = State::default();
    put(&mut state, "1", |_| {});
    let first = compose(&mut composer("a"), &state, 1).unwrap().snapshot;
    let mut later = Composer::new(&first, "a");
    let mut other = State::default();
    let mut transaction = TransactionV1::default();
    transaction.puts.push(tidegate_proto::transaction::PutV1 { key: "x".into(), bytes: b"{}".to_vec() });
    other.apply(transaction);
    assert_eq!(served(&compose(&mut later, &other, 1).unwrap()), None);
}
