//! The replicated half of a shard: who holds which part of which limit. Applies the leader's commands in log order; pure, total
//! and deterministic. Owns conservation: a change that would hand out more than there is is skipped, whoever asks for it.
//! Must never decide what to grant, nor know a time.

mod capital;
mod escrow;
mod slices;

use std::collections::BTreeMap;

use tidegate_proto::{
    frame::FrameError,
    ledger::{
        ChangeV1, ChunkV1, CommandV1, PoolRowV1, QuotaRowV1, SessionV1, SliceRowV1, SliceV1, StateV1, UsedV1,
        WholeV1,
    },
};

use crate::{ids::IdMap, limit::LimitId};

/// The state of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    pub(crate) epoch: u64,
    pub(crate) version: u64,
    pub(crate) day: u32,
    pub(crate) sessions: BTreeMap<u64, SessionV1>,
    pub(crate) slices: IdMap<Vec<SliceV1>>,
    pub(crate) pools: IdMap<PoolRowV1>,
    pub(crate) quotas: IdMap<QuotaRowV1>,
    pub(crate) levels: IdMap<i64>,
    /// In a region's part of the limits that span regions.
    capital: Option<capital::Capital>,
}

/// A change that breaks a rule; it is skipped.
#[derive(Debug)]
pub(crate) struct Skipped;

impl Ledger {
    /// A region's part of the limits that span regions: it has nothing but what the ledger of all regions grants.
    pub fn part() -> Self {
        Self { capital: Some(capital::Capital::default()), ..Self::default() }
    }

    /// Applies a command; returns how many of its changes were skipped because they break a rule.
    pub fn apply(&mut self, command: &CommandV1) -> usize {
        command.changes.iter().filter(|change| self.change(change).is_err()).count()
    }

    fn change(&mut self, change: &ChangeV1) -> Result<(), Skipped> {
        match *change {
            ChangeV1::Open { holder, incarnation, replaces, unit } => {
                let present = self.sessions.get(&holder).map_or(0, |session| session.epoch);
                if present == replaces {
                    self.open(holder, incarnation, unit)
                } else {
                    return Err(Skipped);
                };
                Ok(())
            }
            ChangeV1::Close { holder, epoch } => {
                let is_it = self.sessions.get(&holder).is_some_and(|session| session.epoch == epoch);
                if is_it {
                    self.close(holder)
                } else {
                    return Err(Skipped);
                };
                Ok(())
            }
            ChangeV1::Manage { limit } => self.manage(limit),
            ChangeV1::Slice { limit, holder, committed, target, tokens, returned, contended, implicit } => {
                let version = 0;
                self.set_slice(
                    limit,
                    SliceV1 { holder, committed, target, version, tokens, returned, contended, implicit },
                )
            }
            ChangeV1::Retire { limit } => self.retire(limit),
            ChangeV1::Quota { limit, period, size } => self.open_quota(limit, period, size),
            ChangeV1::Pool { limit, size } => {
                self.pools.entry(limit).or_insert_with(|| PoolRowV1 { limit, ..PoolRowV1::default() }).size =
                    size;
                Ok(())
            }
            ChangeV1::Grant { limit, period, holder, life, amount } => {
                self.grant(limit, period, ChunkV1 { holder, life, granted: amount, spent: 0, returned: 0 })
            }
            ChangeV1::Settle { limit, period, holder, life, spent, returned } => {
                self.settle(limit, period, ChunkV1 { holder, life, granted: 0, spent, returned })
            }
            ChangeV1::Remain { limit, period, remaining } => self.remain(limit, period, remaining),
            ChangeV1::Forget { limit } => {
                self.pools.remove(&limit);
                self.quotas.remove(&limit);
                self.forget_whole(limit);
                Ok(())
            }
            ChangeV1::Level { limit, level, full } => {
                if level >= full {
                    self.levels.remove(&limit)
                } else {
                    self.levels.insert(limit, level)
                };
                Ok(())
            }
            ChangeV1::Day { day } => {
                self.day = self.day.max(day);
                Ok(())
            }
            ChangeV1::Upstream { epoch, unit } => self.enter(epoch, unit),
            ChangeV1::Leave { epoch } => self.leave(epoch),
            ChangeV1::Whole { limit, share, version, tokens, returned } => {
                self.set_whole(WholeV1 { limit, share, version, tokens, returned })
            }
        }
    }

    /// The share that a new session gets is what the others leave of it.
    fn open(&mut self, holder: u64, incarnation: u64, unit: u32) {
        self.close(holder);
        let taken = self.sessions.values().map(|session| session.unit).fold(0, u32::saturating_add);
        self.epoch += 1;
        let unit = unit.min(self.unit().saturating_sub(taken));
        self.sessions.insert(holder, SessionV1 { holder, incarnation, epoch: self.epoch, unit });
    }

