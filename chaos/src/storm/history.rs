//! Linearizability of a register: a history of writes and reads, each with the time in which it took place, and the question whether
//! one order explains all answers. Pure. The search is Wing and Gong's with Lowe's memory of what was tried.

use std::collections::{BTreeSet, HashSet};

use crate::clock::Span;

/// What was done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It was set; every value is written once.
    Write(u64),
    /// It was read; `None` is what it held before the first write.
    Read(Option<u64>),
}

/// Something that was done, and when: it took effect at some moment of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    /// What.
    pub(crate) act: Act,
    /// When it was asked, in microseconds.
    pub(crate) from_us: u64,
    /// When it was answered; a write without an answer may take effect at any later time, or never.
    pub(crate) to_us: Option<u64>,
}

/// What a history amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// One order explains it.
    Linearizable,
    /// None does.
    Not,
    /// The search was given up after [`STEPS_MAX`] steps.
    Unknown,
}

/// Bound of the search.
const STEPS_MAX: usize = 4_000_000;

/// Looks for an order that explains the history.
pub(crate) fn judge(history: &[Deed]) -> Judgement {
    let deeds = relevant(history);
    let words = deeds.len().div_ceil(64).max(1);
    let mut tried: HashSet<(Vec<u64>, Option<u64>)> = HashSet::new();
    // Each entry: what is ordered so far, the value after it, and the deeds that may come next.
    let mut path: Vec<(Vec<u64>, Option<u64>, Vec<usize>)> = Vec::new();
    let start = vec![0; words];
    path.push((start.clone(), None, next(&deeds, &start)));
    let mut steps = 0;
    while let Some((done, value, candidates)) = path.last_mut() {
        if is_explained(&deeds, done) {
            return Judgement::Linearizable;
        }
        let Some(chosen) = candidates.pop() else {
            path.pop();
            continue;
        };
        steps += 1;
        if steps > STEPS_MAX {
            return Judgement::Unknown;
        }
        let after = match deeds[chosen].act {
            Act::Write(written) => Some(written),
            Act::Read(read) if read == *value => *value,
            Act::Read(_) => continue,
        };
        let mut done = done.clone();
        done[chosen / 64] |= 1 << (chosen % 64);
        if tried.insert((done.clone(), after)) {
            let candidates = next(&deeds, &done);
            path.push((done, after, candidates));
        }
    }
    Judgement::Not
}

/// Reads that returned a value although a later write had been acknowledged before they were asked. Of each such read there is no
/// doubt, whatever else happened: its value's write had ended before that later write began.
pub(crate) fn stale_reads(history: &[Deed]) -> usize {
    let writes = || {
        history.iter().filter_map(|deed| match (deed.act, deed.to_us) {
            (Act::Write(value), Some(to_us)) => Some((value, Span { from_us: deed.from_us, to_us })),
            _ => None,
        })
    };
    let is_stale = |deed: &&Deed| {
        let (Act::Read(value), true) = (deed.act, deed.to_us.is_some()) else { return false };
        // What was there before the first write is older than every write.
        let written_us = match value {
            None => Some(0),
            Some(value) => writes().find(|(other, _)| *other == value).map(|(_, span)| span.to_us),
        };
        let overwritten = |written_us: u64| {
            writes().any(|(other, span)| {
                Some(other) != value && span.from_us > written_us && span.to_us < deed.from_us
            })
        };
        written_us.is_some_and(overwritten)
    };
    history.iter().filter(is_stale).count()
}

/// Everything that has to be explained: a write without an answer that nobody read explains nothing and needs no explanation.
fn relevant(history: &[Deed]) -> Vec<Deed> {
    let read: BTreeSet<u64> = history
        .iter()
        .filter_map(|deed| match (deed.act, deed.to_us) {
            (Act::Read(value), Some(_)) => value,
            _ => None,
        })
        .collect();
    let matters = |deed: &&Deed| match (deed.act, deed.to_us) {
        (_, Some(_)) => true,
        (Act::Write(value), None) => read.contains(&value),
        (Act::Read(_), None) => false,
    };
    let mut deeds: Vec<Deed> = history.iter().filter(matters).copied().collect();
    deeds.sort_by_key(|deed| deed.from_us);
    deeds
}

