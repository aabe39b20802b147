//! Founds the ledger groups of a region, and that of all regions, once: whoever writes its name first into the configuration starts
//! them, and all other nodes are added by the groups themselves.

use std::time::Duration;

use tidegate_cluster::{GroupId, Handle, NodeId, group};
use tidegate_control::Store;
use tidegate_proto::{document::LedgerFounder, key, transaction::TransactionV1};
use tokio::{sync::watch, time::sleep};

use crate::store::ConfigStore;

/// Pause between looks.
const RETRY: Duration = Duration::from_millis(200);

/// Runs until every ledger group of the region is known here.
pub(super) async fn found(handle: Handle, store: ConfigStore, region: String) {
    let groups: Vec<_> = (0..group::LEDGER_SHARDS).map(|shard| group::ledger(&region, shard)).collect();
    found_all(&handle, &store, &groups, &key::ledger_founder(&region)).await;
}

/// Waits until a limit spans regions, then runs until the ledger group of those, and that of the region's part of them, is known
/// here.
pub(super) async fn found_wide(
    handle: Handle,
    store: ConfigStore,
    region: String,
    mut spans: watch::Receiver<bool>,
) {
    if spans.wait_for(|spans| *spans).await.is_ok() {
        let part = [group::ledger(&region, group::LEDGER_PART)];
        let of_region = key::ledger_founder(&region);
        tokio::join!(
            found_all(&handle, &store, &[group::GLOBAL_LEDGER], key::GLOBAL_LEDGER_FOUNDER),
            found_all(&handle, &store, &part, &of_region),
        );
    }
}

async fn found_all(handle: &Handle, store: &ConfigStore, groups: &[GroupId], name: &str) {
    let me = handle.node();
    loop {
        let missing: Vec<_> =
            groups.iter().copied().filter(|group| !handle.is_formed(*group).unwrap_or(true)).collect();
        if missing.is_empty() {
            return;
        }
        match founder(store, name) {
            Some(founder) if founder == me => {
                for group in missing {
                    if let Err(error) = handle.bootstrap(group).await {
                        tracing::debug!(group, %error, "the ledger group is not started");
                    }
                }
            }
            Some(_) => {}
            None => claim(store, name, me).await,
        }
        sleep(RETRY).await;
    }
}

fn founder(store: &ConfigStore, name: &str) -> Option<NodeId> {
    let read = store.view().read::<LedgerFounder>(name);
    read.ok().flatten().map(|read| read.document.node)
}

/// Only one node's name is ever written, because the record must not exist before.
async fn claim(store: &ConfigStore, name: &str, me: NodeId) {
    // A node that has not applied the founding of the cluster knows nothing yet.
    if store.view().get(key::AUTHORITY).is_none() {
        return;
    }
    let mut transaction = TransactionV1::default();
    transaction.compare(name, 0).put(name, &LedgerFounder { node: me });
    if let Err(error) = store.commit(transaction).await {
        tracing::debug!(%error, "the founder of a ledger is not decided yet");
    }
}
