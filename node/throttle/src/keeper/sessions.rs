//! Who is there: holders are heard, given sessions, and taken for gone when they have been silent for longer than any lease of
//! theirs can last. Owns that judgement; must never guess a holder's clock.

use std::collections::BTreeMap;

use tidegate_proto::ledger::{ChangeV1, OpenV1, ReportV1, SessionV1};

use super::{Bench, slices};
use crate::{
    ledger::Ledger,
    limit::{GLOBAL, is_region},
};

/// What the leader knows of a holder.
#[derive(Debug)]
pub(super) struct Watch {
    heard_ns: u64,
    /// Send time of the newest report: the lease of the next answer counts from there.
    echo_ns: u64,
    /// The same, for the answer that is being agreed on.
    due_ns: u64,
    /// A holder without a session: its incarnation, and the newest session it ever had.
    joining: Option<(u64, u64)>,
    /// A session of its that is over, and that it does not know to be over.
    ended: Option<u64>,
    /// Whether it has said everything to this leader.
    is_full: bool,
    /// Of a region: the term of the leader that speaks for it, and its node.
    rank: u64,
    via: u64,
}

/// What sessions are given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allotment {
    /// Default share of a node.
    pub(super) node: u32,
    /// Default share of a region.
    pub(super) region: u32,
    /// Whether sessions may begin.
    pub(super) is_open: bool,
    /// Whether all of them have to end.
    pub(super) is_closing: bool,
}

impl Allotment {
    fn unit(&self, holder: u64) -> u32 {
        if is_region(holder) { self.region } else { self.node }
    }
}

/// The default share of one of `live` holders, of what there is.
pub(super) fn even(whole: u32, implicit: f64, live: usize) -> u32 {
    if live <= 1 { whole } else { (f64::from(whole) * implicit / live as f64) as u32 }
}

impl Watch {
    /// Taken for heard at `now_ns`: no lease that an earlier leader gave can be younger.
    pub(super) fn begin(now_ns: u64) -> Self {
        Self {
            heard_ns: now_ns,
            echo_ns: 0,
            due_ns: 0,
            joining: None,
            ended: None,
            is_full: false,
            rank: 0,
            via: 0,
        }
    }

    /// Hears a report; whether what is in it belongs to the present session.
    pub(super) fn hear(&mut self, now_ns: u64, report: &ReportV1, ledger: &Ledger) -> bool {
        if report.rank < self.rank {
            return false;
        }
        if report.rank > self.rank {
            // Another leader speaks for the region, with another clock.
            (self.rank, self.echo_ns, self.due_ns) = (report.rank, 0, 0);
        }
        self.via = report.via;
        let session = ledger.sessions.get(&report.holder);
        if session.is_some_and(|session| report.incarnation < session.incarnation) {
            return false;
        }
        if report.epoch == 0 {
            self.joining = self.joining.max(Some((report.incarnation, report.epoch_seen)));
        } else if session.is_none_or(|session| session.epoch != report.epoch) {
            // A late report of a session that was replaced says nothing about the present one.
            if session.is_none_or(|session| session.epoch < report.epoch) || session.is_none() {
                self.ended = Some(report.epoch);
            }
            return false;
        }
        self.heard_ns = self.heard_ns.max(now_ns);
        self.echo_ns = self.echo_ns.max(report.sent_ns);
        self.is_full |= report.full;
        report.epoch != 0
    }

    /// What was heard until now is what the answers of this tick may extend.
    pub(super) fn prepare(&mut self) {
        self.due_ns = self.due_ns.max(std::mem::take(&mut self.echo_ns));
    }

    /// Whether it was heard since the last tick.
    pub(super) fn is_waiting(&self) -> bool {
        self.echo_ns != 0 || self.joining.is_some() || self.ended.is_some()
    }

    pub(super) fn is_due(&self) -> bool {
        self.due_ns != 0
    }

    pub(super) fn take_echo(&mut self) -> u64 {
        std::mem::take(&mut self.due_ns)
    }

    pub(super) fn rank(&self) -> u64 {
        self.rank
    }

    /// The node that answers go to; `None` before a region has been heard.
    pub(super) fn address(&self, holder: u64) -> Option<u64> {
        if is_region(holder) { Some(self.via).filter(|via| *via != 0) } else { Some(holder) }
    }
}

