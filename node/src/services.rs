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
    /// Asked to stop when everything else has ended.
    last: Shutdown,
    /// Running tasks that are not last.
    others: usize,
}

/// What the end of a task means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The node cannot go on without it.
    Never,
    /// Its work is done.
    WhenDone,
    /// It was asked to, after all others.
    Last,
}

/// Resolves when a service that stops last shall stop.
pub(crate) type Asked = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Services {
    /// No task yet.
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, tasks: JoinSet::new(), last: Shutdown::new(), others: 0 }
    }

    /// Starts a service that runs until shutdown is asked for.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        service: impl Future<Output = Result<(), NodeError>> + Send + 'static,
    ) {
        self.others += 1;
        self.tasks.spawn(async move { (name, Ends::Never, service.await) });
    }

    /// Starts work that ends by itself; its failure stops the node.
    pub(crate) fn spawn_once(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(), NodeError>> + Send + 'static,
    ) {
        self.others += 1;
        self.tasks.spawn(async move { (name, Ends::WhenDone, work.await) });
    }

    /// Starts a service that serves the others, and so stops after them.
    pub(crate) fn spawn_last<F>(&mut self, name: &'static str, service: impl FnOnce(Asked) -> F)
    where
        F: Future<Output = Result<(), NodeError>> + Send + 'static,
    {
        let service = service(Box::pin(self.last.asked()));
        self.tasks.spawn(async move { (name, Ends::Last, service.await) });
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
                    self.others -= usize::from(ends != Ends::Last);
                    if self.others == 0 {
                        self.last.ask();
                    }
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
