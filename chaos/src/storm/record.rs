//! What clients saw, request by request: small enough to keep all of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Span,
    lab::site::Site,
    limits::{REASONS, RECORDS},
};

/// Kinds of requests, each with an availability of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// GET to the upstream: may be repeated.
    Get,
    /// POST to the upstream: must not be.
    Post,
    /// GET of an answer that holds one revision of the configuration twice.
    Churn,
    /// GET against a rate limit.
    Limited,
    /// GET of a burst above what can be served.
    Flood,
    /// GET to an API whose configuration is bad on purpose.
    Poisoned,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The right answer.
    Right,
    /// 429 or 503 with the word to come again: an answer, not a failure, where more is asked than allowed.
    Shed,
    /// An answer with an error that the gateway made.
    Gateway(u16),
    /// The connection was lost with the request on it.
    Reset,
    /// An answer that belongs to another request, or to two revisions at once.
    Wrong,
    /// No answer in time.
    Silent,
    /// No connection to any address.
    Unconnected,
    /// The client had too many requests open to send this one.
    Unsent,
}

/// A request and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// From when it was due to its end.
    pub(crate) span: Span,
    /// Its kind.
    pub(crate) class: Class,
    /// Region of the client.
    pub(crate) region: u8,
    /// The zone it was sent to, where there was a connection.
    pub(crate) entry: Option<Site>,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// The records of a run, from all clients.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

/// What a [`Book`] holds.
#[derive(Default)]
pub(crate) struct Pages {
    /// In the order of their ends.
    pub(crate) records: Vec<Record>,
    /// Records for which there was no room.
    pub(crate) unkept: u64,
    /// What failed requests met, with how often.
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Class {
    /// Name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Churn => "churn",
            Self::Limited => "limited",
            Self::Flood => "flood",
            Self::Poisoned => "poisoned",
        }
    }

    /// Whether its failures count against the data plane.
    pub(crate) fn is_judged(self) -> bool {
        matches!(self, Self::Get | Self::Post | Self::Churn)
    }
}

impl Outcome {
    /// Whether the client was failed.
    pub(crate) fn is_error(self) -> bool {
        !matches!(self, Self::Right | Self::Shed)
    }
}

impl Book {
    /// Adds a record, with what the client met where it failed.
    pub(crate) fn add(&self, record: Record, reason: Option<String>) {
        let mut pages = self.pages();
        if let Some(reason) = reason
            && (pages.reasons.len() < REASONS || pages.reasons.contains_key(&reason))
        {
            *pages.reasons.entry(reason).or_insert(0) += 1;
        }
        match pages.records.len() < RECORDS {
            true => pages.records.push(record),
            false => pages.unkept += 1,
        }
    }

    /// Looks at what was recorded so far.
    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
