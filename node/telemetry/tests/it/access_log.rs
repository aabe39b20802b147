//! The writer: lines reach the file, survive rotation and shutdown, and are dropped rather than awaited.

use std::path::Path;
use std::time::{Duration, Instant};

use tidegate_telemetry::access_log::{Destination, Error, Format, Handle, Options, Record, Service};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

fn start(options: Options) -> (Handle, oneshot::Sender<()>, JoinHandle<()>) {
    let service = Service::new(options).unwrap();
    let handle = service.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(service.run(async {
        let _ = stopped.await;
    }));
    (handle, stop, task)
}

fn to_file(path: &Path) -> Options {
    Options { destination: Destination::File(path.to_owned()), flush_interval_ms: 5, ..Options::default() }
}

fn write(handle: &Handle, id: &str) {
    let format = Format::parse("$context.requestId").unwrap();
    handle.write(&format, &Record { request_id: Some(id.as_bytes()), ..Record::default() });
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn lines_reach_the_file_and_shutdown_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (handle, stop, task) = start(to_file(&path));
    write(&handle, "first");
    until("first line is written", || handle.counters().written == 1).await;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let handle = &handle;
            scope.spawn(move || (0..500).for_each(|line| write(handle, &format!("{thread}-{line}"))));
        }
    });
    stop.send(()).unwrap();
    task.await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let counters = handle.counters();
    assert_eq!((lines.len(), counters.written, counters.dropped), (2_001, 2_001, 0));
}

#[tokio::test]
async fn a_moved_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let (handle, stop, task) = start(to_file(&path));
    write(&handle, "before");
    until("first line is written", || handle.counters().written == 1).await;
    std::fs::rename(&path, &moved).unwrap();
    handle.reopen();
    until("the file is back", || path.exists()).await;
    write(&handle, "after");
    stop.send(()).unwrap();
    task.await.unwrap();
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "before\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
}

#[tokio::test]
async fn a_full_buffer_drops_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { slot_bytes_max: 64 * 1024, ..to_file(&folder.path().join("access.log")) };
    let service = Service::new(options).unwrap();
    let handle = service.handle();
    // Nobody empties the buffers, and one thread fills one of them.
    let id = "x".repeat(999);
    for _ in 0..100 {
        write(&handle, &id);
    }
    assert_eq!(handle.counters().dropped, 100 - 65);
    service.run(std::future::ready(())).await;
    assert_eq!(handle.counters().written, 65);
}

#[tokio::test]
async fn a_full_disk_is_counted() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let (handle, stop, task) = start(to_file(full));
    write(&handle, "lost");
    until("the loss is counted", || handle.counters().dropped == 1).await;
    assert!(handle.counters().errors >= 1);
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn options_are_checked() {
    let missing = Path::new("/nonexistent/folder/access.log");
    assert!(matches!(Service::new(to_file(missing)), Err(Error::Open { .. })));
    let broken = Options { slot_bytes_max: 1, ..Options::default() };
    assert!(Service::new(broken).unwrap_err().to_string().contains("slot_bytes_max"));
}
