//! Rollouts as an operator sees and ends them. Owns the two verbs; when a rollout goes on by itself is decided on the leader.

use std::sync::Arc;

use tidegate_proto::{
    document::{Document, RolledBack, Stage, StageRollout},
    key::{self, Key},
    status::{RolloutList, RolloutStatus},
    transaction::TransactionV1,
};
use tidegate_state::State;

use crate::{
    answer::{Answer, print},
    call::Outcome,
    driver::{Reply, barrier, retry},
    error::ApiError,
    store::Store,
};

/// Answers `GET /_tidegate/rollouts`.
pub(crate) fn list(view: &State) -> Result<Answer, ApiError> {
    let mut rollouts = Vec::new();
    for (name, record) in view.prefix(key::REST_API_PREFIX) {
        let Key::Stage { api, .. } = Key::parse(name) else { continue };
        let stage = Stage::decode(&record.bytes);
        let stage = stage.map_err(|error| ApiError::internal(format!("{name}: {error}")))?;
        rollouts.extend(status(api, &stage));
    }
    Ok(Answer::ok(print(&RolloutList { rollouts })))
}

/// Answers `POST /_tidegate/rollouts/{api}/{stage}/abort` and `…/finish`.
pub(crate) async fn end(
    store: &Arc<dyn Store>,
    api: &str,
    stage: &str,
    is_abort: bool,
    now_s: i64,
) -> Result<Reply, ApiError> {
    barrier(store).await?;
    let decide = || std::future::ready(decide(&store.view(), api, stage, is_abort, now_s));
    Ok(Reply { answer: retry(store, decide).await?, stale: false })
}

fn decide(view: &State, api: &str, name: &str, is_abort: bool, now_s: i64) -> Outcome {
    let found = view.stage(api, name)?.map(|found| (found.revision, found.document));
    let Some((revision, mut stage)) = found.filter(|(_, stage)| stage.tidegate_rollout.is_some()) else {
        return Err(ApiError::not_found(format!("Stage {name} of REST API {api} has no rollout under way")));
    };
    let (key, before) = (key::stage(api, name), stage.clone());
    if is_abort {
        stage.roll_back("aborted by an operator", now_s);
    } else {
        stage.tidegate_rollout = None;
    }
    let mut transaction = TransactionV1::default();
    transaction.compare(key.clone(), revision).put(key, &stage);
    let ended = if is_abort { status(api, &stage) } else { status(api, &before) };
    Ok((transaction, Answer::ok(print(&ended))))
}

fn status(api: &str, stage: &Stage) -> Option<RolloutStatus> {
    let row =
        RolloutStatus { api: api.to_owned(), stage: stage.stage_name.clone(), ..RolloutStatus::default() };
    if let Some(StageRollout { from, reached, reached_s }) = &stage.tidegate_rollout {
        return Some(RolloutStatus {
            state: "rolling".into(),
            from_deployment: from.deployment_id.clone(),
            to_deployment: stage.deployment_id.clone(),
            reached: reached.iter().map(|zone| format!("{}/{}", zone.region, zone.az)).collect(),
            since: *reached_s,
            ..row
        });
    }
    let RolledBack { version, reason, at_s } = stage.tidegate_rolled_back.as_ref()?;
    Some(RolloutStatus {
        state: "rolled-back".into(),
        from_deployment: stage.deployment_id.clone(),
        to_deployment: version.deployment_id.clone(),
        since: *at_s,
        reason: reason.clone(),
        ..row
    })
}
