//! The breaker of crash loops: a node that keeps ending without having been asked to serves the last configuration under which it ran
//! for a while, until there is another one. Owns when; must never read a file.

/// Ends that make a loop.
pub const CRASHES: usize = 3;
/// Seconds within which they must lie, back from the newest start; also how long a node must run for its configuration to be proven.
pub const LOOP_S: u64 = 60;
/// Seconds after which the newest configuration is tried again.
pub const RETRY_S: u64 = 300;

/// What a node serves after it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// What the log says.
    No,
    /// What was proven, until the configuration has a later revision than `revision` or [`RETRY_S`] have passed: a log that is being read
    /// back goes through earlier ones. `None`: the revision is what this start finds first.
    Proven {
        /// The revision that was served when the node ended last.
        revision: Option<u64>,
    },
}

impl Hold {
    /// For a node that started now, after earlier starts at `starts_s` that ended without having been asked for; seconds of one clock.
    /// `served` is what it served last.
    pub fn judge(starts_s: &[u64], now_s: u64, served: Option<u64>) -> Self {
        // A clock that was set back makes starts of the past lie in the future; they are no sign of a loop.
        let recent = starts_s.iter().filter(|start| **start <= now_s && now_s - **start <= LOOP_S).count();
        if recent >= CRASHES { Self::Proven { revision: served } } else { Self::No }
    }

    /// Whether a configuration of `revision` is still kept back `running_s` after the start.
    pub fn keeps_back(&mut self, revision: u64, running_s: u64) -> bool {
        let Self::Proven { revision: suspect } = self else { return false };
        let suspect = *suspect.get_or_insert(revision);
        if revision > suspect || running_s >= RETRY_S {
            *self = Self::No;
        }
        *self != Self::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_three_ends_within_a_minute() {
        for (starts, now, is_loop) in [
            (&[][..], 1_000, false),
            (&[990, 995], 1_000, false),
            (&[940, 990, 995], 1_000, true),
            (&[939, 990, 995], 1_000, false),
            (&[100, 200, 300, 990, 995], 1_000, false),
            (&[1_500, 1_501, 1_502], 1_000, false),
        ] {
            let expect = if is_loop { Hold::Proven { revision: Some(7) } } else { Hold::No };
            assert_eq!(Hold::judge(starts, now, Some(7)), expect, "{starts:?}");
        }
    }

    #[test]
    fn a_later_revision_or_time_ends_it() {
        let held = || Hold::Proven { revision: Some(7) };
        assert!(held().keeps_back(7, 299));
        assert!(!held().keeps_back(7, 300));
        assert!(!held().keeps_back(8, 0));
        let mut reading_back = held();
        assert!(
            (1..=7).all(|revision| reading_back.keeps_back(revision, 0)) && !reading_back.keeps_back(8, 1)
        );
        let mut unknown = Hold::Proven { revision: None };
        assert!(unknown.keeps_back(9, 0) && unknown.keeps_back(9, 1) && !unknown.keeps_back(10, 2));
        assert!(!Hold::No.keeps_back(1, 0));
    }
}
