//! Remembers what the cluster acknowledged, and judges what it holds in the end.
//!
//! Two shapes of data catch two kinds of loss. A *set* only grows, so a missing element is a lost write. A *register* is
//! overwritten, so an old value is a lost write. A write without a clear answer may have happened, at any later time:
//! it excuses what it wrote, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clock::Span,
    limits::{ACKS, REASONS},
};

/// What became of a write, as its writer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The cluster said that it is done.
    Acknowledged,
    /// It may be done, or be done later; what the writer saw.
    Uncertain(String),
    /// The cluster blamed the request, which was right; what it said. Nobody relies on whether it is done.
    Blamed(String),
}

/// Where a write goes: an object that belongs to one writer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Overwritten by each write.
    Register(String),
    /// Grows with each write.
    Set(String),
}

/// What a node holds at a place: all elements of a set, the one value of a register.
pub(crate) type Held = BTreeSet<u64>;

/// A rule of the data that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// An acknowledged write is gone.
    Lost {
        /// Where.
        place: Place,
        /// What was written.
        value: u64,
    },
    /// Something is there that nobody wrote, or that was overwritten by an acknowledged write.
    Unexplained {
        /// Where.
        place: Place,
        /// What is there.
        value: u64,
    },
}

/// The memory of all writers.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    places: BTreeMap<Place, Writes>,
    acks: Vec<Span>,
    /// Acknowledged writes.
    pub(crate) acknowledged: u64,
    /// Writes without a clear answer.
    pub(crate) uncertain: u64,
    /// Writes answered with an error that tells a client not to try again.
    pub(crate) blamed: u64,
    reasons: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Writes {
    acknowledged: BTreeSet<u64>,
    uncertain: BTreeSet<u64>,
}

impl Oracle {
    /// Records a write. To a register, values rise and each write follows the outcome of the one before.
    pub(crate) fn record(&mut self, place: &Place, value: u64, span: Span, outcome: Outcome) {
        let writes = self.places.entry(place.clone()).or_default();
        let blamed = matches!(outcome, Outcome::Blamed(_));
        match outcome {
            Outcome::Acknowledged => {
                if matches!(place, Place::Register(_)) {
                    writes.acknowledged.clear();
                }
                writes.acknowledged.insert(value);
                self.acknowledged += 1;
                if self.acks.len() < ACKS {
                    self.acks.push(span);
                }
            }
            Outcome::Uncertain(reason) | Outcome::Blamed(reason) => {
                writes.uncertain.insert(value);
                match blamed {
                    true => self.blamed += 1,
                    false => self.uncertain += 1,
                }
                if self.reasons.len() < REASONS || self.reasons.contains_key(&reason) {
                    *self.reasons.entry(reason).or_insert(0) += 1;
                }
            }
        }
    }

    /// Every place that was written to.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }

    /// What writers saw instead of an acknowledgement, and how often.
    pub(crate) fn reasons(&self) -> &BTreeMap<String, u64> {
        &self.reasons
    }

    /// Compares what a node holds at `place` with what was written there.
    pub(crate) fn judge(&self, place: &Place, held: &Held) -> Vec<Finding> {
        let Some(writes) = self.places.get(place) else { return Vec::new() };
        let explained = |value: &u64| writes.acknowledged.contains(value) || writes.uncertain.contains(value);
        let lost = |value: &u64| Finding::Lost { place: place.clone(), value: *value };
        let unexplained = |value: &&u64| !explained(value);
        let unexpected = held.iter().filter(unexplained);
        let mut findings: Vec<Finding> =
            unexpected.map(|value| Finding::Unexplained { place: place.clone(), value: *value }).collect();
        match place {
            Place::Set(_) => findings.extend(writes.acknowledged.difference(held).map(lost)),
            // A value that may have been written after the last acknowledged one may have replaced it.
            Place::Register(_) if held.iter().any(explained) => {}
            Place::Register(_) => findings.extend(writes.acknowledged.iter().map(lost)),
        }
        findings
    }

