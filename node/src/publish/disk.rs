//! The snapshots on disk: the newest, which a restarted node serves first, and the last one that this node ran with for a while, which it
//! serves while it keeps crashing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tidegate_gateway::Snapshot;
use tidegate_proto::compiled::limits::LimitsV1;
use tidegate_publish::LOOP_S;
use tokio::{sync::watch, time::Instant};

use super::Counters;

/// Writes that a stream of changes gets, one in so much time, once it has had [`BURST`] of them.
const PACE: Duration = Duration::from_millis(100);
/// Writes that follow each other at once.
const BURST: u32 = 20;
/// The newest snapshot.
const NEWEST: &str = "serving.snapshot";
/// The one that the node has run with for [`LOOP_S`].
const PROVEN: &str = "serving.proven";

/// The newest snapshot kept on disk, when there is one that this version reads, and what its limits are to be built from.
pub(crate) fn load(folder: &Path) -> Option<(Snapshot, LimitsV1)> {
    read(&folder.join(NEWEST))
}

/// The newest snapshot that this node has run with for a while, likewise.
pub(crate) fn load_proven(folder: &Path) -> Option<(Snapshot, LimitsV1)> {
    read(&folder.join(PROVEN))
}

fn read(path: &Path) -> Option<(Snapshot, LimitsV1)> {
    let bytes = std::fs::read(path).ok()?;
    match Snapshot::decode(&bytes) {
        Ok((snapshot, limits)) => {
            let (revision, stages) = (snapshot.revision(), snapshot.stages().len());
            tracing::info!(revision, stages, path = %path.display(), "serving the snapshot on disk");
            Some((snapshot, limits))
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the snapshot on disk is not usable; waiting for the log");
            None
        }
    }
}

/// Writes the newest snapshot; ones that are overtaken meanwhile are skipped. Changes now and then are written at once; those of a stream
/// of them are not all, because the log has them already, and its writes must not wait behind these.
pub(super) async fn keep(
    folder: PathBuf,
    mut newest: watch::Receiver<Option<Arc<Snapshot>>>,
    counters: Arc<Counters>,
) {
    let mut paid_until = Instant::now();
    while newest.changed().await.is_ok() {
        let Some(snapshot) = newest.borrow_and_update().clone() else { continue };
        store(folder.join(NEWEST), snapshot, &counters).await;
        let now = Instant::now();
        paid_until = paid_until.max(now) + PACE;
        tokio::time::sleep((paid_until - now).saturating_sub(PACE * BURST)).await;
    }
}

/// Writes what was served [`LOOP_S`] ago, while the node runs on.
pub(super) async fn prove(
    folder: PathBuf,
    mut newest: watch::Receiver<Option<Arc<Snapshot>>>,
    counters: Arc<Counters>,
) {
    while newest.changed().await.is_ok() {
        let Some(snapshot) = newest.borrow_and_update().clone() else { continue };
        tokio::time::sleep(Duration::from_secs(LOOP_S)).await;
        store(folder.join(PROVEN), snapshot, &counters).await;
    }
}

async fn store(path: PathBuf, snapshot: Arc<Snapshot>, counters: &Counters) {
    let written = tokio::task::spawn_blocking(move || write(&path, &snapshot)).await;
    if let Ok(Err(reason)) = written {
        counters.persist_failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(reason, "a serving snapshot is not on disk; a restart would serve an older one");
    }
}

/// Durable replacement: partial file, fsync, rename, fsync of the directory.
fn write(path: &Path, snapshot: &Snapshot) -> Result<(), String> {
    let bytes = snapshot.encode().map_err(|error| error.to_string())?;
    let partial = path.with_extension(match path.extension() {
        Some(extension) => format!("{}.partial", extension.to_string_lossy()),
        None => "partial".to_owned(),
    });
    let store = || -> std::io::Result<()> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        // The file holds private keys; a partial one of an earlier version may be open to others, so it is not reused.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    store().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_of_changes_is_not_all_written() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, counters) = (watch::Sender::new(None), Arc::new(Counters::default()));
        let keeping = tokio::spawn(keep(folder.path().to_owned(), sender.subscribe(), counters));
        let (kept, began) = (|| load(folder.path()).map(|(snapshot, _)| snapshot.revision()), Instant::now());
        tokio::task::yield_now().await;
        let writes = 2 * u64::from(BURST);
        for revision in 1..=writes {
            sender.send_replace(Some(Arc::new(Snapshot::new(revision, 1, "r", "a", Vec::new()))));
            while kept() != Some(revision) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if revision == u64::from(BURST) {
                assert!(began.elapsed() < PACE * BURST, "the first ones follow each other");
            }
        }
        assert!(began.elapsed() > PACE * (BURST - 2), "the others do not");
        keeping.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_served_for_a_while_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, counters) = (watch::Sender::new(None), Arc::new(Counters::default()));
        let served = |revision| Some(Arc::new(Snapshot::new(revision, 1, "r", "a", Vec::new())));
        let proving = tokio::spawn(prove(folder.path().to_owned(), sender.subscribe(), counters));
        let proven = || load_proven(folder.path()).map(|(snapshot, _)| snapshot.revision());
        tokio::task::yield_now().await;
        sender.send_replace(served(1));
        tokio::time::sleep(Duration::from_secs(LOOP_S / 2)).await;
        sender.send_replace(served(2));
        assert_eq!(proven(), None);
        for expect in [1, 2] {
            while proven() != Some(expect) {
                assert_ne!(proven(), Some(2));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        proving.abort();
    }
}
