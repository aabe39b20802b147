//! Stages: names under which deployments are served. Owns their rules and patches; must never serve one.

use serde_json::{Value, json};
use tidegate_proto::{
    document::{ApiStage, CacheGeneration, Stage},
    key,
    limits::STAGES_PER_API_MAX,
};

use super::{
    definition,
    deployment::no_deployment,
    draft::{Draft, require_api},
    method::reread,
    method_settings, stage_cache, stage_rollout, tags,
    unsupported::Shape,
    usage_plan, variables,
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    patch::{self, Kind, Op, Patch, REPLACE, Rule, Style, Table},
};

const REPLACE_REMOVE: &[Op] = &[Op::Replace, Op::Remove];
const SET_REMOVE_COPY: &[Op] = &[Op::Add, Op::Replace, Op::Remove, Op::Copy];

const fn later(path: &'static str, field: &'static str) -> Rule {
    Rule { path, ops: REPLACE, kind: Kind::Later(Shape::Stage, field) }
}

const PATCHES: Table = Table {
    style: Style::Stage,
    rules: &[
        Rule { path: "/deploymentId", ops: &[Op::Replace, Op::Copy], kind: Kind::Text },
        Rule { path: "/description", ops: REPLACE_REMOVE, kind: Kind::Text },
        Rule { path: "/variables/{}", ops: SET_REMOVE_COPY, kind: Kind::TextEntry(None) },
        Rule { path: "/cacheClusterEnabled", ops: REPLACE, kind: Kind::Flag },
        Rule { path: "/cacheClusterSize", ops: REPLACE, kind: Kind::Text },
        later("/clientCertificateId", "clientCertificateId"),
        later("/tracingEnabled", "tracingEnabled"),
        later("/documentationVersion", "documentationVersion"),
        Rule {
            path: "/accessLogSettings",
            ops: REPLACE_REMOVE,
            kind: Kind::Later(Shape::Stage, "accessLogSettings"),
        },
        later("/accessLogSettings/destinationArn", "accessLogSettings"),
        later("/accessLogSettings/format", "accessLogSettings"),
        later("/canarySettings/deploymentId", "canarySettings"),
        later("/canarySettings/percentTraffic", "canarySettings"),
        later("/canarySettings/useStageCache", "canarySettings"),
        later("/canarySettings/stageVariableOverrides/{}", "canarySettings"),
    ],
};

/// `CreateStage`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createStageInput", call.body)?;
    let (stage_name, deployment_id) = (input.required("stageName")?, input.required("deploymentId")?);
    let description = input.string("description")?.filter(|text| !text.is_empty());
    let (given, tags) = (input.string_map("variables")?, input.string_map("tags")?);
    let cluster = stage_cache::read(&mut input)?;
    input.finish(Shape::Stage)?;
    let mut draft = Draft::open(call)?;
    variables::check_stage_name(&stage_name)?;
    tags::check_stage(&tags)?;
    if call.view.stage(call.api_id(), &stage_name)?.is_some() {
        return Err(ApiError::conflict("Stage already exists"));
    }
    let fresh = existing_or_new(call, &stage_name)?;
    let mut stage = Stage { deployment_id, description, variables: given, tags, ..fresh };
    cluster.apply(&mut stage);
    check(&stage, call)?;
    draft.put_stage(&stage);
    draft.commit(Answer::created(printed(&stage)))
}

/// `GetStage`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    read(Answer::ok(printed(&find(call)?)))
}

/// `GetStages`: all of them, or those of one deployment; AWS does not page this list.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    require_api(call)?;
    let wanted = call.query.get("deploymentId").filter(|id| !id.is_empty());
    let stages = call.view.stages(call.api_id())?.into_iter().map(|found| found.document);
    let items: Vec<Value> = stages
        .filter(|stage| wanted.is_none_or(|id| stage.deployment_id == id))
        .map(|stage| printed(&stage))
        .collect();
    read(Answer::ok(json!({ "item": items })))
}

