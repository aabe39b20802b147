//! Use of quotas, as the control plane asks for it: counted by the leaders of the ledger, changed through its log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tidegate_cluster::{Error, Handle};
use tidegate_control::{DayUsage, KeyUsage, Usage, UsageError};
use tidegate_gateway::plan_limit_name;
use tidegate_proto::{
    document::{QuotaPeriod, UsagePlan},
    ledger::{ChangeV1, CommandV1, MessageV1, UsedV1},
    limits::{PROPOSE_TIMEOUT_MS, READ_TIMEOUT_MS, USAGE_LIMITS_MAX},
};
use tidegate_throttle::{Kind, LimitId, Period, Scope, Spec};

use super::{Desk, Shard, lock, today};
use crate::replica::Replica;

/// The ledger of this region, as `control` sees it.
pub(crate) struct LedgerUsage {
    desk: Arc<Desk>,
    handle: Handle,
    replica: Replica,
}

impl LedgerUsage {
    pub(crate) fn new(desk: Arc<Desk>, handle: Handle, replica: Replica) -> Self {
        Self { desk, handle, replica }
    }

    fn plan(&self, plan: &str) -> Option<UsagePlan> {
        let read = self.replica.load().state.usage_plan(plan);
        read.ok().flatten().map(|plan| plan.document)
    }

    fn reach(&self, plan: &UsagePlan) -> Scope {
        tidegate_publish::limits::reach(plan, self.desk.index.load().holders())
    }

    /// Asks the leader of each shard for the quotas that are there.
    async fn ask(
        &self,
        number: usize,
        limits: Vec<LimitId>,
        days: (u32, u32),
    ) -> Result<Vec<Vec<UsedV1>>, UsageError> {
        let shard = self.desk.shards.get(number).ok_or(UsageError::Unavailable)?;
        let mut all = Vec::with_capacity(limits.len());
        for some in limits.chunks(USAGE_LIMITS_MAX) {
            let limits: Vec<u64> = some.iter().map(|limit| limit.number()).collect();
            let count = limits.len();
            let leader = self.handle.leader(shard.group).ok().flatten().ok_or(UsageError::Unavailable)?;
            let used = if leader == self.desk.node {
                self.desk.used(shard, &limits, days.0, days.1)
            } else {
                let group = shard.group;
                let question = MessageV1::Usage { group, limits, first_day: days.0, last_day: days.1 };
                match self.call(leader, &question).await {
                    Some(MessageV1::Used(used)) => Some(used),
                    _ => None,
                }
            };
            all.extend(used.filter(|used| used.len() == count).ok_or(UsageError::Unavailable)?);
        }
        Ok(all)
    }

    /// What the leader of a shard knows of a quota and the ledger does not.
    async fn ask_unsettled(&self, shard: &Shard, limit: u64) -> Option<Vec<ChangeV1>> {
        let leader = self.handle.leader(shard.group).ok().flatten()?;
        if leader == self.desk.node {
            return self.desk.unsettled(shard, limit);
        }
        match self.call(leader, &MessageV1::Settle { group: shard.group, limit }).await? {
            MessageV1::Unsettled(command) => Some(command.changes),
            _ => None,
        }
    }

    async fn call(&self, leader: u64, question: &MessageV1) -> Option<MessageV1> {
        let bytes = Bytes::from(question.encode().ok()?);
        let answer = self.handle.call(leader, bytes, Duration::from_millis(READ_TIMEOUT_MS)).await.ok()?;
        MessageV1::decode(&answer).ok()
    }
}

impl Desk {
    /// What has to be written down of a quota, where this node leads its shard.
    pub(super) fn unsettled(&self, shard: &Shard, limit: u64) -> Option<Vec<ChangeV1>> {
        let keeper = lock(&shard.keeper);
        let (keeper, ledger) = (keeper.as_ref()?, lock(&shard.ledger));
        Some(LimitId::new(limit).map_or_else(Vec::new, |limit| keeper.unsettled(limit, &ledger)))
    }

