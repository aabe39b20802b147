//! Watches rollouts where this node leads the configuration: asks all nodes what they answered, and lets new versions go on or takes them
//! back. What to do is decided in `tidegate_publish::rollout`.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tidegate_cluster::{Handle, NodeId, NodeMeta, group};
use tidegate_control::Store;
use tidegate_proto::{
    document::{Document, RolloutPolicy, Stage, Zone},
    key::{self, Key},
    limits::{DESCRIBE_TIMEOUT_MS, ROLLOUT_STAGES_MAX},
    peer::{MessageV1, StageCountV1, StageNameV1},
    transaction::{OutcomeV1, TransactionV1},
};
use tidegate_publish::rollout::{Counted, Seen, Step, Trouble, Watch};
use tidegate_state::State;

use crate::{inbox::Count, members::epoch_s, publish::Counters, replica::Replica, store::ConfigStore};

/// How often rollouts are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Counts what stages answered on this node.
pub(crate) fn counting(edge: tidegate_edge::Handle, counters: Arc<Counters>) -> Count {
    Arc::new(move |stages| {
        let (is_held, failing) = (counters.is_held.load(Ordering::Relaxed), counters.failing.load());
        let count = |StageNameV1 { api, stage }: &StageNameV1| {
            let (requests, errors) = edge.stage_counts(api, stage);
            let is_failing = failing.contains(&(api.clone(), stage.clone()));
            StageCountV1 { requests, errors, is_failing, is_held }
        };
        stages.iter().take(ROLLOUT_STAGES_MAX).map(count).collect()
    })
}

/// Follows rollouts until the task is dropped.
pub(crate) async fn keep(handle: Handle, store: ConfigStore, replica: Replica) {
    let Ok(leadership) = handle.leadership(group::CONFIG) else { return };
    let started = Instant::now();
    let mut watches: BTreeMap<StageNameV1, Watch> = BTreeMap::new();
    let mut known = (None, Vec::new());
    loop {
        tokio::time::sleep(EVERY).await;
        let state = replica.load().state.clone();
        if leadership.borrow().is_none() {
            // Another leader watched meanwhile; what this one saw before is no base any more.
            watches.clear();
            continue;
        }
        if known.0 != Some(state.revision()) {
            known = (Some(state.revision()), rolling(&state));
        }
        let (_, rollouts) = &known;
        watches.retain(|name, _| rollouts.iter().any(|(rolling, ..)| rolling == name));
        if rollouts.is_empty() {
            continue;
        }
        let names: Vec<StageNameV1> = rollouts.iter().map(|(name, ..)| name.clone()).collect();
        let answers = ask(&handle, &names).await;
        let now_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        for (place, (name, revision, stage)) in rollouts.iter().enumerate() {
            let seen: Vec<Seen> = answers.iter().map(|answer| answer.about(place)).collect();
            let watch = watches.entry(name.clone()).or_default();
            let (Some(rollout), Ok(policy)) =
                (&stage.tidegate_rollout, RolloutPolicy::from_tags(&stage.tags))
            else {
                continue;
            };
            let step = watch.look(rollout, &policy, &seen, now_ms);
            take(&store, name, *revision, stage.clone(), step).await;
        }
    }
}

/// Stages with a rollout under way, each with the revision of its record.
fn rolling(state: &State) -> Vec<(StageNameV1, u64, Stage)> {
    let mut found = Vec::new();
    for (name, record) in state.prefix(key::REST_API_PREFIX) {
        let Key::Stage { api, stage } = Key::parse(name) else { continue };
        let Ok(document) = Stage::decode(&record.bytes) else { continue };
        if document.tidegate_rollout.is_some() && found.len() < ROLLOUT_STAGES_MAX {
            let name = StageNameV1 { api: api.to_owned(), stage: stage.to_owned() };
            found.push((name, record.revision, document));
        }
    }
    found
}

/// One node and what it counted.
struct Answer {
    node: NodeId,
    zone: Zone,
    counts: Option<Vec<StageCountV1>>,
}

impl Answer {
    fn about(&self, place: usize) -> Seen {
        let counted = self.counts.as_ref().and_then(|counts| counts.get(place)).map(|count| {
            let StageCountV1 { requests, errors, is_failing, is_held } = *count;
            let trouble = match (is_held, is_failing) {
                (true, _) => Some(Trouble::CrashLoop),
                (false, true) => Some(Trouble::DoesNotCompile),
                (false, false) => None,
            };
            Counted { requests, errors, trouble }
        });
        Seen { node: self.node, zone: self.zone.clone(), counted }
    }
}

async fn ask(handle: &Handle, names: &[StageNameV1]) -> Vec<Answer> {
    let (Ok(status), Ok(question)) =
        (handle.status(group::CONFIG), MessageV1::StageCounts(names.to_vec()).encode())
    else {
        return Vec::new();
    };
    let question = bytes::Bytes::from(question);
    let asked = status.voters.into_iter().chain(status.learners).map(|(node, meta): (NodeId, NodeMeta)| {
        let (question, patience) = (question.clone(), Duration::from_millis(DESCRIBE_TIMEOUT_MS));
        async move {
            let answer = handle.call(node, question, patience).await.ok();
            let counts = match answer.and_then(|answer| MessageV1::decode(&answer).ok()) {
                Some(MessageV1::StageCounted(counts)) => Some(counts),
                _ => None,
            };
            Answer { node, zone: Zone { region: meta.region, az: meta.az }, counts }
        }
    });
    join_all(asked).await
}

/// Carries a step out; one that comes too late changes nothing, and the next look decides anew.
async fn take(store: &ConfigStore, name: &StageNameV1, revision: u64, mut stage: Stage, step: Step) {
    let (StageNameV1 { api, stage: stage_name }, now_s) = (name, epoch_s());
    match step {
        Step::Wait => return,
        Step::Reach(zone) => {
            tracing::info!(
                api,
                stage = stage_name,
                region = zone.region,
                az = zone.az,
                "a new version reaches a zone"
            );
            if let Some(rollout) = &mut stage.tidegate_rollout {
                rollout.reached.push(zone);
                rollout.reached_s = now_s;
            }
        }
        Step::Finish => {
            tracing::info!(api, stage = stage_name, "a new version is served everywhere");
            stage.tidegate_rollout = None;
        }
        Step::RollBack(reason) => {
            tracing::warn!(api, stage = stage_name, reason, "a new version is taken back");
            stage.roll_back(reason, now_s);
        }
    }
    let key = key::stage(api, stage_name);
    let mut transaction = TransactionV1::default();
    transaction.compare(key.clone(), revision).put(key, &stage);
    match store.commit(transaction).await {
        Ok(OutcomeV1::Committed { .. } | OutcomeV1::Conflict { .. }) => {}
        Ok(OutcomeV1::Refused { reason }) => {
            tracing::error!(api, stage = stage_name, reason, "a rollout does not go on")
        }
        Err(error) => tracing::warn!(api, stage = stage_name, %error, "a rollout does not go on yet"),
    }
}
