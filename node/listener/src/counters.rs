//! What the listener counts: plain atomics, read as a snapshot. It knows no metric names and no exporter.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

use crate::options::Options;
use crate::peers::{Peers, Place};
use crate::refusal::Refusal;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Values of all counters at one moment; everything but `active` only grows.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct CounterValues {
            /// Connections open now, those switched to another protocol included.
            pub active: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl CounterValues {
            /// Name and value of every growing counter, in a fixed order.
            pub fn growing(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        /// The live counters of one listener.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            active: AtomicUsize,
            closed: Notify,
            peers: Arc<Peers>,
            $($name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn values(&self) -> CounterValues {
                CounterValues { active: self.active.load(Relaxed) as u64, $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections accepted and served.
    accepted,
    /// Connections answered 503 and closed because of `connections_max` or `connections_per_peer_max`.
    refused_over_limit,
    /// Calls of `accept` that failed, for example for want of descriptors.
    accept_errors,
    /// Connections that turned out to speak HTTP/2.
    http2_connections,
    /// HTTP/2 connections ended because the peer flooded them with frames that ask for nothing.
    http2_floods,
    /// TLS handshakes that were completed.
    tls_handshakes,
    /// Those among them that resumed an earlier session.
    tls_resumed,
    /// TLS handshakes that failed for a fault of either side.
    tls_failures,
    /// TLS handshakes that did not end in time.
    tls_timeouts,
    /// TLS handshakes refused because no certificate fits the name asked for.
    tls_unrecognized_names,
    /// Requests whose head was accepted.
    requests,
    /// Requests refused for syntax or framing (400, 417).
    malformed,
    /// Heads over their bytes or lines (431).
    headers_too_large,
    /// Requests of an unknown HTTP version (505).
    version_unsupported,
    /// Heads or bodies that did not arrive in time (408).
    timeouts,
    /// Connections closed because nothing came.
    idle_closes,
    /// Connections the peer ended inside a head.
    truncated,
    /// Connections ended because the peer did not read its answer.
    write_stalls,
    /// Requests answered 400 because guard and server disagreed on framing; anything but zero is a defect.
    desynchronised,
    /// Connections ended by the drain deadline.
    cut,
}

impl Counters {
    pub(crate) fn active(&self) -> usize {
        self.active.load(Relaxed)
    }

    /// Takes a place among the open connections, or nothing when the listener or the peer has too many.
    pub(crate) fn admit(self: &Arc<Self>, options: &Options, peer: IpAddr) -> Option<Permit> {
        let previous = self.active.fetch_add(1, Relaxed);
        let mut permit = Permit { counters: Arc::clone(self), _place: None };
        if previous >= options.connections_max {
            bump(&self.refused_over_limit);
            return None;
        }
        if let Some(places_max) = options.connections_per_peer_max {
            permit._place = self.peers.admit(peer, places_max);
            if permit._place.is_none() {
                bump(&self.refused_over_limit);
                return None;
            }
        }
        bump(&self.accepted);
        Some(permit)
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.active() == 0 {
                return;
            }
            closed.await;
        }
    }

    pub(crate) fn note_refusal(&self, refusal: Refusal) {
        bump(match refusal {
            Refusal::BadRequest | Refusal::Expectation => &self.malformed,
            Refusal::HeaderTooLarge => &self.headers_too_large,
            Refusal::Version => &self.version_unsupported,
            Refusal::Timeout => &self.timeouts,
            Refusal::Overloaded => &self.refused_over_limit,
        });
    }

    pub(crate) fn note_request(&self) {
        bump(&self.requests);
    }

    pub(crate) fn note_requests(&self, count: u64) {
        self.requests.fetch_add(count, Relaxed);
    }

    pub(crate) fn note_truncated(&self) {
        bump(&self.truncated);
    }

    pub(crate) fn note_idle_close(&self) {
        bump(&self.idle_closes);
    }

    pub(crate) fn note_write_stall(&self) {
        bump(&self.write_stalls);
    }

    pub(crate) fn note_accept_error(&self) {
        bump(&self.accept_errors);
    }

    pub(crate) fn note_http2(&self) {
        bump(&self.http2_connections);
    }

    pub(crate) fn note_http2_flood(&self) {
        bump(&self.http2_floods);
    }

    pub(crate) fn note_handshake(&self, is_resumed: bool) {
        bump(&self.tls_handshakes);
        if is_resumed {
            bump(&self.tls_resumed);
        }
    }

    pub(crate) fn note_handshake_failure(&self) {
        bump(&self.tls_failures);
    }

    pub(crate) fn note_handshake_timeout(&self) {
        bump(&self.tls_timeouts);
    }

    pub(crate) fn note_unrecognized_name(&self) {
        bump(&self.tls_unrecognized_names);
    }

    pub(crate) fn note_desynchronised(&self) {
        bump(&self.desynchronised);
    }

    pub(crate) fn note_cut(&self) {
        bump(&self.cut);
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// One open connection; lives as long as its stream, also after a switch of protocol.
#[derive(Debug)]
pub(crate) struct Permit {
    counters: Arc<Counters>,
    _place: Option<Place>,
}

impl Permit {
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counters.active.fetch_sub(1, Relaxed);
        self.counters.closed.notify_waiters();
    }
}
