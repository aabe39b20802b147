//! What a panic ends. A defect that the work of one request, one connection or one stage meets ends that work; anywhere else a panic ends
//! the process, because what it left behind can no longer be trusted and a supervisor starts a fresh one.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    pin::pin,
    process::abort,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

static CONTAINED: AtomicU64 = AtomicU64::new(0);

/// Panics that ended only the work that met them, since the process started.
pub fn contained_count() -> u64 {
    CONTAINED.load(Ordering::Relaxed)
}

/// Makes panics end the process except in [`contained`] work and on threads of [`contain_thread`]; each is said in the log.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            print(info);
            judge(info);
        }));
    });
}

fn judge(info: &PanicHookInfo<'_>) {
    // A thread that is ending has no such variable any more.
    let is_contained = IS_CONTAINED.try_with(Cell::get).unwrap_or(false);
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    if is_contained {
        CONTAINED.fetch_add(1, Ordering::Relaxed);
        tracing::error!(place, "a defect ended one piece of work; please report it");
    } else {
        tracing::error!(place, "a defect ends this process; please report it");
        abort();
    }
}

/// Runs `work`; a panic in it is for the caller to catch.
pub fn contained<T>(work: impl FnOnce() -> T) -> T {
    let _before = Restore(IS_CONTAINED.replace(true));
    work()
}

/// Everything on this thread is work whose panics are caught, by the runtime or by who runs it.
pub fn contain_thread() {
    IS_CONTAINED.set(true);
}

/// Runs a future whose panics are contained; `None` when it met one.
pub async fn caught<F: Future>(work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // What the work leaves behind is dropped with it.
        match catch_unwind(AssertUnwindSafe(|| contained(|| work.as_mut().poll(cx)))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        IS_CONTAINED.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Set for the process that is to end.
    const VICTIM: &str = "TIDEGATE_TEST_PANICS";

    #[test]
    fn contained_work_ends_alone() {
        install();
        let before = contained_count();
        assert!(catch_unwind(|| contained(|| panic!("on purpose"))).is_err());
        assert_eq!(contained_count(), before + 1);
        assert!(!IS_CONTAINED.get(), "what comes after is not contained");
        let caught = std::thread::spawn(|| {
            contain_thread();
            panic!("on purpose");
        });
        assert!(caught.join().is_err());
        assert_eq!(contained_count(), before + 2);
    }

    #[tokio::test]
    async fn a_future_that_panics_ends_alone() {
        install();
        assert_eq!(caught(async { 7 }).await, Some(7));
        let late = async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        assert_eq!(caught::<_>(late).await, None::<()>);
    }

    #[test]
    fn other_panics_end_the_process() {
        let name = "panics::tests::other_panics_end_the_process";
        if std::env::var(VICTIM).is_ok() {
            install();
            let _caught = catch_unwind(|| panic!("on purpose"));
            return;
        }
        let own = std::env::current_exe().unwrap();
        let ended =
            Command::new(own).args([name, "--exact", "--nocapture"]).env(VICTIM, "1").output().unwrap();
        assert!(!ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }
}
