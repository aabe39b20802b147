//! Who is there: holders are heard, given sessions, and taken for gone when they have been silent for longer than any lease of
//! theirs can last. Owns that judgement; must never guess a holder's clock.

use std::collections::BTreeMap;

use tidegate_proto::ledger::{ChangeV1, OpenV1, ReportV1, SessionV1, WHOLE};

use super::{Bench, slices};
use crate::ledger::Ledger;

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
}

impl Watch {
    /// Taken for heard at `now_ns`: no lease that an earlier leader gave can be younger.
    pub(super) fn begin(now_ns: u64) -> Self {
        Self { heard_ns: now_ns, echo_ns: 0, due_ns: 0, joining: None, ended: None, is_full: false }
    }

    /// Hears a report; whether what is in it belongs to the present session.
    pub(super) fn hear(&mut self, now_ns: u64, report: &ReportV1, ledger: &Ledger) -> bool {
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
}

/// Whether every holder with a session has said everything to this leader.
pub(super) fn are_heard(watches: &BTreeMap<u64, Watch>, ledger: &Ledger) -> bool {
    ledger.sessions.keys().all(|holder| watches.get(holder).is_some_and(|watch| watch.is_full))
}

/// Opens, replaces and ends sessions. `configured` is the number of nodes that the configuration knows.
pub(super) fn tend(watches: &mut BTreeMap<u64, Watch>, configured: usize, bench: &mut Bench<'_>) {
    let live = u32::try_from(bench.ledger.sessions.len().max(configured)).unwrap_or(u32::MAX).max(1);
    let unit =
        if live == 1 { WHOLE } else { (f64::from(WHOLE) * bench.timing.implicit / f64::from(live)) as u32 };
    let mut has_room_gone = false;
    for (holder, watch) in watches.iter_mut() {
        let session = bench.ledger.sessions.get(holder).copied();
        if let Some((incarnation, epoch_seen)) = watch.joining.take() {
            join(*holder, incarnation, epoch_seen, unit, session, bench);
            watch.is_full = false;
            continue;
        }
        if let Some(epoch) = watch.ended.take() {
            bench.mail(*holder).reopen = Some(epoch);
        }
        let Some(session) = session else { continue };
        if bench.now_ns.saturating_sub(watch.heard_ns) > bench.timing.expiry_ns() {
            bench.changes.push(ChangeV1::Close { holder: *holder, epoch: session.epoch });
        } else {
            has_room_gone |= session.unit < unit / 2;
        }
    }
    let is_uneven = |session: &SessionV1| {
        session.unit > unit + unit / 8 || (session.unit < unit / 2 && free(bench.ledger) >= unit / 2)
    };
    if has_room_gone {
        let uneven: Vec<SessionV1> =
            bench.ledger.sessions.values().filter(|session| is_uneven(session)).copied().collect();
        for session in uneven {
            bench.mail(session.holder).reopen.get_or_insert(session.epoch);
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
    WHOLE.saturating_sub(ledger.sessions.values().map(|session| session.unit).fold(0, u32::saturating_add))
}

/// The session as its holder has to know it.
pub(super) fn opening(ledger: &Ledger, session: &SessionV1) -> OpenV1 {
    let mut limits: Vec<u64> = ledger.slices.keys().copied().collect();
    limits.sort_unstable();
    let nothing = |limit| tidegate_proto::ledger::SliceGrantV1 { limit, ..Default::default() };
    let slices = limits
        .into_iter()
        .map(|limit| slices::granted(ledger, limit, session.holder).unwrap_or_else(|| nothing(limit)));
    OpenV1 { incarnation: session.incarnation, unit: session.unit, slices: slices.collect() }
}
