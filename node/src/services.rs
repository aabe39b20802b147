//! The running services of a node: they stop together, and the first failure is the reason the process gives.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::{node::NodeError, shutdown::Shutdown};

/// How long all services together may take to stop after they were asked.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// A set of named tasks.
pub(crate) struct Services {
    shutdown: Shutdown,
    tasks: JoinSet<(&'static str, Ends, Result<(), NodeError>)>,
}

/// What the end of a task means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The node cannot go on without it.
    Never,
    /// Its work is done.
    WhenDone,
}

impl Services {
    /// No task yet.
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, tasks: JoinSet::new() }
    }

    /// Starts a service that runs until shutdown is asked for.
    pub(crate) fn spawn(&mut self, name: &'static str, service: impl Future<Output = Result<(), NodeError>> + Send + 'static) {
        self.tasks.spawn(async move { (name, Ends::Never, service.await) });
    }

    /// Starts work that ends by itself; its failure stops the node.
    pub(crate) fn spawn_once(&mut self, name: &'static str, work: impl Future<Output = Result<(), NodeError>> + Send + 'static) {
        self.tasks.spawn(async move { (name, Ends::WhenDone, work.await) });
    }

    /// Waits until all have ended; asks the others to stop as soon as one ends.
    pub(crate) async fn finish(mut self) -> Result<(), NodeError> {
        let mut result = Ok(());
        let asked = self.shutdown.asked();
        tokio::pin!(asked);
        let mut stopping = false;
        let patience = tokio::time::sleep(Duration::MAX);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                () = &mut asked, if !stopping => {
                    stopping = true;
                    tracing::info!("stopping");
                    patience.as_mut().reset(tokio::time::Instant::now() + STOP_TIMEOUT);
                }
                () = &mut patience, if stopping => {
                    tracing::warn!("services did not stop in time");
                    return result;
                }
                ended = self.tasks.join_next() => {
                    let Some(ended) = ended else { return result };
                    let Ok((name, ends, outcome)) = ended else { continue };
                    if let Err(error) = outcome {
                        tracing::error!(service = name, %error, "service failed");
                        if result.is_ok() {
                            result = Err(error);
                        }
                        self.shutdown.ask();
                    } else if ends == Ends::Never {
                        self.shutdown.ask();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_failure_stops_the_rest_and_is_the_reason() {
        let shutdown = Shutdown::new();
        let mut services = Services::new(shutdown.clone());
        services.spawn_once("done", async { Ok(()) });
        let asked = shutdown.asked();
        services.spawn("steady", async move {
            asked.await;
            Ok(())
        });
        services.spawn_once("broken", async { Err(NodeError::RootSecret) });
        assert!(matches!(services.finish().await, Err(NodeError::RootSecret)));
    }
}