/// The deeds that may come next: no other that is not ordered yet had ended before they were asked. The one that was answered first
/// is last, so that it is tried first.
fn next(deeds: &[Deed], done: &[u64]) -> Vec<usize> {
    let open = |index: &usize| done[index / 64] & (1 << (index % 64)) == 0;
    let ends = |index: usize| deeds[index].to_us.unwrap_or(u64::MAX);
    let (mut first_end, mut candidates) = (u64::MAX, Vec::new());
    for index in (0..deeds.len()).filter(open) {
        // In the order of beginnings, so nothing after this can come next.
        if deeds[index].from_us > first_end {
            break;
        }
        first_end = first_end.min(ends(index));
        candidates.push(index);
    }
    candidates.retain(|index| deeds[*index].from_us <= first_end);
    candidates.sort_by_key(|index| std::cmp::Reverse(ends(*index)));
    candidates
}

/// Whether everything that was answered is ordered.
fn is_explained(deeds: &[Deed], done: &[u64]) -> bool {
    deeds
        .iter()
        .enumerate()
        .all(|(index, deed)| deed.to_us.is_none() || done[index / 64] & (1 << (index % 64)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(value: u64, from_us: u64, to_us: u64) -> Deed {
        Deed { act: Act::Write(value), from_us, to_us: Some(to_us) }
    }

    fn unanswered(value: u64, from_us: u64) -> Deed {
        Deed { act: Act::Write(value), from_us, to_us: None }
    }

    fn read(value: impl Into<Option<u64>>, from_us: u64, to_us: u64) -> Deed {
        Deed { act: Act::Read(value.into()), from_us, to_us: Some(to_us) }
    }

    #[test]
    fn histories() {
        use Judgement::{Linearizable, Not};
        for (name, history, judgement, stale) in [
            ("nothing", vec![], Linearizable, 0),
            ("in turn", vec![write(1, 0, 10), read(1, 20, 30)], Linearizable, 0),
            ("before the first write", vec![read(None, 0, 5), write(1, 10, 20)], Linearizable, 0),
            (
                "a read during a write, both ways",
                vec![write(1, 0, 10), write(2, 20, 40), read(1, 22, 24), read(2, 26, 28)],
                Linearizable,
                0,
            ),
            (
                "and back again",
                vec![write(1, 0, 10), write(2, 20, 40), read(2, 22, 24), read(1, 26, 28)],
                Not,
                0,
            ),
            ("stale", vec![write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)], Not, 1),
            ("nothing after a write", vec![write(1, 5, 10), read(None, 40, 50)], Not, 1),
            ("a value nobody wrote", vec![write(1, 0, 10), read(7, 20, 30)], Not, 0),
            (
                "a late effect",
                vec![unanswered(1, 0), write(2, 10, 20), read(2, 30, 40), read(1, 50, 60)],
                Linearizable,
                0,
            ),
            (
                "a late effect undone",
                vec![unanswered(1, 0), write(2, 10, 20), read(1, 30, 40), read(2, 50, 60)],
                Not,
                0,
            ),
            (
                "many without an effect",
                (0..60).map(|i| unanswered(100 + i, i)).chain([write(1, 70, 80), read(1, 90, 95)]).collect(),
                Linearizable,
                0,
            ),
        ] {
            assert_eq!((judge(&history), stale_reads(&history)), (judgement, stale), "{name}");
        }
    }

    #[test]
    fn long_histories_are_judged() {
        let sound: Vec<Deed> = (0..2_000u64)
            .flat_map(|i| [write(i + 1, i * 100, i * 100 + 60), read(i + 1, i * 100 + 70, i * 100 + 140)])
            .collect();
        assert_eq!((judge(&sound), stale_reads(&sound)), (Judgement::Linearizable, 0));
        let mut spoilt = sound;
        spoilt.push(read(1_500, 300_000, 300_010));
        assert_eq!((judge(&spoilt), stale_reads(&spoilt)), (Judgement::Not, 1));
    }
}
