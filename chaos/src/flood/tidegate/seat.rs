//! A voter's place in a shard: the small Raft, and while it leads, the product's keeper. Owns the order: nothing is answered
//! before it is agreed on.

use tidegate_proto::ledger::{GrantV1, ReportV1};
use tidegate_throttle::{Index, Keeper, Ledger, Region, Timing};

use super::raft::Voter;

/// What answers wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    /// An entry that has to be applied.
    Entry(u64),
    /// A round that has to be confirmed.
    Round(u64),
}

/// A voter and its keeper.
#[derive(Debug)]
pub(super) struct Seat {
    number: usize,
    /// Of a region's part.
    speaker: Option<Region>,
    pub(super) voter: Voter,
    keeper: Option<Keeper>,
    pending: Option<Pending>,
    /// The entry that saved levels last, and when this machine had it.
    levels: (u64, u64),
    /// Entries it proposed, and the changes in them.
    pub(super) commits: u64,
    pub(super) changes: u64,
}

impl Seat {
    /// A seat of ledger `number` without a keeper.
    pub(super) fn new(number: usize, speaker: Option<Region>, mut voter: Voter) -> Self {
        if speaker.is_some() {
            voter.begin_with(Ledger::part());
        }
        Self {
            number,
            speaker,
            voter,
            keeper: None,
            pending: None,
            levels: (0, u64::MAX),
            commits: 0,
            changes: 0,
        }
    }

    /// Follows the voter in and out of office; `clock_ns` is the machine's.
    pub(super) fn follow(&mut self, clock_ns: u64, timing: Timing) {
        if self.levels.0 != self.voter.levels() {
            self.levels = (self.voter.levels(), clock_ns);
        }
        if !self.voter.leads()
            || self.keeper.as_ref().is_some_and(|keeper| keeper.term() != self.voter.term())
        {
            self.vacate();
        }
        if self.keeper.is_none() && self.voter.is_ready() {
            let (term, ledger) = (self.voter.term(), self.voter.ledger());
            self.keeper = Some(match self.speaker {
                Some(speaker) => Keeper::of_part(speaker, term, ledger, clock_ns, timing),
                None => {
                    Keeper::new(self.number, term, ledger, clock_ns, timing).with_levels_since(self.levels.1)
                }
            });
        }
    }

    /// The keeper is forgotten, with all that it was about to say.
    pub(super) fn vacate(&mut self) {
        (self.keeper, self.pending) = (None, None);
    }

    /// Hears a holder; false when it does not lead.
    pub(super) fn hear(&mut self, clock_ns: u64, report: &ReportV1, index: &Index) -> bool {
        let Some(keeper) = &mut self.keeper else { return false };
        keeper.take_in(clock_ns, report, self.voter.ledger(), index);
        true
    }

    /// What its region has to say to the ledger of all regions.
    pub(super) fn report(&mut self, clock_ns: u64, index: &Index) -> Option<ReportV1> {
        self.keeper.as_mut()?.report(clock_ns, self.voter.ledger(), index)
    }

    /// What its region was granted.
    pub(super) fn take_grant(&mut self, clock_ns: u64, grant: &GrantV1) {
        if let Some(keeper) = &mut self.keeper {
            keeper.take_grant(clock_ns, grant, self.voter.ledger());
        }
    }

    /// What its region said did not arrive.
    pub(super) fn lost(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.lost();
        }
    }

    /// Decides what to grant, unless what was decided before is not agreed on yet.
    pub(super) fn tick(&mut self, clock_ns: u64, index: &Index, day: u32) {
        let Some(keeper) = self.keeper.as_mut().filter(|_| self.pending.is_none()) else { return };
        let tick = keeper.tick(clock_ns, self.voter.ledger(), index, day);
        if let Some(command) = tick.command {
            self.commits += 1;
            self.changes += command.changes.len() as u64;
            self.pending = self.voter.propose(command).map(Pending::Entry);
        } else if tick.confirm {
            self.pending = Some(Pending::Round(self.voter.begin_round()));
        }
    }

    /// The grants that may leave now.
    pub(super) fn answers(&mut self, clock_ns: u64) -> Vec<(u64, GrantV1)> {
        let is_agreed = match self.pending {
            Some(Pending::Entry(index)) => self.voter.is_ready() && self.voter.applied() >= index,
            Some(Pending::Round(round)) => self.voter.is_confirmed(round),
            None => false,
        };
        let Some(keeper) = self.keeper.as_mut().filter(|_| is_agreed) else { return Vec::new() };
        self.pending = None;
        keeper.answers(clock_ns, self.voter.ledger())
    }
}