/// Whether every holder with a session has said everything to this leader.
pub(super) fn are_heard(watches: &BTreeMap<u64, Watch>, ledger: &Ledger) -> bool {
    ledger.sessions.keys().all(|holder| watches.get(holder).is_some_and(|watch| watch.is_full))
}

/// Opens, replaces and ends sessions.
pub(super) fn tend(watches: &mut BTreeMap<u64, Watch>, allotment: Allotment, bench: &mut Bench<'_>) {
    let mut has_room_gone = false;
    for (holder, watch) in watches.iter_mut() {
        let session = bench.ledger.sessions.get(holder).copied();
        if let Some((incarnation, epoch_seen)) = watch.joining {
            watch.is_full = false;
            match session {
                _ if allotment.is_open => {
                    join(*holder, incarnation, epoch_seen, allotment.unit(*holder), session, bench);
                }
                // It uses nothing of it any more.
                Some(session) => {
                    bench.changes.push(ChangeV1::Close { holder: *holder, epoch: session.epoch });
                }
                None => continue,
            }
            watch.joining = None;
            continue;
        }
        if let Some(epoch) = watch.ended.take() {
            bench.mail(*holder).reopen = Some(epoch);
        }
        let Some(session) = session else { continue };
        if bench.now_ns.saturating_sub(watch.heard_ns) > bench.timing.expiry_ns() {
            bench.changes.push(ChangeV1::Close { holder: *holder, epoch: session.epoch });
        } else if allotment.is_closing {
            bench.mail(*holder).reopen = Some(session.epoch);
        } else {
            has_room_gone |= session.unit < allotment.unit(*holder) / 2;
        }
    }
    let is_uneven = |session: &SessionV1| {
        let unit = allotment.unit(session.holder);
        session.unit > unit + unit / 8 || (session.unit < unit / 2 && free(bench.ledger) >= unit / 2)
    };
    if has_room_gone {
        let uneven: Vec<SessionV1> =
            bench.ledger.sessions.values().filter(|session| is_uneven(session)).copied().collect();
        for session in uneven {
            let mail = bench.mail(session.holder);
            // A holder that does not know its session yet has to be told of it first: it would not know what to give back.
            if !mail.is_open {
                mail.reopen.get_or_insert(session.epoch);
            }
        }
    }
    watches.retain(|holder, watch| {
        bench.ledger.sessions.contains_key(holder)
            || bench.mail.contains_key(holder)
            || bench.now_ns.saturating_sub(watch.heard_ns) <= bench.timing.expiry_ns()
    });
}

/// A holder that says it has no session uses nothing of any older one, so it can have a new one at once. One that has been
/// given a session which it does not know yet is told again.
fn join(
    holder: u64,
    incarnation: u64,
    epoch_seen: u64,
    unit: u32,
    session: Option<SessionV1>,
    bench: &mut Bench<'_>,
) {
    // Heard before the ledger knew of the newer life.
    if session.is_some_and(|session| incarnation < session.incarnation) {
        return;
    }
    let is_told =
        session.is_some_and(|session| session.incarnation == incarnation && session.epoch > epoch_seen);
    if !is_told {
        let replaces = session.map_or(0, |session| session.epoch);
        bench.changes.push(ChangeV1::Open { holder, incarnation, replaces, unit });
    }
    bench.mail(holder).is_open = true;
}

fn free(ledger: &Ledger) -> u32 {
    let taken = ledger.sessions.values().map(|session| session.unit).fold(0, u32::saturating_add);
    ledger.unit().saturating_sub(taken)
}

/// The session as its holder has to know it. From the ledger of all regions nodes have no slices.
pub(super) fn opening(number: usize, ledger: &Ledger, session: &SessionV1) -> OpenV1 {
    let has_slices = number != GLOBAL || is_region(session.holder);
    let mut limits: Vec<u64> = ledger.slices.keys().copied().filter(|_| has_slices).collect();
    limits.sort_unstable();
    let nothing = |limit| tidegate_proto::ledger::SliceGrantV1 { limit, ..Default::default() };
    let slices = limits
        .into_iter()
        .map(|limit| slices::granted(ledger, limit, session.holder).unwrap_or_else(|| nothing(limit)));
    OpenV1 { incarnation: session.incarnation, unit: session.unit, slices: slices.collect() }
}
