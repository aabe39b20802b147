//! Ctrl-C and SIGTERM: the first ends the run at the next step, so that everything is cleaned up; the second ends at once, and
//! only the holders clean up.

use std::{
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::signal::unix::{SignalKind, signal};

/// Exit status of a program that was interrupted, as shells use it.
const STATUS: i32 = 130;

/// Whether the person at the terminal has had enough.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for signals from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let asked = interrupt.asked.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(watch(&asked)));
        Ok(interrupt)
    }

    /// Whether a signal came.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn watch(asked: &AtomicBool) {
    let signals = signal(SignalKind::interrupt()).and_then(|a| Ok((a, signal(SignalKind::terminate())?)));
    // Without handlers a signal ends this process at once, which the holders notice.
    let Ok((mut interrupt, mut terminate)) = signals else { return };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if asked.swap(true, Ordering::Relaxed) {
            exit(STATUS);
        }
        eprintln!("stopping; once more ends at once");
    }
}
