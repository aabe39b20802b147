//! From the replicated documents to where methods call through VPC links. Owns what the tags of a link mean; must never resolve a name.

use tidegate_gateway::link_uses;
use tidegate_proto::{
    compiled::links::{LinkCheckV1, LinkTargetV1, LinkV1, LinksV1},
    document::{CheckKind, Document, LinkTargets, Stage, TargetEntry, VpcLink},
    key::{self, Key},
};
use tidegate_state::State;

/// Whether a change of this record can change where methods call.
pub(crate) fn concerns(name: &str) -> bool {
    matches!(Key::parse(name), Key::Stage { .. } | Key::VpcLink { .. })
}

/// Compiles all VPC links, and which methods call through them in an availability zone. What cannot be read leads nowhere and is named in the log.
pub(crate) fn compile(state: &State, region: &str, az: &str) -> LinksV1 {
    let mut compiled = LinksV1::default();
    for (name, record) in state.prefix(key::VPC_LINK_PREFIX) {
        compiled
            .links
            .extend(readable(name, VpcLink::decode(&record.bytes)).map(|link| link_of(name, &link)));
    }
    for (name, record) in state.prefix(key::REST_API_PREFIX) {
        let Key::Stage { api, .. } = Key::parse(name) else { continue };
        let Some(stage) = readable(name, Stage::decode(&record.bytes)) else { continue };
        let stage = stage.served_in(region, az);
        let deployment = readable(name, state.deployment(api, &stage.deployment_id)).flatten();
        let Some(deployment) = deployment else { continue };
        compiled.uses.extend(link_uses(&deployment.document.definition, &stage));
    }
    compiled
}

fn link_of(name: &str, link: &VpcLink) -> LinkV1 {
    let own = LinkV1 { id: link.id.clone(), name: link.name.clone(), ..LinkV1::default() };
    let Some(found) = readable(name, LinkTargets::from_tags(&link.tags)) else { return own };
    let target =
        |one: tidegate_proto::document::LinkTarget| LinkTargetV1 { az: one.az, entry: written(&one.entry) };
    LinkV1 {
        targets: found.targets.into_iter().map(target).collect(),
        check: match found.check.kind {
            CheckKind::Tcp => LinkCheckV1::Tcp,
            CheckKind::Http(path) => LinkCheckV1::Http(path),
            CheckKind::Https(path) => LinkCheckV1::Https(path),
        },
        check_interval_s: found.check.interval_s,
        check_timeout_s: found.check.timeout_s,
        try_timeout_ms: found.try_timeout_ms.unwrap_or_default(),
        ..own
    }
}

fn written(entry: &TargetEntry) -> String {
    match entry {
        TargetEntry::Address(address) => address.to_string(),
        TargetEntry::Name { host, port } => format!("{host}:{port}"),
        TargetEntry::Service(name) => format!("srv:{name}"),
    }
}

fn readable<T, E: std::fmt::Display>(what: &str, read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(what, %error, "not readable here; it leads nowhere")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::{
        document::{ApiDefinition, Deployment, Integration, Map, Method, Resource, RestApi},
        transaction::TransactionV1,
    };

    fn state() -> State {
        let mut transaction = TransactionV1::default();
        let tags: Map<String> = [
            ("tidegate:targets:az-a", "10.0.0.1:80 [::1]:81"),
            ("tidegate:targets", "a.test:80 srv:_http._tcp.a.test"),
            ("tidegate:health-check", "/up"),
        ]
        .map(|(tag, value)| (tag.to_owned(), value.to_owned()))
        .into();
        let link = VpcLink { id: "l1".into(), name: "orders".into(), tags, ..VpcLink::default() };
        let broken = Map::from([("tidegate:targets".to_owned(), "?".to_owned())]);
        let broken = VpcLink { id: "l2".into(), tags: broken, ..VpcLink::default() };
        transaction.put(key::vpc_link("l1"), &link).put(key::vpc_link("l2"), &broken);
        let integration = Integration {
            kind: "HTTP_PROXY".into(),
            connection_type: Some("VPC_LINK".into()),
            connection_id: Some("${stageVariables.link}".into()),
            ..Integration::default()
        };
        let method = Method { method_integration: Some(integration), ..Method::default() };
        let mut resource = Resource { path: "/o".into(), ..Resource::default() };
        resource.resource_methods.insert("GET".into(), method);
        let api = RestApi { id: "a1".into(), ..RestApi::default() };
        let definition = ApiDefinition { api, resources: vec![resource], ..ApiDefinition::default() };
        let deployment = Deployment { id: "d1".into(), definition, ..Deployment::default() };
        transaction.put(key::deployment("a1", "d1"), &deployment);
        let variables = Map::from([("link".to_owned(), "l1".to_owned())]);
        let stage =
            Stage { stage_name: "prod".into(), deployment_id: "d1".into(), variables, ..Stage::default() };
        transaction.put(key::stage("a1", "prod"), &stage);
        let mut state = State::default();
        state.apply(transaction);
        state
    }

    #[test]
    fn links_and_their_methods() {
        let compiled = compile(&state(), "r", "a");
        let entries: Vec<String> = compiled.links[0]
            .targets
            .iter()
            .map(|target| format!("{}|{}", target.az, target.entry))
            .collect();
        assert_eq!(entries, ["|a.test:80", "|srv:_http._tcp.a.test", "az-a|10.0.0.1:80", "az-a|[::1]:81"]);
        assert_eq!(compiled.links[0].check, LinkCheckV1::Http("/up".into()));
        assert_eq!((&*compiled.links[1].id, compiled.links[1].targets.len()), ("l2", 0));
        let uses: Vec<_> =
            compiled.uses.iter().map(|one| (&*one.api, &*one.stage, &*one.verb, &*one.link)).collect();
        assert_eq!(uses, [("a1", "prod", "GET", "l1")]);
        assert!(concerns("vpclink/l1") && concerns("restapi/a/stage/s") && !concerns("restapi/a"));
    }
}
