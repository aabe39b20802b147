//! Whether this node may serve what it has stored: only while it knows of every flush. Owns the confirmation and its pace; must never
//! let a node count as current for longer than others count on it.

use std::{sync::Arc, time::Duration};

use tidegate_cluster::{Handle, group};
use tidegate_gateway::Snapshot;
use tidegate_proto::limits::{CACHE_CONFIRM_EVERY_MS, CACHE_CONFIRM_TIMEOUT_MS, CACHE_CURRENT_MS};
use tidegate_telemetry::metrics::Encoder;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{limits::Desk, replica::Replica};

const EVERY: Duration = Duration::from_millis(CACHE_CONFIRM_EVERY_MS);
const PATIENCE: Duration = Duration::from_millis(CACHE_CONFIRM_TIMEOUT_MS);
/// Pause after a confirmation that failed.
const AGAIN: Duration = Duration::from_millis(100);

/// Keeps a node's stored answers behind what it knows of the configuration.
#[derive(Clone)]
pub(crate) struct Fence {
    edge: tidegate_edge::Handle,
    /// Its limiter has the clock of the data plane.
    desk: Arc<Desk>,
    /// Revision that the data plane serves.
    published: watch::Sender<u64>,
}

impl Fence {
    /// From here on nothing is served from the cache until a confirmation has come.
    pub(crate) fn new(edge: tidegate_edge::Handle, desk: Arc<Desk>) -> Self {
        edge.set_cache_current_until(0);
        let published = watch::Sender::new(edge.serving_revision());
        Self { edge, desk, published }
    }

    /// Has the data plane serve a snapshot.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        let revision = snapshot.revision();
        self.edge.publish(snapshot);
        self.published.send_replace(revision);
    }

    /// Has it confirmed again and again that this node knows of every flush, as long as anything is cached. Never ends.
    pub(crate) async fn keep(self, handle: Handle, replica: Replica) {
        let mut published = self.published.subscribe();
        loop {
            published.borrow_and_update();
            if !self.edge.is_caching() {
                if published.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let pause = match timeout(PATIENCE, self.confirm(&handle, &replica, &mut published)).await {
                Ok(Some(until_ns)) => {
                    self.edge.set_cache_current_until(until_ns);
                    EVERY
                }
                Ok(None) | Err(_) => AGAIN,
            };
            sleep(pause).await;
        }
    }

    /// Until when a flush that this node does not know of has not been answered yet.
    async fn confirm(
        &self,
        handle: &Handle,
        replica: &Replica,
        published: &mut watch::Receiver<u64>,
    ) -> Option<u64> {
        let asked_ns = self.desk.limiter().now_ns();
        handle
            .barrier(group::CONFIG, PATIENCE)
            .await
            .inspect_err(|error| tracing::debug!(%error, "stored answers are not confirmed"))
            .ok()?;
        let revision = replica.load().state.revision();
        published.wait_for(|served| *served >= revision).await.ok()?;
        Some(asked_ns.saturating_add(CACHE_CURRENT_MS * 1_000_000))
    }

    /// Whether stored answers are served, where there may be some.
    pub(crate) fn sample(&self, encoder: &mut Encoder) {
        if !self.edge.is_caching() {
            return;
        }
        let is_current = self.edge.is_cache_current(self.desk.limiter().now_ns());
        encoder.gauge(
            "cache_current",
            "1 while stored answers are served, because this node knows of every flush",
            &[],
            f64::from(u8::from(is_current)),
        );
    }
}