    /// Use of quotas, where this node leads their shard.
    pub(super) fn used(
        &self,
        shard: &Shard,
        limits: &[u64],
        first_day: u32,
        last_day: u32,
    ) -> Option<Vec<Vec<UsedV1>>> {
        let keeper = lock(&shard.keeper);
        let (keeper, ledger) = (keeper.as_ref()?, lock(&shard.ledger));
        let used = |limit: &u64| {
            LimitId::new(*limit)
                .map_or_else(Vec::new, |limit| keeper.used(limit, &ledger, first_day, last_day))
        };
        Some(limits.iter().take(USAGE_LIMITS_MAX).map(used).collect())
    }
}

impl Usage for LedgerUsage {
    fn usage(
        &self,
        plan: &str,
        keys: Vec<String>,
        first_day: i32,
        last_day: i32,
    ) -> BoxFuture<'_, Result<Vec<KeyUsage>, UsageError>> {
        let document = self.plan(plan);
        let plan = plan.to_owned();
        async move {
            let scope = document.as_ref().map(|plan| self.reach(plan)).unwrap_or_default();
            let Some(quota) = document.and_then(|plan| plan.quota) else { return Ok(Vec::new()) };
            let days = (u32::try_from(first_day).unwrap_or(0), u32::try_from(last_day).unwrap_or(0));
            let mut by_shard: BTreeMap<usize, (Vec<String>, Vec<LimitId>)> = BTreeMap::new();
            for key in keys {
                let kind = Kind::Quota(period(quota.period));
                let limit = plan_limit_name(&plan, &key).limit_over(kind, scope);
                let (keys, limits) = by_shard.entry(limit.ledger()).or_default();
                limits.push(limit);
                keys.push(key);
            }
            let mut all = Vec::new();
            for (shard, (keys, limits)) in by_shard {
                let used = self.ask(shard, limits, days).await?;
                let printed = keys.into_iter().zip(used);
                all.extend(printed.map(|(key, used)| KeyUsage { key, days: used.iter().map(day).collect() }));
            }
            Ok(all)
        }
        .boxed()
    }

    fn set_remaining(&self, plan: &str, key: &str, remaining: u64) -> BoxFuture<'_, Result<(), UsageError>> {
        let (document, name) = (self.plan(plan), plan_limit_name(plan, key));
        async move {
            let document = document.filter(|plan| plan.quota.is_some()).ok_or(UsageError::Unavailable)?;
            let quota = document.quota.unwrap_or_default();
            let (period, scope) = (period(quota.period), self.reach(&document));
            let limit = name.limit_over(Kind::Quota(period), scope);
            let shard = self.desk.shards.get(limit.ledger()).ok_or(UsageError::Unavailable)?;
            let limit = limit.number();
            let day = lock(&shard.ledger).day().max(today());
            let number = period.number(day);
            let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            let since_day = count(u64::try_from(document.quota_since_s.unwrap_or(0) / 86_400).unwrap_or(0));
            let spec = Spec::quota(count(quota.limit), count(quota.offset), period, since_day, scope);
            let size = spec.quota_in(number);
            // What is out counts as left, so what was used of it is written down first.
            let mut changes = vec![ChangeV1::Day { day }, ChangeV1::Quota { limit, period: number, size }];
            changes.extend(self.ask_unsettled(shard, limit).await.ok_or(UsageError::Unavailable)?);
            changes.push(ChangeV1::Remain { limit, period: number, remaining: count(remaining) });
            let command = CommandV1 { changes }.encode().map_err(|_| UsageError::Unavailable)?;
            let patience = Duration::from_millis(PROPOSE_TIMEOUT_MS);
            match self.handle.propose(shard.group, Bytes::from(command), patience).await {
                Ok(_) => Ok(()),
                Err(Error::Uncertain { .. }) => Err(UsageError::Unknown),
                Err(_) => Err(UsageError::Unavailable),
            }
        }
        .boxed()
    }
}

fn day(used: &UsedV1) -> DayUsage {
    let UsedV1 { day, used, remaining } = *used;
    DayUsage {
        day: i32::try_from(day).unwrap_or(i32::MAX),
        used: u64::from(used),
        remaining: u64::from(remaining),
    }
}

fn period(period: QuotaPeriod) -> Period {
    match period {
        QuotaPeriod::Day => Period::Day,
        QuotaPeriod::Week => Period::Week,
        QuotaPeriod::Month => Period::Month,
    }
}
