//! When the process shall stop: a signal, the end of standard input in a development region, or the end of a service.

use std::{io::Read, sync::Arc};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Asks everything to stop, once.
#[derive(Clone)]
pub(crate) struct Shutdown {
    asked: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// Not asked yet.
    pub(crate) fn new() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks.
    pub(crate) fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Resolves once asked.
    pub(crate) fn asked(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut asked = self.asked.subscribe();
        async move {
            // The sender lives as long as any clone of this; its end means the process ends too.
            let _ = asked.wait_for(|asked| *asked).await;
        }
    }

    /// Asks on SIGINT and SIGTERM, and, when `stdin` is set, at the end of standard input.
    pub(crate) fn listen(&self, stdin: bool) -> std::io::Result<()> {
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let (mut received, this) = (signal(kind)?, self.clone());
            tokio::spawn(async move {
                received.recv().await;
                this.ask();
            });
        }
        if stdin {
            let this = self.clone();
            // A thread, because a blocked read of standard input would hold up the end of the runtime.
            std::thread::spawn(move || {
                let mut sink = [0; 64];
                while std::io::stdin().read(&mut sink).is_ok_and(|bytes| bytes > 0) {}
                this.ask();
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_hears_it_once_and_later() {
        let shutdown = Shutdown::new();
        let (before, other) = (shutdown.asked(), shutdown.clone());
        other.ask();
        before.await;
        shutdown.asked().await;
    }
}
