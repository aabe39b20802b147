//! Which of the bank's sets of own terms are free. Place 0 is never given out: its terms are closed, for when no other is left.

use crate::{bank::Bank, cell::OwnTerms, terms::Terms};

/// Hands out places; numbers are one more than the index, as cells keep them.
#[derive(Debug)]
pub(crate) struct Places {
    free: Vec<u32>,
    next: u32,
}

impl Places {
    pub(crate) fn new(bank: &Bank) -> Self {
        bank.own.ensure(0);
        if let Some(closed) = bank.own.get(0) {
            closed.fill(Terms::CLOSED);
        }
        Self { free: Vec::new(), next: 1 }
    }

    /// A place, or the closed one.
    pub(crate) fn take(&mut self, bank: &Bank) -> u32 {
        let index = self.free.pop().or_else(|| {
            bank.own.ensure(self.next).then(|| {
                self.next += 1;
                self.next - 1
            })
        });
        index.map_or(1, |index| index + 1)
    }

    /// Gives a place back.
    pub(crate) fn give_back(&mut self, place: u32) {
        if place > 1 {
            self.free.push(place - 1);
        }
    }
}

/// The terms at a place; the closed place ignores what is written to it.
pub(crate) fn terms(bank: &Bank, place: u32, wanted: Terms) -> (Option<&OwnTerms>, Terms) {
    let wanted = if place == 1 { Terms::CLOSED } else { wanted };
    (bank.own.get(place.wrapping_sub(1)), wanted)
}
