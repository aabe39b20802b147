//! Deployments: immutable copies of an API. Owns their rules; must never serve one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_proto::{
    document::{ApiDefinition, Deployment, Document, Stage},
    id::short_id,
    key,
    limits::DEPLOYMENTS_PER_API_MAX,
};

use super::{
    definition,
    draft::{Draft, require_api},
    stage, stage_cache, stage_rollout,
    unsupported::Shape,
    variables,
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    page::page,
    patch::{self, Kind, REPLACE, Rule, Style, Table},
};

const PATCHES: Table =
    Table { style: Style::Listed, rules: &[Rule { path: "/description", ops: REPLACE, kind: Kind::Text }] };

/// `CreateDeployment`: freezes the draft; with a stage name it creates that stage or moves it here.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createDeploymentInput", call.body)?;
    let stage_name = input.string("stageName")?.filter(|name| !name.is_empty());
    let stage_description = input.string("stageDescription")?;
    let description = input.string("description")?.filter(|text| !text.is_empty());
    let given = input.string_map("variables")?;
    let cluster = stage_cache::read(&mut input)?;
    input.finish(Shape::Deployment)?;
    let concerns_stage = stage_description.is_some() || !given.is_empty() || cluster.is_wanted();
    if stage_name.is_none() && concerns_stage {
        return Err(ApiError::bad_request(
            "stageDescription, variables, cacheClusterEnabled and cacheClusterSize need a stageName",
        ));
    }
    let mut draft = Draft::open(call)?;
    if call.view.prefix(&key::deployment_prefix(call.api_id())).count() >= DEPLOYMENTS_PER_API_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of deployments for this API has been reached: {DEPLOYMENTS_PER_API_MAX}. Delete one that no stage uses"
        )));
    }
    let deployment = Deployment {
        id: call.stamps.id(short_id, |id| call.view.get(&key::deployment(call.api_id(), id)).is_some())?,
        description,
        created_date: call.stamps.now_s,
        definition: call.view.definition(&draft.api)?,
        ..Deployment::default()
    };
    let target = match stage_name {
        None => Stage { deployment_id: deployment.id.clone(), ..Stage::default() },
        Some(name) => {
            variables::check_stage_name(&name)?;
            variables::check(&given)?;
            let found = stage::existing_or_new(call, &name)?;
            let mut stage = Stage { deployment_id: deployment.id.clone(), ..found.clone() };
            cluster.apply(&mut stage);
            stage_cache::follow(&found, &mut stage);
            stage.description = stage_description.filter(|text| !text.is_empty()).or(stage.description);
            if !given.is_empty() {
                stage.variables = given;
            }
            stage_rollout::follow(&found, &mut stage, call.stamps.now_s)?;
            stage.last_updated_date = call.stamps.now_s;
            draft.put_stage(&stage);
            stage
        }
    };
    definition::check(&deployment.definition, &target)?;
    draft.transaction().put(key::deployment(call.api_id(), &deployment.id), &deployment);
    draft.commit(Answer::created(printed(&deployment)))
}

/// `GetDeployment`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let deployment = find(call)?;
    let mut value = printed(&deployment);
    if call.query.all("embed").any(|what| what.eq_ignore_ascii_case("apisummary")) {
        value["apiSummary"] = summary(&deployment.definition);
    }
    read(Answer::ok(value))
}

/// `GetDeployments`, oldest first.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    require_api(call)?;
    let found = call.view.scan::<Outline>(&key::deployment_prefix(call.api_id()))?.into_iter();
    let rows = found.map(|found| (sort_key(&found.document), found.document));
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    read(Answer::ok(page(rows, call.query, |outline| print(&outline))?))
}

/// `UpdateDeployment`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateDeploymentInput", call.body, &[])?;
    let mut draft = Draft::open_or(call, no_deployment())?;
    let mut deployment = find(call)?;
    let mut form = json!({ "description": deployment.description });
    patch::apply(&PATCHES, &mut form, &patches)?;
    deployment.description = form["description"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    draft.transaction().put(key::deployment(call.api_id(), &deployment.id), &deployment);
    draft.commit(Answer::ok(printed(&deployment)))
}

/// `DeleteDeployment`: refused while a stage serves it.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let mut draft = Draft::open_or(call, no_deployment())?;
    let deployment = find(call)?;
    let stages = call.view.stages(call.api_id())?;
    if stages.iter().any(|found| found.document.uses_deployment(&deployment.id)) {
        return Err(ApiError::bad_request(
            "Active stages pointing to this deployment must be moved or deleted",
        ));
    }
    draft.transaction().delete(key::deployment(call.api_id(), &deployment.id));
    draft.commit(Answer::accepted())
}

/// A deployment that does not exist.
pub(crate) fn no_deployment() -> ApiError {
    ApiError::not_found("Invalid Deployment identifier specified")
}

fn find(call: &Call<'_>) -> Result<Deployment, ApiError> {
    let found = call.view.deployment(call.api_id(), call.param("deployment_id"))?;
    found.map(|found| found.document).ok_or_else(no_deployment)
}

fn sort_key(deployment: &Outline) -> String {
    format!("{:020}/{}", deployment.created_date, deployment.id)
}

/// What AWS prints of a deployment; lists read only this, as the definition may be large.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Outline {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    created_date: i64,
}

impl Document for Outline {
    const NOUN: &'static str = Deployment::NOUN;
}

fn printed(deployment: &Deployment) -> Value {
    let (id, description) = (deployment.id.clone(), deployment.description.clone());
    print(&Outline { id, description, created_date: deployment.created_date })
}

/// AWS: `apiSummary`, path → verb → what a caller must bring.
fn summary(definition: &ApiDefinition) -> Value {
    let mut paths = serde_json::Map::new();
    for resource in &definition.resources {
        for (verb, method) in &resource.resource_methods {
            let verbs = paths.entry(resource.path.clone()).or_insert_with(|| json!({}));
            verbs[verb] = json!({
                "authorizationType": method.authorization_type,
                "apiKeyRequired": method.api_key_required,
            });
        }
    }
    paths.into()
}
