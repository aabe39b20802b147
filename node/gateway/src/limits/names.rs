//! What limits are called across the cluster: the texts whose hashes are their names, and the way back from a name to what it
//! stands for. Owns the texts; a change of one makes another limit of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidegate_proto::compiled::limits::{LimitsV1, PlanV1};
use tidegate_throttle::Name;

use super::setting;
use crate::StageTable;

/// The text of the account's limit.
pub(super) const ACCOUNT: &str = "account";

/// What a limit limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The account in this region.
    Account,
    /// A stage as a whole.
    Stage {
        /// Id of the API.
        api: String,
        /// Name of the stage.
        stage: String,
    },
    /// A method of a stage.
    Method {
        /// Id of the API.
        api: String,
        /// Name of the stage.
        stage: String,
        /// Verb and path.
        method: String,
    },
    /// An API key in a usage plan: its rate, its quota, or both.
    Key {
        /// Id of the plan.
        plan: String,
        /// Id of the key.
        key: String,
    },
    /// An API key in a usage plan, on one method.
    KeyMethod {
        /// Id of the plan.
        plan: String,
        /// Id of the key.
        key: String,
        /// Id of the API.
        api: String,
        /// Name of the stage.
        stage: String,
        /// Verb and path.
        method: String,
    },
}

/// The name of what a plan limits of a key; shared with whoever asks the ledger about it.
pub fn plan_limit_name(plan: &str, key: &str) -> Name {
    Name::of(&format!("plan/{plan}/key/{key}"))
}

pub(super) fn stage_text(api: &str, stage: &str) -> String {
    format!("stage/{api}/{stage}")
}

pub(super) fn method_text(api: &str, stage: &str, verb: &str, path: &str) -> String {
    format!("method/{api}/{stage}/{verb} {path}")
}

/// What the keys of a plan share on one method.
pub(super) fn plan_method_text(plan: &str, api: &str, stage: &str, verb: &str, path: &str) -> String {
    format!("plan/{plan}/{api}/{stage}/{verb} {path}")
}

pub(super) fn key_method_name(plan_method: &str, key: &str) -> Name {
    Name::of(&format!("{plan_method}/key/{key}"))
}

/// What each of `wanted` stands for; names of nothing that is configured are left out. Hashes the names of all limits until all
/// are found, which for a million keys takes a good part of a second.
pub fn subjects(
    compiled: &LimitsV1,
    stages: &[Arc<StageTable>],
    mut wanted: BTreeSet<Name>,
) -> BTreeMap<Name, Subject> {
    let mut found = BTreeMap::new();
    let mut look = |name: Name, subject: &dyn Fn() -> Subject| {
        if wanted.remove(&name) {
            found.insert(name, subject());
        }
        !wanted.is_empty()
    };
    // Nothing follows the last look, so it does not matter whether names are left.
    let _goes_on = look(Name::of(ACCOUNT), &|| Subject::Account)
        && look_at_stages(compiled, stages, &mut look)
        && look_at_keys(compiled, &mut look);
    found
}

type Look<'a> = dyn FnMut(Name, &dyn Fn() -> Subject) -> bool + 'a;

fn look_at_stages(compiled: &LimitsV1, stages: &[Arc<StageTable>], look: &mut Look<'_>) -> bool {
    stages.iter().all(|table| {
        let (api, stage) = (table.api(), table.name());
        let Some(own) = compiled.stages.iter().find(|one| one.api == api && one.stage == stage) else {
            return true;
        };
        let whole = || Subject::Stage { api: api.to_owned(), stage: stage.to_owned() };
        let mut goes_on = look(Name::of(&stage_text(api, stage)), &whole);
        for (path, verb) in table.routes() {
            if !goes_on {
                break;
            }
            if own.methods_default.is_some() || setting(&own.methods, path, verb).is_some() {
                let method = || Subject::Method {
                    api: api.to_owned(),
                    stage: stage.to_owned(),
                    method: format!("{verb} {path}"),
                };
                goes_on = look(Name::of(&method_text(api, stage, verb, path)), &method);
            }
        }
        goes_on
    })
}

fn look_at_keys(compiled: &LimitsV1, look: &mut Look<'_>) -> bool {
    compiled.keys.iter().all(|key| {
        let plans = key.plans.iter().filter_map(|place| compiled.plans.get(*place as usize));
        plans.into_iter().all(|plan| {
            let whole = || Subject::Key { plan: plan.id.clone(), key: key.id.clone() };
            look(plan_limit_name(&plan.id, &key.id), &whole) && look_at_methods(plan, &key.id, look)
        })
    })
}

fn look_at_methods(plan: &PlanV1, key: &str, look: &mut Look<'_>) -> bool {
    plan.stages.iter().all(|own| {
        own.methods.iter().all(|method| {
            let text = plan_method_text(&plan.id, &own.api, &own.stage, &method.verb, &method.path);
            let subject = || Subject::KeyMethod {
                plan: plan.id.clone(),
                key: key.to_owned(),
                api: own.api.clone(),
                stage: own.stage.clone(),
                method: format!("{} {}", method.verb, method.path),
            };
            look(key_method_name(&text, key), &subject)
        })
    })
}
