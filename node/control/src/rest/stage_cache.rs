//! The cache of a stage: its cluster, and when everything or a part is taken out of it. Owns those rules; must never store an answer.

use tidegate_proto::{
    document::{
        CachePurge, Stage,
        cache::{CACHE_SIZE_DEFAULT, CACHE_SIZES, cache_bytes},
    },
    status::CachePurged,
};
use tidegate_state::State;

use super::{
    deployment::no_deployment,
    draft::Draft,
    stage::{find, no_stage},
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read as answer},
    error::ApiError,
    input::Input,
};

/// What a request says about the cache cluster of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cluster {
    enabled: Option<bool>,
    size: Option<String>,
}

impl Cluster {
    /// Whether it asks for one.
    pub(crate) fn is_wanted(&self) -> bool {
        self.enabled == Some(true) || self.size.is_some()
    }

    /// Sets what was said and leaves the rest.
    pub(crate) fn apply(self, stage: &mut Stage) {
        stage.cache_cluster_enabled = self.enabled.unwrap_or(stage.cache_cluster_enabled);
        stage.cache_cluster_size = self.size.or_else(|| stage.cache_cluster_size.take());
        complete(stage);
    }
}

/// Reads `cacheClusterEnabled` and `cacheClusterSize`.
pub(crate) fn read(input: &mut Input) -> Result<Cluster, ApiError> {
    let enabled = input.boolean("cacheClusterEnabled")?;
    let size = input.choice("cacheClusterSize", &CACHE_SIZES)?;
    Ok(Cluster { enabled, size })
}

/// A cluster without a size has the smallest; no size is none.
pub(crate) fn complete(stage: &mut Stage) {
    stage.cache_cluster_size = stage.cache_cluster_size.take().filter(|size| !size.is_empty());
    if stage.cache_cluster_enabled && stage.cache_cluster_size.is_none() {
        stage.cache_cluster_size = Some(CACHE_SIZE_DEFAULT.to_owned());
    }
}

/// Whether the size is one of AWS's.
pub(crate) fn check(stage: &Stage) -> Result<(), ApiError> {
    match stage.cache_cluster_size.as_deref() {
        Some(size) if cache_bytes(size).is_none() => Err(ApiError::bad_request(format!(
            "Invalid value '{size}' specified for cacheClusterSize, must be one of [{}]",
            CACHE_SIZES.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// AWS: `cacheClusterStatus`. There is nothing to wait for here.
pub(crate) fn status(stage: &Stage) -> &'static str {
    if stage.cache_cluster_enabled { "AVAILABLE" } else { "NOT_AVAILABLE" }
}

/// Empties the cache of a stage that has another deployment now, or another cluster.
pub(crate) fn follow(before: &Stage, after: &mut Stage) {
    let cluster = |stage: &Stage| (stage.cache_cluster_enabled, stage.cache_cluster_size.clone());
    let is_new = before.deployment_id.is_empty();
    if !is_new && (before.deployment_id != after.deployment_id || cluster(before) != cluster(after)) {
        after.tidegate_cache.flush();
    }
}

/// `FlushStageCache`.
pub(crate) fn flush(call: &Call<'_>) -> Outcome {
    let mut draft = Draft::open_or(call, no_stage())?;
    let mut stage = find(call)?;
    stage.tidegate_cache.flush();
    draft.put_stage(&stage);
    draft.commit(Answer::accepted())
}

/// Takes a part of a stage's cache out, or all of it where `purge` names no part.
///
/// # Errors
/// 404 when there is no such API, stage or resource.
pub(crate) fn purge(view: &State, api: &str, name: &str, purge: CachePurge) -> Outcome {
    let mut draft = Draft::of(view, api)?.ok_or_else(no_stage)?;
    let mut stage = match name.contains('/') {
        true => None,
        false => view.stage(api, name)?.map(|found| found.document),
    }
    .ok_or_else(no_stage)?;
    if let Some(path) = &purge.resource {
        let deployment = view.deployment(api, &stage.deployment_id)?.ok_or_else(no_deployment)?.document;
        if !deployment.definition.resources.iter().any(|resource| resource.path == *path) {
            return Err(ApiError::not_found(format!("Stage {name} has no resource '{path}'")));
        }
    }
    let is_part = stage.tidegate_cache.purge(purge);
    let purged = if is_part { "part" } else { "all" }.to_owned();
    let sequence = stage.tidegate_cache.sequence;
    draft.put_stage(&stage);
    draft.commit(Answer::ok(print(&CachePurged { purged, sequence })))
}

/// `FlushStageAuthorizersCache`: this version has no authorizers whose answers could be kept.
pub(crate) fn flush_authorizers(call: &Call<'_>) -> Outcome {
    find(call)?;
    answer(Answer::accepted())
}