    /// Microseconds from `at_us` to the acknowledgement of the first write that was sent after it.
    pub(crate) fn recovery_us(&self, at_us: u64) -> Option<u64> {
        let after = self.acks.iter().filter(|ack| ack.from_us >= at_us);
        after.map(|ack| ack.to_us - at_us).min()
    }

    /// The longest stretch inside `window` in which nothing was acknowledged, in microseconds.
    pub(crate) fn longest_gap_us(&self, window: Span) -> u64 {
        let inside = |ack: &&Span| (window.from_us..=window.to_us).contains(&ack.to_us);
        let mut moments: Vec<u64> = self.acks.iter().filter(inside).map(|ack| ack.to_us).collect();
        moments.extend([window.from_us, window.to_us]);
        moments.sort_unstable();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Span = Span { from_us: 0, to_us: 0 };

    fn uncertain() -> Outcome {
        Outcome::Uncertain("503".into())
    }

    fn findings(place: &Place, writes: &[(u64, Outcome)], held: &[u64]) -> Vec<Finding> {
        let mut oracle = Oracle::default();
        writes.iter().for_each(|(value, outcome)| oracle.record(place, *value, ANY, outcome.clone()));
        oracle.judge(place, &held.iter().copied().collect())
    }

    #[test]
    fn a_set_keeps_what_was_acknowledged() {
        let place = Place::Set("s".into());
        let writes = [(1, Outcome::Acknowledged), (2, uncertain()), (3, Outcome::Acknowledged)];
        let lost = |value| Finding::Lost { place: place.clone(), value };
        let unexplained = |value| Finding::Unexplained { place: place.clone(), value };
        for (held, expect) in [
            (&[1, 3][..], vec![]),
            (&[1, 2, 3], vec![]),
            (&[1, 2], vec![lost(3)]),
            (&[], vec![lost(1), lost(3)]),
            (&[1, 3, 4], vec![unexplained(4)]),
        ] {
            assert_eq!(findings(&place, &writes, held), expect, "{held:?}");
        }
    }

    #[test]
    fn a_register_never_goes_back() {
        let place = Place::Register("r".into());
        let writes =
            [(1, Outcome::Acknowledged), (2, uncertain()), (3, Outcome::Acknowledged), (4, uncertain())];
        let lost = Finding::Lost { place: place.clone(), value: 3 };
        let unexplained = |value| Finding::Unexplained { place: place.clone(), value };
        for (held, expect) in [
            (&[3][..], vec![]),
            (&[4], vec![]),
            // Nobody knows when an uncertain write takes effect, so it may follow an acknowledged one.
            (&[2], vec![]),
            (&[1], vec![unexplained(1), lost.clone()]),
            (&[5], vec![unexplained(5), lost.clone()]),
            (&[], vec![lost.clone()]),
        ] {
            assert_eq!(findings(&place, &writes, held), expect, "{held:?}");
        }
    }

    #[test]
    fn gaps_and_recovery() {
        let mut oracle = Oracle::default();
        let place = Place::Set("s".into());
        for (value, (from_us, to_us)) in
            [(0, 10), (90, 130), (120, 160), (400, 450), (410, 430)].iter().enumerate()
        {
            let span = Span { from_us: *from_us, to_us: *to_us };
            oracle.record(&place, value as u64, span, Outcome::Acknowledged);
        }
        for (at_us, expect) in [(0, Some(10)), (100, Some(60)), (121, Some(309)), (411, None)] {
            assert_eq!(oracle.recovery_us(at_us), expect, "{at_us}");
        }
        for ((from_us, to_us), expect) in
            [((0, 500), 270), ((100, 200), 40), ((160, 430), 270), ((600, 900), 300)]
        {
            assert_eq!(oracle.longest_gap_us(Span { from_us, to_us }), expect, "{from_us}..{to_us}");
        }
    }
}
