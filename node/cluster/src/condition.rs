//! How this node's disk does, and what follows: a node whose disk is full takes nothing in, one whose disk is slow or full leads nothing
//! while others can. Both end by themselves. A disk that fails or hangs for good is not judged here: the service ends.

use crate::runtime::watch;
use crate::{
    Options, limits,
    node::Node,
    runtime::{self, Instant},
    store::{
        LogBackend,
        writer::{Health, Watch},
    },
};
use std::{sync::Arc, time::Duration};

/// Time between looks at the writer.
const LOOK: Duration = Duration::from_millis(200);
/// Looks at the writer per look at the room on disk.
const LOOKS_PER_ROOM: u32 = 5;

/// What is wrong with a disk that still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskTrouble {
    /// A write has taken longer than [`limits::COMMIT_SLOW`], not long ago.
    Slow,
    /// There is less room than [`crate::Tuning::disk_reserve_bytes`].
    Full,
}

/// Follows what is wrong.
pub(crate) type Troubles = watch::Receiver<Option<DiskTrouble>>;

/// The judge of one node's disk.
pub(crate) struct Condition {
    health: Watch,
    reserve_bytes: u64,
    told: watch::Sender<Option<DiskTrouble>>,
    slow_until: Option<Instant>,
    is_full: bool,
}

impl Condition {
    /// Of a disk that has shown no trouble yet.
    pub(crate) fn new(health: Watch, options: &Options) -> Self {
        let reserve_bytes = options.tuning.disk_reserve_bytes.unwrap_or(limits::DISK_RESERVE_BYTES);
        Self { health, reserve_bytes, told: watch::Sender::new(None), slow_until: None, is_full: false }
    }

    /// Follows the judgement.
    pub(crate) fn troubles(&self) -> Troubles {
        self.told.subscribe()
    }

    /// Watches for as long as the node runs.
    pub(crate) async fn run(mut self, node: Arc<Node>) {
        for looks in 0_u32.. {
            let stalled = match *self.health.borrow() {
                Health::Busy(since) => runtime::now() - since,
                Health::Idle | Health::Failed(_) => Duration::ZERO,
            };
            // A disk that does not answer would hold this look up as well.
            if looks % LOOKS_PER_ROOM == 0
                && stalled < LOOK
                && let Some(backend) = node.backend.upgrade()
                && let Some(room) = room(backend).await
            {
                self.measure(room);
            }
            self.judge(stalled, runtime::now());
            self.tell(&node);
            runtime::sleep(LOOK).await;
        }
    }

    /// A little more than the reserve is needed before anything is taken in again, so that the judgement does not flutter.
    fn measure(&mut self, room_bytes: u64) {
        let needed =
            if self.is_full { self.reserve_bytes + self.reserve_bytes / 4 } else { self.reserve_bytes };
        self.is_full = room_bytes < needed;
    }

    fn judge(&mut self, stalled: Duration, now: Instant) {
        if stalled >= limits::COMMIT_SLOW {
            self.slow_until = Some(now + limits::SLOW_MEMORY);
        } else if self.slow_until.is_some_and(|until| now >= until) {
            self.slow_until = None;
        }
    }

    fn trouble(&self) -> Option<DiskTrouble> {
        match (self.is_full, self.slow_until) {
            (true, _) => Some(DiskTrouble::Full),
            (false, Some(_)) => Some(DiskTrouble::Slow),
            (false, None) => None,
        }
    }

    fn tell(&self, node: &Node) {
        let trouble = self.trouble();
        let is_news = self.told.send_if_modified(|told| std::mem::replace(told, trouble) != trouble);
        if !is_news {
            return;
        }
        match trouble {
            Some(trouble) => tracing::warn!(
                ?trouble,
                reserve_bytes = self.reserve_bytes,
                "the disk is in trouble: this node leads nothing while others can, and takes nothing in while it is full"
            ),
            None => tracing::info!("the disk is well again"),
        }
        for group in node.groups.values() {
            group.judge_election();
        }
    }
}

async fn room(backend: Arc<dyn LogBackend>) -> Option<u64> {
    match runtime::blocking(move || backend.room_bytes()).await? {
        Ok(room) => Some(room),
        Err(error) => {
            tracing::debug!(%error, "the room on disk is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        let (_, health) = watch::channel(Health::Idle);
        Condition {
            health,
            reserve_bytes: 1_000,
            told: watch::Sender::new(None),
            slow_until: None,
            is_full: false,
        }
    }

    #[test]
    fn a_full_disk_needs_a_little_more_than_the_reserve_to_be_well_again() {
        let mut condition = condition();
        for (room, expect) in [(5_000, false), (1_000, false), (999, true), (1_249, true), (1_250, false)] {
            condition.measure(room);
            assert_eq!(condition.trouble() == Some(DiskTrouble::Full), expect, "{room}");
        }
    }

    #[cfg(not(feature = "sim"))]
    #[test]
    fn a_stall_is_remembered_for_a_while() {
        let (mut condition, start) = (condition(), runtime::now());
        let second = Duration::from_secs(1);
        for (at_s, stalled_s, expect) in
            [(0, 2, false), (1, 3, true), (2, 0, true), (10, 0, true), (11, 0, false), (12, 4, true)]
        {
            condition.judge(second * stalled_s, start + second * at_s);
            assert_eq!(condition.trouble() == Some(DiskTrouble::Slow), expect, "{at_s} s");
        }
    }
}
