//! A process's hold on the folder. Owns that two processes never write into one, and that nothing is taken from files of which the
//! newest parts may never have reached the disk: those of a machine that lost power.

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::Shared;

/// How long the process before may take to end.
const LOCK_TIME: Duration = Duration::from_secs(20);
const LOCK_EVERY: Duration = Duration::from_millis(20);
const CLOSED: &str = "closed";

pub(super) struct Session {
    /// Held while it is open.
    _lock: File,
}

impl Session {
    /// Takes the folder over with what is trustworthy in it; `None`, with a line in the log, if that does not work.
    pub(super) fn begin(shared: &Shared) -> Option<Self> {
        let begin = || -> io::Result<Self> {
            let folder = shared.shelf.folder();
            let lock = lock(&folder.join("lock"))?;
            shared.shelf.take_over(&shared.keys)?;
            let said = std::fs::read_to_string(folder.join("state")).unwrap_or_default();
            let boot = boot();
            if said != CLOSED && boot.as_deref() != Some(said.as_str()) {
                while shared.shelf.oldest().is_some() {
                    shared.shelf.drop_oldest();
                }
            }
            note(folder, boot.as_deref().unwrap_or_default())?;
            shared.shelf.make_room(0);
            Ok(Self { _lock: lock })
        };
        begin().inspect_err(|error| tracing::error!(%error, "answers are not kept on disk")).ok()
    }

    /// Notes that all was written.
    pub(super) fn end(self, shared: &Shared) {
        let end = || -> io::Result<()> {
            for segment in shared.shelf.newest_first() {
                segment.file.sync_data()?;
            }
            note(shared.shelf.folder(), CLOSED)
        };
        if let Err(error) = end() {
            tracing::warn!(%error, "answers on disk will not be found after a restart of the machine");
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let until = Instant::now() + LOCK_TIME;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOCK_EVERY),
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process has the folder")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Names this run of the machine; what one run wrote to files is seen by all later processes of it.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("boot {}", id.trim()))
}

fn note(folder: &Path, state: &str) -> io::Result<()> {
    let partial = folder.join("state.partial");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
    file.write_all(state.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, folder.join("state"))?;
    File::open(folder)?.sync_all()
}
