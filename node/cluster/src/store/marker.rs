//! Keeps the marks behind the log: what was made durable is marked a moment later, without a sync in the way of a commit. Two things do not
//! wait: a vote is marked before it is answered, and a log that is to become shorter is marked so before it does.

use super::{
    LogBackend,
    mark::{Mark, Marks},
};
use crate::{
    GroupId, limits,
    runtime::{self, Instant},
    wire::v1::{LogIdV1, VoteV1},
};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What an operation means for a group's mark.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    Voted(VoteV1),
    /// The log ends here now.
    Reached(LogIdV1),
    /// What followed is removed.
    CutTo(Option<LogIdV1>),
    /// Entries are gone that this node had acknowledged up to here.
    Damaged {
        vote: Option<VoteV1>,
        promised: Option<LogIdV1>,
    },
    /// The log has everything again.
    Healed,
}

/// The marks of a running log.
pub(super) struct Marker {
    backend: Arc<dyn LogBackend>,
    /// Of what is durable.
    marks: Marks,
    order: u64,
    is_dirty: bool,
    saved: Instant,
    is_saving: Arc<AtomicBool>,
    failure: Arc<OnceLock<String>>,
}

impl Marker {
    pub(super) fn new(backend: Arc<dyn LogBackend>) -> Self {
        Self {
            marks: backend.marks(),
            backend,
            order: 1,
            is_dirty: false,
            saved: runtime::now(),
            is_saving: Arc::default(),
            failure: Arc::default(),
        }
    }

    /// Before a batch is written: no mark may claim what the batch takes away.
    pub(super) fn before(&mut self, notes: &[(GroupId, Note)]) -> io::Result<()> {
        if let Some(text) = self.failure.get() {
            return Err(io::Error::other(text.clone()));
        }
        let mut is_urgent = false;
        for (group, note) in notes {
            let mark = self.marks.entry(*group).or_default();
            match note {
                Note::CutTo(kept) if mark.is_over(kept.as_ref()) => mark.last = kept.clone(),
                Note::Damaged { vote, promised } => {
                    *mark = Mark { vote: vote.clone(), last: promised.clone(), is_damaged: true };
                }
                Note::CutTo(_) | Note::Voted(_) | Note::Reached(_) | Note::Healed => continue,
            }
            is_urgent = true;
        }
        if is_urgent { self.save_now() } else { Ok(()) }
    }

    /// After a batch is durable.
    pub(super) fn after(&mut self, notes: Vec<(GroupId, Note)>) -> io::Result<()> {
        let mut is_urgent = false;
        for (group, note) in notes {
            let mark = self.marks.entry(group).or_default();
            match note {
                Note::Voted(vote) => {
                    mark.vote = Some(vote);
                    is_urgent = true;
                }
                Note::Healed => {
                    mark.is_damaged = false;
                    is_urgent = true;
                }
                Note::Reached(last) => mark.reach(&last),
                Note::CutTo(kept) if mark.is_over(kept.as_ref()) => mark.last = kept,
                Note::CutTo(_) | Note::Damaged { .. } => continue,
            }
            self.is_dirty = true;
        }
        if is_urgent { self.save_now() } else { Ok(()) }
    }

    /// How long until there is something to save, if there is.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let waited = runtime::now() - self.saved;
        self.is_dirty.then(|| limits::MARK_PAUSE.saturating_sub(waited).max(Duration::from_millis(1)))
    }

    /// Saves what has changed beside the commits, if it is time; commits need not wait for it.
    pub(super) fn save_when_due(&mut self) {
        let is_due = self.is_dirty && runtime::now() - self.saved >= limits::MARK_PAUSE;
        if !is_due || self.is_saving.swap(true, Ordering::AcqRel) {
            return;
        }
        let (backend, marks, order) = (self.backend.clone(), self.marks.clone(), self.next());
        let (is_saving, failure) = (self.is_saving.clone(), self.failure.clone());
        runtime::spawn(async move {
            let saved = runtime::blocking(move || backend.save_marks(order, &marks, false)).await;
            if let Err(error) = saved.unwrap_or_else(|| Err(io::Error::other("saving the marks panicked"))) {
                let _first = failure.set(format!("the marks cannot be written: {error}"));
            }
            is_saving.store(false, Ordering::Release);
        });
    }

    /// Saves what has not been saved, when the log ends.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if self.is_dirty { self.save_now() } else { Ok(()) }
    }

    fn save_now(&mut self) -> io::Result<()> {
        let order = self.next();
        self.backend.save_marks(order, &self.marks, true)
    }

    fn next(&mut self) -> u64 {
        (self.is_dirty, self.saved) = (false, runtime::now());
        self.order += 1;
        self.order
    }
}
