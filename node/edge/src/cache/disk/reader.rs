//! A thread that reads records. Owns that what is handed out is whole and is what was written; must never make anyone wait.

use std::sync::{Arc, mpsc::Receiver};

use tokio::sync::oneshot;

use super::{
    Shared,
    form::{self, Opened},
    index::Location,
    keys::Name,
    record,
};

/// A record to read.
#[derive(Debug)]
pub(super) struct Reading {
    /// Under which it was found.
    pub(super) name: Name,
    pub(super) location: Location,
    pub(super) told: oneshot::Sender<Option<Opened>>,
}

/// Reads until nobody can ask any more.
pub(super) fn run(shared: &Arc<Shared>, asked: &Receiver<Reading>) {
    while let Ok(Reading { name, location, told }) = asked.recv() {
        if told.is_closed() {
            continue;
        }
        // Whoever asked may be gone meanwhile.
        let _ = told.send(read(shared, name, location));
    }
}

fn read(shared: &Shared, name: Name, location: Location) -> Option<Opened> {
    let Some(segment) = shared.shelf.find(location.segment) else {
        shared.index.let_go(name, location);
        return None;
    };
    let opened = segment.read(location).ok().and_then(|mut bytes| {
        let head = record::open(&segment.key, location.offset, &mut bytes)?;
        let known_as = if location.is_example { head.stem } else { Some(head.name) };
        let opened = form::read(bytes)?;
        (known_as == Some(name)).then_some(opened)
    });
    if opened.is_none() {
        tracing::warn!(segment = location.segment, offset = location.offset, "a damaged answer on disk");
        shared.counters.damaged.increment();
        shared.index.let_go(name, location);
    }
    opened
}
