//! Which methods call through which VPC link. Owns that a method whose link is gone calls nowhere; must never reach a target.

use std::{collections::HashMap, sync::Arc};

use tidegate_proto::{
    compiled::{
        NONE,
        links::{LinkUseV1, LinkV1, LinksV1},
    },
    document::{ApiDefinition, Stage},
};

use crate::{StageTable, compile::substitute};

/// The VPC links of a snapshot, resolved for its stages.
#[derive(Debug, Default)]
pub struct Links {
    compiled: Arc<LinksV1>,
    /// All that are used: those that there are, then one without targets for each that there is not.
    links: Box<[LinkV1]>,
    /// By stage and method: places in `links`, or [`NONE`]. Empty for stages that use none.
    uses: Box<[Box<[u32]>]>,
}

impl Links {
    /// Resolves links for `stages`, the stages of a snapshot in its order.
    pub fn build(compiled: Arc<LinksV1>, stages: &[Arc<StageTable>]) -> Self {
        let mut links = compiled.links.clone();
        let known = |(place, link): (usize, &LinkV1)| (link.id.clone(), place as u32);
        let mut places: HashMap<String, u32> = links.iter().enumerate().map(known).collect();
        let mut by_method = HashMap::new();
        for one in &compiled.uses {
            let place = *places.entry(one.link.clone()).or_insert_with(|| {
                links.push(LinkV1 { id: one.link.clone(), ..LinkV1::default() });
                (links.len() - 1) as u32
            });
            by_method.insert((&*one.api, &*one.stage, &*one.path, &*one.verb), place);
        }
        let of_stage = |table: &Arc<StageTable>| -> Box<[u32]> {
            let place = |(path, verb)| by_method.get(&(table.api(), table.name(), path, verb)).copied();
            let all: Box<[u32]> = table.routes().map(|route| place(route).unwrap_or(NONE)).collect();
            if all.iter().all(|place| *place == NONE) { Box::default() } else { all }
        };
        let uses = match by_method.is_empty() {
            true => Box::default(),
            false => stages.iter().map(of_stage).collect(),
        };
        Self { compiled, links: links.into(), uses }
    }

    /// What it was made from.
    pub fn compiled(&self) -> &Arc<LinksV1> {
        &self.compiled
    }

    /// All links, also such as are only asked for.
    pub fn all(&self) -> &[LinkV1] {
        &self.links
    }

    /// The link of a method, by the places of its stage and itself.
    #[inline]
    pub fn of(&self, stage: usize, method: usize) -> Option<&LinkV1> {
        let place = *self.uses.get(stage)?.get(method)?;
        self.links.get(place as usize)
    }
}

/// The methods of a stage that call through a link, and through which: stage variables are substituted.
pub fn link_uses(definition: &ApiDefinition, stage: &Stage) -> Vec<LinkUseV1> {
    let mut uses = Vec::new();
    for resource in &definition.resources {
        for (verb, method) in &resource.resource_methods {
            let integration = method.method_integration.as_ref();
            let linked = integration.filter(|one| one.connection_type.as_deref() == Some("VPC_LINK"));
            let Some(integration) = linked else { continue };
            let link = integration.connection_id.as_deref().unwrap_or_default();
            uses.push(LinkUseV1 {
                api: definition.api.id.clone(),
                stage: stage.stage_name.clone(),
                path: resource.path.clone(),
                verb: verb.clone(),
                link: substitute(link, &stage.variables).into_owned(),
            });
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{definition, http_proxy};

    #[test]
    fn a_stage_variable_names_the_link() {
        let mut linked = http_proxy("http://up/");
        linked.connection_type = Some("VPC_LINK".into());
        linked.connection_id = Some("${stageVariables.link}".into());
        let mut plain = http_proxy("http://up/");
        plain.connection_type = Some("INTERNET".into());
        let definition =
            definition(&[("/a", "GET", Some(linked)), ("/b", "GET", Some(plain)), ("/c", "GET", None)]);
        let mut stage = Stage { stage_name: "dev".into(), ..Stage::default() };
        for link in ["", "abc123"] {
            if !link.is_empty() {
                stage.variables.insert("link".into(), link.into());
            }
            let uses = link_uses(&definition, &stage);
            let found: Vec<_> =
                uses.iter().map(|one| (&*one.api, &*one.stage, &*one.path, &*one.link)).collect();
            assert_eq!(found, [("api1", "dev", "/a", link)]);
        }
    }

    #[test]
    fn a_method_has_its_link_or_one_that_leads_nowhere() {
        let up = || Some(http_proxy("http://up/"));
        let definition = definition(&[("/a", "GET", up()), ("/b", "GET", up()), ("/c", "GET", up())]);
        let stage = Stage { stage_name: "dev".into(), ..Stage::default() };
        let stages = [Arc::new(StageTable::compile(&definition, &stage).unwrap())];
        let link = |id: &str| LinkV1 { id: id.into(), name: "n".into(), ..LinkV1::default() };
        let one = |path: &str, link: &str| LinkUseV1 {
            api: "api1".into(),
            stage: "dev".into(),
            path: path.into(),
            verb: "GET".into(),
            link: link.into(),
        };
        let compiled = LinksV1 {
            links: vec![link("l1")],
            uses: vec![one("/a", "l1"), one("/b", "gone"), one("/x", "l1")],
        };
        let links = Links::build(Arc::new(compiled), &stages);
        let found: Vec<_> = stages[0]
            .routes()
            .enumerate()
            .map(|(at, (path, _))| (path, links.of(0, at).map(|link| (&*link.id, &*link.name))))
            .collect();
        assert_eq!(found, [("/a", Some(("l1", "n"))), ("/b", Some(("gone", ""))), ("/c", None)]);
        assert_eq!(links.all().len(), 2);
        assert!(Links::default().of(0, 0).is_none());
    }
}
