//! Which target a call goes to: same zone first, as long as enough of it is healthy; of two at random the one with fewer calls under way.

use tidegate_proto::limits::{HEALTHY_PERCENT_MIN, LOCAL_OVERPROVISION_PERCENT};

use crate::targets::{TARGETS_MAX, Targets, bit};

/// What a choice is made from; a bit for each target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Those that calls may go to.
    pub usable: u64,
    /// Of those, the ones in the zone of this node.
    pub local: u64,
    /// Those that calls should go to: in panic mode all usable ones.
    pub healthy: u64,
    /// Too few are healthy, also in the zone of this node, so health is not looked at.
    pub is_panic: bool,
    /// This node's zone has targets, whether they are usable or not.
    pub has_local: bool,
    /// How many of 256 calls the zone of this node takes: all, as long as no more than its reserve is missing.
    pub local_share: u16,
}

/// What was tried before, for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    targets: u64,
    /// All targets in the zones of those.
    zones: u64,
    /// Attempts that did not end in an answer.
    pub count: u8,
    /// Of those, the ones in which something was sent.
    pub sent: u8,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Place among the targets.
    pub index: usize,
    /// Why there.
    pub reach: Reach,
}

/// Why a call goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In the same zone.
    Local,
    /// To another zone, as this node's has none.
    Anywhere,
    /// To another zone, though this node's has some.
    Spilled,
    /// To any, healthy or not.
    Panic,
}

impl Standing {
    /// Of `everyone`, `out` are not healthy, `avoided` are in zones that traffic is shifted away from, and `local_zone` in the
    /// zone of this node. A shift that would leave none is not followed.
    pub fn new(everyone: u64, local_zone: u64, avoided: u64, out: u64) -> Self {
        let kept = everyone & !avoided;
        let usable = if kept == 0 { everyone } else { kept };
        let healthy = usable & !out;
        let local = usable & local_zone;
        let (well, total) = ((local & healthy).count_ones(), local.count_ones());
        let share = (well * 256 * LOCAL_OVERPROVISION_PERCENT).checked_div(total * 100).unwrap_or_default();
        let local_share = share.min(256) as u16;
        // A zone that takes all calls of its nodes needs no others, which may only be out of this node's sight.
        let is_panic = local_share < 256
            && healthy != usable
            && healthy.count_ones() * 100 < usable.count_ones() * HEALTHY_PERCENT_MIN;
        let healthy = if is_panic { usable } else { healthy };
        Self { usable, local, healthy, is_panic, has_local: local_zone != 0, local_share }
    }

    /// Among whom a call's target is drawn, and why.
    fn candidates(&self, tries: &Tries, random: u8) -> (u64, Reach) {
        let local = self.local & self.healthy & !tries.targets;
        let is_first = tries.targets == 0;
        if is_first && self.is_panic {
            return (self.healthy, Reach::Panic);
        }
        if is_first && local != 0 && u16::from(random) < self.local_share {
            return (local, Reach::Local);
        }
        let far = if self.has_local { Reach::Spilled } else { Reach::Anywhere };
        let untried = self.healthy & !tries.targets;
        let elsewhere = untried & !tries.zones & if is_first { !self.local } else { u64::MAX };
        let mask = match (elsewhere, untried) {
            (0, 0) => {
                [self.usable & !tries.targets, self.healthy].into_iter().find(|mask| *mask != 0).unwrap_or(0)
            }
            (0, untried) => untried,
            (elsewhere, _) => elsewhere,
        };
        let reach = if mask & !self.local == 0 { Reach::Local } else { far };
        (mask, if self.is_panic { Reach::Panic } else { reach })
    }
}

impl Tries {
    /// Notes that a call was tried at target `index`, so that the next try is made in another zone.
    pub fn note(&mut self, targets: &Targets, index: usize, was_sent: bool) {
        self.targets |= bit(index);
        self.zones |= targets.beside(index);
        self.count = self.count.saturating_add(1);
        self.sent = self.sent.saturating_add(u8::from(was_sent));
    }

    /// Whether nothing was tried.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Chooses a target; `outstanding` counts the calls that are under way to one. `None` where there is none.
#[inline]
pub fn choose(
    standing: &Standing,
    tries: &Tries,
    random: u64,
    outstanding: impl Fn(usize) -> u32,
) -> Option<Choice> {
    if standing.usable == 1 {
        return Some(Choice {
            index: 0,
            reach: if standing.has_local { Reach::Local } else { Reach::Anywhere },
        });
    }
    let [share, first, second, ..] = random.to_le_bytes();
    let (mask, reach) = standing.candidates(tries, share);
    let count = mask.count_ones();
    if count == 0 {
        return None;
    }
    let one = part_of(first, count);
    let index = nth(mask, one);
    if count == 1 {
        return Some(Choice { index, reach });
    }
    let other = one + 1 + part_of(second, count - 1);
    let other = nth(mask, if other < count { other } else { other - count });
    let index = if outstanding(other) < outstanding(index) { other } else { index };
    Some(Choice { index, reach })
}

/// A number below `count`, by a random byte; a division would cost as much as the rest of the choice.
fn part_of(random: u8, count: u32) -> u32 {
    (u32::from(random) * count) >> 8
}

/// The place of the bit number `n` of those that are set.
fn nth(mut mask: u64, n: u32) -> usize {
    for _ in 0..n {
        mask &= mask.wrapping_sub(1);
    }
    (mask.trailing_zeros() as usize).min(TARGETS_MAX - 1)
}

#[cfg(test)]
mod tests;