    fn close(&mut self, holder: u64) {
        if self.sessions.remove(&holder).is_none() {
            return;
        }
        for slices in self.slices.values_mut() {
            slices.retain(|slice| slice.holder != holder);
        }
        for pool in self.pools.values_mut() {
            pool.chunks.retain(|chunk| chunk.holder != holder);
        }
    }

    /// The day, in days since 1970-01-01; 0 before the first one was committed.
    pub fn day(&self) -> u32 {
        self.day
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionV1> {
        self.sessions.values()
    }

    /// Limits whose shares are managed one by one.
    pub fn managed(&self) -> usize {
        self.slices.len()
    }

    /// What a holder may be using of a limit at most, of [`tidegate_proto::ledger::WHOLE`].
    pub fn committed(&self, limit: LimitId, holder: u64) -> u32 {
        match self.slices.get(&limit.number()) {
            Some(slices) => {
                slices.iter().find(|slice| slice.holder == holder).map_or(0, |slice| slice.committed)
            }
            None => self.sessions.get(&holder).map_or(0, |session| session.unit),
        }
    }

    /// Granted less used and returned, over all holders, and the size, of a quota in its present period.
    pub fn quota(&self, limit: LimitId) -> Option<&QuotaRowV1> {
        self.quotas.get(&limit.number())
    }

    /// Use of a quota from `first_day` to `last_day`, days without requests left out.
    pub fn used(&self, limit: LimitId, first_day: u32, last_day: u32) -> Vec<UsedV1> {
        self.quotas.get(&limit.number()).map_or_else(Vec::new, |row| {
            escrow::used(row, self.day)
                .into_iter()
                .filter(|used| (first_day..=last_day).contains(&used.day))
                .collect()
        })
    }

    /// Whether every rule of conservation holds; the text says which does not.
    ///
    /// # Errors
    /// A limit of which more is out than there is.
    pub fn check(&self) -> Result<(), String> {
        let units: u64 = self.sessions.values().map(|session| u64::from(session.unit)).sum();
        if units > u64::from(self.unit()) {
            return Err(format!("default shares add up to {units} of {}", self.unit()));
        }
        for (limit, slices) in &self.slices {
            let committed: u64 = slices.iter().map(|slice| u64::from(slice.committed)).sum();
            let whole = self.whole(*limit);
            if committed > u64::from(whole) {
                return Err(format!("shares of {limit:x} add up to {committed} of {whole}"));
            }
        }
        for row in self.quotas.values() {
            let kept: i64 =
                row.chunks.iter().map(|chunk| i64::from(chunk.granted) - i64::from(chunk.returned)).sum();
            if row.pool + kept + i64::from(row.forfeited) != i64::from(row.size) {
                return Err(format!(
                    "quota {:x}: {} in the pool, {kept} granted of {}",
                    row.limit, row.pool, row.size
                ));
            }
        }
        for row in self.pools.values() {
            let out: u64 = row.chunks.iter().map(|chunk| u64::from(chunk.outstanding())).sum();
            if out > u64::from(row.size) {
                return Err(format!("pool {:x}: {out} out of {}", row.limit, row.size));
            }
        }
        Ok(())
    }

    /// The framed state.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let rows =
            self.slices.iter().map(|(limit, slices)| SliceRowV1 { limit: *limit, slices: slices.clone() });
        let mut state = StateV1 {
            epoch: self.epoch,
            version: self.version,
            day: self.day,
            sessions: self.sessions.values().copied().collect(),
            slices: rows.collect(),
            pools: self.pools.values().cloned().collect(),
            quotas: self.quotas.values().cloned().collect(),
            levels: self.levels.iter().map(|(limit, level)| (*limit, *level)).collect(),
            capital: self.capital.as_ref().map(capital::Capital::to_state),
        };
        state.slices.sort_unstable_by_key(|row| row.limit);
        state.pools.sort_unstable_by_key(|row| row.limit);
        state.quotas.sort_unstable_by_key(|row| row.limit);
        state.levels.sort_unstable();
        state.encode()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Bytes that are damaged or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let state = StateV1::decode(bytes)?;
        Ok(Self {
            epoch: state.epoch,
            version: state.version,
            day: state.day,
            sessions: state.sessions.into_iter().map(|session| (session.holder, session)).collect(),
            slices: state.slices.into_iter().map(|row| (row.limit, row.slices)).collect(),
            pools: state.pools.into_iter().map(|row| (row.limit, row)).collect(),
            quotas: state.quotas.into_iter().map(|row| (row.limit, row)).collect(),
            levels: state.levels.into_iter().collect(),
            capital: state.capital.map(capital::Capital::from_state),
        })
    }
}
