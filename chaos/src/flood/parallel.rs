//! Many runs at once, each on a thread of its own; how far they are is said on standard error.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    sync::mpsc,
    thread,
};

/// Works on all jobs, `threads` at a time; results are in the order of the jobs.
pub(crate) fn in_parallel<J: Sync, R: Send>(
    threads: usize,
    jobs: &[J],
    work: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((at, job)) = next_job(next, jobs) {
                    if send.send((at, work(job))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut results = Vec::with_capacity(jobs.len());
        for result in receive {
            results.push(result);
            show(results.len(), jobs.len());
        }
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    })
}

fn next_job<'j, J>(next: &AtomicUsize, jobs: &'j [J]) -> Option<(usize, &'j J)> {
    let at = next.fetch_add(1, Relaxed);
    jobs.get(at).map(|job| (at, job))
}

/// A terminal sees a number that grows; a file gets a line for each tenth.
fn show(done: usize, all: usize) {
    match (std::io::stderr().is_terminal(), done == all) {
        (true, true) => eprint!("\r\x1b[K"),
        (true, false) => eprint!("\r{done}/{all}\x1b[K"),
        (false, _) if all >= 10 && done * 10 / all > (done - 1) * 10 / all => eprintln!("{done}/{all}"),
        (false, _) => {}
    }
}
