//! What a region has of the limits that span regions. Owns its rules: its nodes are never granted more than the region was, and
//! nothing of a session with the ledger of all regions outlives it. Every other ledger has the whole of its limits.

use tidegate_proto::ledger::{CapitalV1, WHOLE, WholeV1};

use super::{Ledger, Skipped};
use crate::ids::IdMap;

/// See [`CapitalV1`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Capital {
    epoch: u64,
    epoch_seen: u64,
    unit: u32,
    wholes: IdMap<WholeV1>,
}

impl Ledger {
    /// The session with the ledger of all regions, 0 without one, and the newest there ever was.
    pub fn upstream(&self) -> (u64, u64) {
        self.capital.as_ref().map_or((0, 0), |capital| (capital.epoch, capital.epoch_seen))
    }

    /// What there is of limits that are not managed.
    pub(crate) fn unit(&self) -> u32 {
        self.capital.as_ref().map_or(WHOLE, |capital| capital.unit)
    }

    /// What there is of a limit, of [`WHOLE`].
    pub fn whole(&self, limit: u64) -> u32 {
        let Some(capital) = &self.capital else { return WHOLE };
        capital.wholes.get(&limit).map_or(capital.unit, |whole| whole.share)
    }

    /// What the ledger of all regions granted of a limit, where that differs from the default.
    pub(crate) fn granted_whole(&self, limit: u64) -> Option<&WholeV1> {
        self.capital.as_ref()?.wholes.get(&limit)
    }

    /// All of them.
    pub(crate) fn granted_wholes(&self) -> impl Iterator<Item = &WholeV1> {
        self.capital.iter().flat_map(|capital| capital.wholes.values())
    }

    /// What nodes may be using of a limit together at most.
    pub(crate) fn out(&self, limit: u64) -> u32 {
        match self.slices.get(&limit) {
            Some(row) => row.iter().map(|slice| slice.committed).fold(0, u32::saturating_add),
            None => self.sessions.values().map(|session| session.unit).fold(0, u32::saturating_add),
        }
    }

    /// A limit that is gone is as every other, unless its shares are still managed.
    pub(super) fn forget_whole(&mut self, limit: u64) {
        let is_managed = self.slices.contains_key(&limit);
        if let Some(capital) = self.capital.as_mut().filter(|_| !is_managed) {
            capital.wholes.remove(&limit);
        }
    }

    /// Begins a session, which needs that nobody uses anything of an older one.
    pub(super) fn enter(&mut self, epoch: u64, unit: u32) -> Result<(), Skipped> {
        let is_used = !self.sessions.is_empty();
        let capital = self.capital.as_mut().ok_or(Skipped)?;
        if is_used || epoch <= capital.epoch_seen {
            return Err(Skipped);
        }
        *capital = Capital { epoch, epoch_seen: epoch, unit, wholes: IdMap::default() };
        self.slices.clear();
        Ok(())
    }

    /// Ends it, under the same condition.
    pub(super) fn leave(&mut self, epoch: u64) -> Result<(), Skipped> {
        let is_used = !self.sessions.is_empty();
        let capital = self.capital.as_mut().ok_or(Skipped)?;
        if is_used || epoch != capital.epoch {
            return Err(Skipped);
        }
        *capital = Capital { epoch_seen: capital.epoch_seen, ..Capital::default() };
        self.slices.clear();
        Ok(())
    }

    /// Sets what there is of a limit. It shrinks only to what nodes have left free. Below the default share a limit has to be
    /// managed, because a new session would get its default share of every other.
    pub(super) fn set_whole(&mut self, whole: WholeV1) -> Result<(), Skipped> {
        let (out, is_managed) = (self.out(whole.limit), self.slices.contains_key(&whole.limit));
        let capital = self.capital.as_mut().ok_or(Skipped)?;
        let before = capital.wholes.get(&whole.limit).map_or(0, |before| before.version);
        let is_small = whole.share < capital.unit && !is_managed;
        if capital.epoch == 0 || out > whole.share || is_small || whole.version < before {
            return Err(Skipped);
        }
        capital.wholes.insert(whole.limit, whole);
        Ok(())
    }
}

impl Capital {
    pub(super) fn to_state(&self) -> CapitalV1 {
        let mut wholes: Vec<WholeV1> = self.wholes.values().copied().collect();
        wholes.sort_unstable_by_key(|whole| whole.limit);
        CapitalV1 { epoch: self.epoch, epoch_seen: self.epoch_seen, unit: self.unit, wholes }
    }

    pub(super) fn from_state(state: CapitalV1) -> Self {
        let wholes = state.wholes.into_iter().map(|whole| (whole.limit, whole)).collect();
        Self { epoch: state.epoch, epoch_seen: state.epoch_seen, unit: state.unit, wholes }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::ledger::{ChangeV1, CommandV1};

    use super::*;

    fn skipped(ledger: &mut Ledger, changes: &[ChangeV1]) -> usize {
        let skipped = ledger.apply(&CommandV1 { changes: changes.to_vec() });
        ledger.check().unwrap();
        skipped
    }

    fn whole(share: u32, version: u64) -> ChangeV1 {
        ChangeV1::Whole { limit: 7, share, version, tokens: 0, returned: 0 }
    }

    fn slice(holder: u64, committed: u32) -> ChangeV1 {
        let (target, tokens, returned) = (committed, 0, 0);
        ChangeV1::Slice {
            limit: 7,
            holder,
            committed,
            target,
            tokens,
            returned,
            contended: false,
            implicit: false,
        }
    }

    #[test]
    fn nodes_get_no_more_than_the_region_has() {
        let mut ledger = Ledger::part();
        let open = |holder, unit| ChangeV1::Open { holder, incarnation: 1, replaces: 0, unit };
        assert_eq!(skipped(&mut ledger, &[open(9, 50)]), 0);
        assert_eq!(ledger.sessions().next().unwrap().unit, 0, "without a session of its own it has nothing");
        let close = ChangeV1::Close { holder: 9, epoch: 1 };
        let enter = ChangeV1::Upstream { epoch: 4, unit: 100 };
        assert_eq!(skipped(&mut ledger, &[enter, close, enter, enter]), 2);
        assert_eq!(skipped(&mut ledger, &[open(1, 60), open(2, 60)]), 0);
        assert_eq!(ledger.sessions().map(|session| session.unit).collect::<Vec<_>>(), [60, 40]);
        let manage = ChangeV1::Manage { limit: 7 };
        assert_eq!(
            skipped(&mut ledger, &[whole(90, 1), manage, whole(90, 1), slice(1, 30), whole(70, 2)]),
            2
        );
        assert_eq!(
            skipped(&mut ledger, &[slice(1, 40), whole(60, 3), whole(80, 1), whole(200, 3), slice(1, 160)]),
            3
        );
        assert_eq!((ledger.whole(7), ledger.out(7), ledger.whole(8)), (200, 200, 100));
        assert_eq!(skipped(&mut ledger, &[ChangeV1::Leave { epoch: 4 }]), 1, "nodes still use it");
        let forget = ChangeV1::Forget { limit: 7 };
        assert_eq!((skipped(&mut ledger, &[forget]), ledger.whole(7)), (0, 200), "its shares are managed");
        let copy = Ledger::decode(&ledger.encode().unwrap()).unwrap();
        assert_eq!(copy, ledger);
    }
}
