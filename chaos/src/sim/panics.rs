//! Panics of tasks. Each ends its task alone, as in a node, so a run does not see them by itself; they are kept here and held against it.

use std::{cell::RefCell, sync::Once};

/// openraft 0.10.0-alpha.37, `RaftInner::join_core_task`: whoever waits for the end of a core and is dropped leaves nothing for the next one to
/// wait for. The core has ended by then, so the task that panics had nothing to serve any more.
const KNOWN: &str = "RaftCore should have already quit";

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Forgets what this thread had, and notes its panics from now on.
pub(crate) fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
        }));
    });
    PANICS.take();
}

/// The first panic on this thread since then that is not a known one of somebody else's.
pub(crate) fn first() -> Option<String> {
    PANICS.take().into_iter().find(|text| !text.contains(KNOWN))
}

#[cfg(test)]
mod tests {
    use tidegate_cluster_sim::sim;

    use super::*;

    #[test]
    fn a_panic_of_a_task_is_seen_unless_it_is_known() {
        for (text, is_seen) in [("a defect", true), (KNOWN, false)] {
            watch();
            sim::block_on(7, async move {
                let _ended = sim::spawn_scoped(async move { panic!("{text}") });
                sim::sleep(std::time::Duration::from_millis(1)).await;
            });
            assert_eq!(first().is_some(), is_seen, "{text}");
            assert_eq!(first(), None, "it is told once");
        }
    }
}
