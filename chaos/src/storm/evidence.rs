//! Everything that was seen in a run, once it is over; what measures and reports are made from.

use std::collections::BTreeMap;

use super::{
    churn::Change, record::Record, scenario::Measure, stall::Stalls, watch::Seen, world::Start,
    writers::WriteRecord,
};
use crate::{
    clock::Span,
    lab::{Carried, site::Site},
};

/// A fault that took place.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Happened {
    /// Its name.
    pub(crate) fault: &'static str,
    /// What was done.
    pub(crate) told: String,
    /// From the strike until it was undone.
    pub(crate) span: Span,
    /// Longest time without a success of some region and class while it lasted and 5 s after, in milliseconds.
    pub(crate) unavailable_ms: f64,
}

/// What was seen.
pub(crate) struct Evidence {
    /// From the first request to the last.
    pub(crate) span: Span,
    /// From the first strike until everything was undone; the whole run where nothing was done.
    pub(crate) trouble: Span,
    /// When everything was well again after that.
    pub(crate) recovered_us: Option<u64>,
    /// Requests.
    pub(crate) records: Vec<Record>,
    /// Requests for which there was no room.
    pub(crate) unkept: u64,
    /// Writes to sets.
    pub(crate) writes: Vec<WriteRecord>,
    /// Changes of the churn.
    pub(crate) changes: Vec<Change>,
    /// What the observer saw.
    pub(crate) seen: Seen,
    /// Starts of processes.
    pub(crate) starts: Vec<Start>,
    /// When zones were struck.
    pub(crate) struck: Vec<(Site, Span)>,
    /// Figures that faults measured themselves.
    pub(crate) measured: Vec<(Measure, f64)>,
    /// Faults, in order.
    pub(crate) happened: Vec<Happened>,
    /// Remarks.
    pub(crate) notes: Vec<(u64, String)>,
    /// What could not be rehearsed.
    pub(crate) skipped: Vec<String>,
    /// When the tool stood still.
    pub(crate) stalls: Stalls,
    /// 99th percentile of how late the tool's own sleeper woke up, in milliseconds.
    pub(crate) late_p99_ms: f64,
    /// What the network did.
    pub(crate) carried: Carried,
    /// Requests above the limit.
    pub(crate) over_admitted: f64,
    /// Requests per second that all nodes together admit, where that is set.
    pub(crate) capacity: Option<f64>,
    /// What the check at the end found.
    pub(crate) findings: Findings,
    /// What went wrong for clients and writers, with how often.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// What always has to hold.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Findings {
    /// Acknowledged writes that a node does not have.
    pub(crate) lost: u64,
    /// Acknowledged writes.
    pub(crate) acknowledged: u64,
    /// Values that nobody wrote.
    pub(crate) unexplained: u64,
    /// Registers whose history no order explains.
    pub(crate) not_linearizable: u64,
    /// Registers whose history was too long to judge.
    pub(crate) unjudged: u64,
    /// Operations in all histories.
    pub(crate) deeds: u64,
    /// Reads that returned an overwritten value.
    pub(crate) stale_reads: u64,
    /// State hashes that differ at the same index.
    pub(crate) conflicts: u64,
    /// Comparisons of state hashes.
    pub(crate) compared: u64,
    /// Nodes that were not at rest, or do not serve what the others serve.
    pub(crate) unsettled: u64,
    /// What is wrong, in words.
    pub(crate) problems: Vec<String>,
}

impl Evidence {
    /// Whether a request entered at a place that was struck at some moment of its life.
    pub(crate) fn is_struck(&self, record: &Record) -> bool {
        let struck =
            |site: Site| self.struck.iter().any(|(own, span)| *own == site && span.overlaps(&record.span));
        match record.entry {
            Some(site) => struck(site),
            // Without a connection to any address: struck where all of them were.
            None => {
                let own = self.seen.now.keys().filter(|site| site.region() == Some(record.region));
                let mut own = own.peekable();
                own.peek().is_some() && own.all(|site| struck(*site))
            }
        }
    }
}
