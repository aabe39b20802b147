//! Configuration keys are linearizable: per key, one order explains every write and every read behind a barrier.

use std::collections::BTreeMap;

use crate::storm::{Act, Deed, Judgement, judge};

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It was acknowledged.
    Yes,
    /// It was said that nothing was written.
    No,
    /// Nobody knows; it may still happen.
    Perhaps,
}

/// The history of every key, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Linearizable {
    histories: BTreeMap<String, Vec<Deed>>,
    reads: u64,
}

impl Linearizable {
    /// A write of a value that is written once has begun. As long as nobody says how it ended, it may happen.
    pub(crate) fn begins(&mut self, key: &str, value: u64, from_us: u64) {
        self.deed(key, Deed { act: Act::Write(value), from_us, to_us: None });
    }

    /// A write has ended.
    pub(crate) fn wrote(&mut self, key: &str, value: u64, to_us: u64, outcome: Written) {
        let Some(history) = self.histories.get_mut(key) else { return };
        let Some(at) = history.iter().rposition(|deed| deed.act == Act::Write(value)) else { return };
        match outcome {
            Written::Yes => history[at].to_us = Some(to_us),
            Written::Perhaps => {}
            Written::No => drop(history.remove(at)),
        }
    }

    /// A read was answered.
    pub(crate) fn read(&mut self, key: &str, value: Option<u64>, (from_us, to_us): (u64, u64)) {
        self.reads += 1;
        self.deed(key, Deed { act: Act::Read(value), from_us, to_us: Some(to_us) });
    }

    fn deed(&mut self, key: &str, deed: Deed) {
        match self.histories.get_mut(key) {
            Some(history) => history.push(deed),
            None => drop(self.histories.insert(key.to_owned(), vec![deed])),
        }
    }

    /// The keys that no order explains.
    pub(crate) fn judge(&self) -> Vec<String> {
        let not = self.histories.iter().filter(|(_, history)| judge(history) == Judgement::Not);
        not.map(|(key, history)| format!("no order explains the {} writes and reads of {key}", history.len()))
            .collect()
    }

    /// Reads in it.
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_read_and_a_write_that_was_denied_are_seen() {
        let mut keys = Linearizable::default();
        let write = |keys: &mut Linearizable, key, value, (from_us, to_us), outcome| {
            keys.begins(key, value, from_us);
            keys.wrote(key, value, to_us, outcome);
        };
        write(&mut keys, "a", 1, (0, 10), Written::Yes);
        write(&mut keys, "a", 2, (20, 30), Written::Perhaps);
        keys.read("a", Some(1), (40, 50));
        keys.read("a", Some(2), (60, 70));
        assert_eq!(keys.judge(), Vec::<String>::new());
        keys.read("a", Some(1), (80, 90));
        write(&mut keys, "b", 1, (0, 10), Written::No);
        keys.read("b", Some(1), (20, 30));
        // One that still waits for its answer may have happened.
        keys.begins("c", 1, 0);
        keys.read("c", Some(1), (20, 30));
        assert_eq!((keys.judge().len(), keys.reads()), (2, 5));
    }
}
