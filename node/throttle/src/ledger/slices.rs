//! Shares of large limits in the ledger. Owns their rules: what all holders may be using together is never more than the whole.

use tidegate_proto::ledger::SliceV1;

use super::{Ledger, Skipped};

impl Ledger {
    /// From here on each holder's share is its own; it starts as what the holder has by default.
    pub(super) fn manage(&mut self, limit: u64) -> Result<(), Skipped> {
        if self.slices.contains_key(&limit) {
            return Err(Skipped);
        }
        let slices = self.sessions.values().filter(|session| session.unit > 0).map(|session| SliceV1 {
            holder: session.holder,
            committed: session.unit,
            target: session.unit,
            ..SliceV1::default()
        });
        self.slices.insert(limit, slices.collect());
        Ok(())
    }

    /// Sets one share. What the holder may be using grows only into what nobody else may be using.
    pub(super) fn set_slice(&mut self, limit: u64, wanted: SliceV1) -> Result<(), Skipped> {
        let whole = self.whole(limit);
        let row = self.slices.get_mut(&limit).ok_or(Skipped)?;
        if !self.sessions.contains_key(&wanted.holder) || wanted.committed < wanted.target {
            return Err(Skipped);
        }
        let others = row.iter().filter(|slice| slice.holder != wanted.holder);
        let others = others.map(|slice| slice.committed).fold(0, u32::saturating_add);
        if wanted.committed.saturating_add(others) > whole {
            return Err(Skipped);
        }
        let old = row.iter_mut().find(|slice| slice.holder == wanted.holder);
        let sum = |slice: &SliceV1| (slice.target, slice.tokens, slice.contended, slice.implicit);
        self.version += 1;
        match old {
            Some(old) if wanted.tokens < old.tokens || wanted.returned < old.returned => return Err(Skipped),
            // A confirmation changes nothing that the holder has to be told.
            Some(old) if sum(old) == sum(&wanted) && wanted.committed <= old.committed => {
                *old = SliceV1 { version: old.version, ..wanted };
            }
            Some(old) => *old = SliceV1 { version: self.version, ..wanted },
            None => row.push(SliceV1 { version: self.version, ..wanted }),
        }
        Ok(())
    }

    /// The limit is as every other by default again, which needs every holder to have confirmed exactly that.
    pub(super) fn retire(&mut self, limit: u64) -> Result<(), Skipped> {
        let row = self.slices.get(&limit).ok_or(Skipped)?;
        let is_default = |slice: &SliceV1, unit: u32| {
            slice.implicit && slice.committed == slice.target && slice.target == unit
        };
        let all = self.sessions.values().all(|session| {
            match row.iter().find(|slice| slice.holder == session.holder) {
                Some(slice) => is_default(slice, session.unit),
                None => session.unit == 0,
            }
        });
        if !all || self.whole(limit) < self.unit() {
            return Err(Skipped);
        }
        self.slices.remove(&limit);
        Ok(())
    }
}
