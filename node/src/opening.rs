//! Opens what a node has on disk, patiently where it can serve meanwhile. A node whose disk takes no writes is worth more than one that
//! ends: it serves the snapshot it has read, is nobody's voter and holds no lease, and goes on by itself once the disk takes writes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_cluster::Storage;
use tidegate_telemetry::metrics::Registry;
use tokio::time::{Instant, sleep};

use crate::{limits::Desk, node::NodeError};

/// Between attempts. A node is to be back ten seconds after its disk is.
const PAUSE: Duration = Duration::from_secs(1);
/// The same reason is told again after so long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Why the disk is not open yet, for health checks and metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening(Arc<Mutex<Option<String>>>);

impl Opening {
    /// The reason of the last attempt that failed; `None` before the first, and when it is open.
    pub(crate) fn obstacle(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of a disk that has not been tried; metrics say when there is an obstacle.
    pub(crate) fn new(registry: &Registry) -> Self {
        let this = Self::default();
        let seen = this.clone();
        registry.collector(move |encoder| {
            let is_so = f64::from(u8::from(seen.obstacle().is_some()));
            let help = "1 while the node serves the snapshot on disk alone, because the disk takes no writes or cannot be read";
            encoder.gauge("disk_refused", help, &[], is_so);
        });
        this
    }

    /// Opens the disk. With `is_patient` it is tried again for as long as it takes.
    ///
    /// # Errors
    /// Without patience, that of the first attempt.
    pub(crate) async fn open(
        &self,
        options: &tidegate_cluster::Options,
        limits: &Arc<Desk>,
        is_patient: bool,
    ) -> Result<Storage, NodeError> {
        let mut told = Instant::now();
        loop {
            let error = match attempt(options, limits).await {
                Ok(storage) => {
                    if self.tell(None).is_some() {
                        tracing::info!("the disk is open; the node takes part again");
                    }
                    return Ok(storage);
                }
                Err(error) if is_patient => error,
                Err(error) => return Err(error),
            };
            let reason = error.to_string();
            if self.tell(Some(reason.clone())).as_ref() != Some(&reason) || told.elapsed() > TELL_AGAIN {
                tracing::error!(
                    reason,
                    "the disk cannot be used: this node serves the snapshot it has read, and takes no part in the cluster until it can"
                );
                told = Instant::now();
            }
            sleep(PAUSE).await;
        }
    }

    /// Says that the disk will not be opened before somebody has looked at it. Never returns: what the node serves, it serves on.
    pub(crate) async fn stay_closed<T>(&self, error: &tidegate_cluster::Error) -> T {
        tracing::error!(
            %error,
            "what is on disk cannot be used: this node serves the snapshot it has read, and takes no part in the cluster"
        );
        self.tell(Some(error.to_string()));
        std::future::pending().await
    }

    /// Notes an obstacle; returns the one before.
    fn tell(&self, obstacle: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), obstacle)
    }
}

async fn attempt(options: &tidegate_cluster::Options, limits: &Arc<Desk>) -> Result<Storage, NodeError> {
    let (desk, path) = (limits.clone(), options.data_dir.clone());
    let counted = tokio::task::spawn_blocking(move || desk.count_life()).await;
    let counted = counted.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    counted.map_err(|reason| NodeError::File { path, reason })?;
    Ok(Storage::open(options).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(data_dir: std::path::PathBuf) -> tidegate_cluster::Options {
        tidegate_cluster::Options {
            cluster_name: "c".into(),
            node: 1,
            region: "r".into(),
            az: "a".into(),
            data_dir,
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: String::new(),
            profile: Default::default(),
            tuning: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_disk_is_awaited_only_with_patience() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        // Nothing can be made below a file, whoever asks.
        std::fs::write(&data, b"in the way").unwrap();
        let (opening, desk, options) = (Opening::default(), Desk::new(1, "r", &data), options(data.clone()));
        assert!(opening.open(&options, &desk, false).await.is_err());
        assert_eq!(opening.obstacle(), None);
        let (awaiting, watched) = (opening.open(&options, &desk, true), opening.clone());
        let repair = async {
            while watched.obstacle().is_none() {
                tokio::task::yield_now().await;
            }
            std::fs::remove_file(&data).unwrap();
            std::fs::create_dir(&data).unwrap();
        };
        let (opened, ()) = tokio::join!(awaiting, repair);
        assert!(opened.is_ok() && opening.obstacle().is_none());
        assert!(data.join("incarnation").exists(), "the life has a number before anything is opened");
    }
}