/// `UpdateStage`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateStageInput", call.body, &[])?;
    let mut draft = Draft::open_or(call, no_stage())?;
    let mut stage = find(call)?;
    if patches.iter().any(is_promotion) {
        return Err(ApiError::bad_request("Promotion not available. Canary does not exist."));
    }
    let mut settings = std::mem::take(&mut stage.method_settings);
    let mut form = print(&stage);
    for patch in &patches {
        if !method_settings::apply(&mut settings, patch)? {
            patch::apply(&PATCHES, &mut form, std::slice::from_ref(patch))?;
        }
    }
    let before = stage;
    let mut stage: Stage = reread(form)?;
    stage.method_settings = settings;
    stage_cache::complete(&mut stage);
    stage_cache::follow(&before, &mut stage);
    stage_rollout::follow(&before, &mut stage, call.stamps.now_s)?;
    stage.description = stage.description.take().filter(|text| !text.is_empty());
    stage.last_updated_date = call.stamps.now_s;
    check(&stage, call)?;
    draft.put_stage(&stage);
    draft.commit(Answer::ok(printed(&stage)))
}

/// `DeleteStage`: takes it out of its usage plans as well.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let mut draft = Draft::open_or(call, no_stage())?;
    let stage = find(call)?;
    let record = key::stage(call.api_id(), &stage.stage_name);
    let revision = call.view.revision_of(&record);
    draft.transaction().compare(record.clone(), revision).delete(record);
    let is_gone = |one: &ApiStage| one.api_id == call.api_id() && one.stage == stage.stage_name;
    usage_plan::forget_stages(call, draft.transaction(), is_gone)?;
    draft.commit(Answer::accepted())
}

/// The stage of that name, or a fresh one where the quota allows it.
pub(crate) fn existing_or_new(call: &Call<'_>, name: &str) -> Result<Stage, ApiError> {
    let stages = call.view.stages(call.api_id())?;
    let count = stages.len();
    if let Some(found) = stages.into_iter().find(|found| found.document.stage_name == name) {
        return Ok(found.document);
    }
    if count >= STAGES_PER_API_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of stages for this API has been reached: {STAGES_PER_API_MAX}"
        )));
    }
    Ok(Stage {
        stage_name: name.to_owned(),
        tidegate_cache: CacheGeneration::after(call.view.revision()),
        created_date: call.stamps.now_s,
        last_updated_date: call.stamps.now_s,
        ..Stage::default()
    })
}

/// The stage of the path.
pub(crate) fn find(call: &Call<'_>) -> Result<Stage, ApiError> {
    let found = call.view.stage(call.api_id(), call.param("stage_name"))?;
    found.map(|found| found.document).ok_or_else(no_stage)
}

/// A stage that does not exist.
pub(crate) fn no_stage() -> ApiError {
    ApiError::not_found("Invalid Stage identifier specified")
}

/// What AWS prints of a stage, with the settings that this version keeps at their defaults.
pub(crate) fn printed(stage: &Stage) -> Value {
    let mut value = print(stage);
    if let Some(fields) = value.as_object_mut() {
        for hidden in ["tidegateCache", "tidegateRollout", "tidegateRolledBack"] {
            fields.shift_remove(hidden);
        }
    }
    value["cacheClusterStatus"] = json!(stage_cache::status(stage));
    value["methodSettings"] = json!(stage.method_settings);
    value["tracingEnabled"] = json!(false);
    value
}

fn check(stage: &Stage, call: &Call<'_>) -> Result<(), ApiError> {
    variables::check(&stage.variables)?;
    stage_cache::check(stage)?;
    let found = call.view.deployment(call.api_id(), &stage.deployment_id)?.ok_or_else(no_deployment)?;
    definition::check(&found.document.definition, stage)
}

fn is_promotion(patch: &Patch) -> bool {
    let from_canary = patch.from.as_deref().is_some_and(|from| from.starts_with("/canarySettings"));
    matches!(patch.op, Op::Copy | Op::Move) && from_canary
}
