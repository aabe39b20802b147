//! What is wrong with a disk at the moment. One place for the storm to set it and for the file system to ask.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fuser::Errno;

/// What is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ailment {
    /// Each fsync takes so much longer.
    pub(crate) sync_delay: Duration,
    /// Nothing comes back.
    pub(crate) is_stalled: bool,
    /// Writes and fsync fail with EIO.
    pub(crate) is_broken: bool,
    /// Writes fail with ENOSPC.
    pub(crate) is_full: bool,
}

/// The ailment of a disk, shared.
#[derive(Default)]
pub(super) struct Faults {
    ailment: Mutex<Ailment>,
    changed: Condvar,
}

impl Faults {
    /// Sets what is wrong from now on; requests that hang go on if the disk is not stalled any more.
    pub(super) fn set(&self, ailment: Ailment) {
        *self.lock() = ailment;
        self.changed.notify_all();
    }

    /// Passes when the disk is not stalled.
    pub(super) fn pass(&self) -> Ailment {
        let ailment = self.changed.wait_while(self.lock(), |ailment| ailment.is_stalled);
        *ailment.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether data may be written.
    pub(super) fn write(&self) -> Result<(), Errno> {
        match self.pass() {
            Ailment { is_broken: true, .. } => Err(Errno::EIO),
            Ailment { is_full: true, .. } => Err(Errno::ENOSPC),
            _ => Ok(()),
        }
    }

    /// Whether data may be made durable; takes as long as that takes.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        let ailment = self.pass();
        if !ailment.sync_delay.is_zero() {
            std::thread::sleep(ailment.sync_delay);
        }
        match ailment.is_broken {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ailment> {
        self.ailment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
