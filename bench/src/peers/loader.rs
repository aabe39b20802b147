//! The runner's end of the load process: gives it orders, takes its answers, within a bounded time.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::peers::{
    limits::{ORDER_GRACE, PROBE},
    order::{Answer, Greeting, Order, Outcome},
};

/// The load process. Dropping it ends it.
pub(crate) struct Loader {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    origin: SocketAddr,
}

/// Why there is no load.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoaderError {
    /// It cannot be started.
    #[error("the load process cannot be started: {0}")]
    Start(std::io::Error),
    /// It ended, or hangs.
    #[error("the load process does not answer")]
    Silent,
    /// Its words are not understood.
    #[error("the load process said something else: {0}")]
    Words(serde_json::Error),
}

impl Loader {
    /// Starts the load process on a processor; it removes the run's folder when this process dies.
    pub(crate) fn start(
        processor: Option<usize>,
        nice: Option<i32>,
        folder: &Path,
    ) -> Result<Self, LoaderError> {
        let mut command = Command::new(std::env::current_exe().map_err(LoaderError::Start)?);
        command.arg("load").arg("--folder").arg(folder);
        if let Some(processor) = processor {
            command.arg("--processor").arg(processor.to_string());
        }
        command.args(nice.map(|nice| format!("--nice={nice}")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(LoaderError::Start)?;
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let orders = child.stdin.take();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut loader = Self { child, orders, lines, origin: any };
        let greeting: Greeting = loader.hear(PROBE * 5)?;
        loader.origin = greeting.origin;
        Ok(loader)
    }

    /// Where the origin listens.
    pub(crate) fn origin(&self) -> SocketAddr {
        self.origin
    }

    /// Carries out an order; the inner error is the run's own.
    pub(crate) fn perform(&mut self, order: &Order) -> Result<Result<Outcome, String>, LoaderError> {
        let text = serde_json::to_string(order).map_err(LoaderError::Words)?;
        let orders = self.orders.as_mut().ok_or(LoaderError::Silent)?;
        writeln!(orders, "{text}").and_then(|()| orders.flush()).map_err(|_| LoaderError::Silent)?;
        let own = Duration::from_millis(order.warm_up_ms + order.measure_ms);
        Ok(match self.hear(own + ORDER_GRACE * 3)? {
            Answer::Done(outcome) => Ok(outcome),
            Answer::Failed(reason) => Err(reason),
        })
    }

    fn hear<T: serde::de::DeserializeOwned>(&self, within: Duration) -> Result<T, LoaderError> {
        let line = self.lines.recv_timeout(within).map_err(|_| LoaderError::Silent)?;
        serde_json::from_str(&line).map_err(LoaderError::Words)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
