//! A busy limit in the words of whoever configured it. Owns the figures and names that are printed; an API key's value is not
//! known here.

use std::{collections::BTreeMap, sync::Arc};

use tidegate_control::TopQuestion;
use tidegate_gateway::{Level, Subject};
use tidegate_proto::{
    ledger::{BusyHolderV1, WHOLE},
    status::{LimitHolder, LimitPolicyStatus, LimitStatus},
};
use tidegate_state::State;
use tidegate_throttle::{Index, Isolated, Kind, LimitId, Name, Period, Scope, Spec};

use super::Merged;

/// What is needed to tell about limits.
pub(super) struct Teller {
    pub(super) index: Arc<Index>,
    pub(super) state: State,
    pub(super) subjects: BTreeMap<Name, Subject>,
    pub(super) azs: BTreeMap<u64, String>,
}

/// Whether a limit is one that is asked for.
pub(super) fn matches(limit: &LimitStatus, question: &TopQuestion) -> bool {
    let is = |wanted: &Option<String>, found: Option<&String>| {
        wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
    };
    is(&question.api, limit.api.as_ref())
        && is(&question.stage, limit.stage.as_ref())
        && is(&question.level, Some(&limit.level))
}

impl Teller {
    pub(super) fn tell(&self, merged: &Merged) -> LimitStatus {
        let mut told = LimitStatus {
            id: format!("{:016x}", merged.limit),
            demand: hundredths(merged.demand),
            admitted: hundredths(merged.admitted),
            refused: hundredths(merged.refused),
            short: merged.short,
            ..LimitStatus::default()
        };
        let id = LimitId::new(merged.limit);
        self.name(id, &mut told);
        let spec = id.and_then(|id| self.index.spec(id));
        if let Some(spec) = spec {
            specify(spec, merged, &mut told);
        }
        let holders = merged.holders.iter().map(|one| LimitHolder {
            node: one.holder,
            az: self.azs.get(&one.holder).cloned().unwrap_or_default(),
            demand: hundredths(f64::from(one.demand)),
            refused: hundredths(f64::from(one.refused)),
            share_percent: spec.and_then(|spec| share_percent(spec, one)),
        });
        told.holders = holders.collect();
        told
    }

    fn name(&self, id: Option<LimitId>, told: &mut LimitStatus) {
        let subject = id.and_then(|id| Some((id, self.subjects.get(&id.name())?)));
        let Some((id, subject)) = subject else {
            (told.limit, told.level) = (told.id.clone(), "unknown".to_owned());
            return;
        };
        let level = match subject {
            Subject::Account => Level::Account,
            Subject::Stage { .. } => Level::Stage,
            Subject::Method { .. } => Level::Method,
            Subject::Key { .. } if matches!(id.kind(), Kind::Quota(_)) => Level::Quota,
            Subject::Key { .. } => Level::Plan,
            Subject::KeyMethod { .. } => Level::PlanMethod,
        };
        told.level = level.name().to_owned();
        let (mut places, mut who) = (None, None);
        match subject.clone() {
            Subject::Account => {}
            Subject::Stage { api, stage } => places = Some((api, stage, None)),
            Subject::Method { api, stage, method } => places = Some((api, stage, Some(method))),
            Subject::Key { plan, key } => who = Some((plan, key)),
            Subject::KeyMethod { plan, key, api, stage, method } => {
                (places, who) = (Some((api, stage, Some(method))), Some((plan, key)));
            }
        }
        let mut words = Vec::new();
        if let Some((plan, key)) = who {
            let known = self.state.usage_plan(&plan).ok().flatten().map(|plan| plan.document.name);
            told.plan_name = known.filter(|name| !name.is_empty());
            told.key_name = self.state.api_key(&key).ok().flatten().and_then(|key| key.document.name);
            let (plan_word, key_word) = (told.plan_name.as_ref(), told.key_name.as_ref());
            words.push(format!("{}/{}", plan_word.unwrap_or(&plan), key_word.unwrap_or(&key)));
            (told.plan, told.key) = (Some(plan), Some(key));
        }
        if let Some((api, stage, method)) = places {
            words.push(format!("{api}/{stage}"));
            words.extend(method.clone());
            (told.api, told.stage, told.method) = (Some(api), Some(stage), method);
        }
        told.limit = if words.is_empty() { told.level.clone() } else { words.join(" ") };
    }
}

/// Numbers, policy and what is left.
fn specify(spec: &Spec, merged: &Merged, told: &mut LimitStatus) {
    let left = merged.level.map(|level| hundredths(level.max(0) as f64 / 1e3));
    told.policy = LimitPolicyStatus {
        strict: matches!(spec.kind, Kind::StrictSlice | Kind::Pool | Kind::Quota(_)),
        isolated: match spec.isolated {
            Isolated::Even => "even",
            Isolated::Last => "last",
            Isolated::Closed => "closed",
        }
        .to_owned(),
        scope: match spec.scope {
            Scope::Region => "region",
            Scope::Global => "global",
        }
        .to_owned(),
    };
    let kind = match spec.kind {
        Kind::Slice | Kind::StrictSlice => "slice",
        Kind::Count => "count",
        Kind::Pool => "pool",
        Kind::Quota(_) => "quota",
    };
    told.kind = kind.to_owned();
    match spec.kind {
        Kind::Quota(period) => {
            let period = match period {
                Period::Day => "DAY",
                Period::Week => "WEEK",
                Period::Month => "MONTH",
            };
            let quota = f64::from(spec.quota);
            (told.quota, told.period) = (Some(u64::from(spec.quota)), Some(period.to_owned()));
            told.remaining = left;
            told.fill_percent = left.map(|left| percent((quota - left).max(0.0), quota));
        }
        Kind::Slice | Kind::StrictSlice => {}
        Kind::Count | Kind::Pool => told.remaining = left,
    }
    if told.quota.is_none() {
        (told.rate, told.burst) = (Some(spec.rate), Some(spec.burst));
        told.fill_percent = Some(percent(merged.admitted, spec.rate));
    }
}

/// Rounded down, so that shares never add up to more than there is.
fn share_percent(spec: &Spec, one: &BusyHolderV1) -> Option<f64> {
    let whole = match spec.kind {
        Kind::Slice | Kind::StrictSlice => f64::from(WHOLE),
        Kind::Pool => spec.burst.floor(),
        Kind::Quota(_) => f64::from(spec.quota),
        Kind::Count => return None,
    };
    Some((f64::from(one.share) / whole.max(1.0) * 1e4).floor() / 1e2)
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { hundredths(part / whole * 1e2) } else { 0.0 }
}

fn hundredths(value: f64) -> f64 {
    (value * 1e2).round() / 1e2
}

#[cfg(test)]
mod tests;
