//! A laboratory: a network namespace for each availability zone and for the clients of each region, and one program that is the
//! whole network between them. Needs root and `/dev/net/tun`; leaves nothing behind when this process ends.

pub(crate) mod cost;
mod emulator;
pub(crate) mod kernel;
pub(crate) mod site;
mod space;
pub(crate) mod table;

use std::{io, os::fd::OwnedFd};

pub(crate) use emulator::{Carried, Emulator};
pub(crate) use space::Space;

use crate::limits::TOOL_NICENESS;
use site::{Extent, Site};
use table::{Distances, Table};

/// A running laboratory.
pub(crate) struct Lab {
    /// What it consists of.
    pub(crate) extent: Extent,
    spaces: Vec<Space>,
    emulator: Emulator,
    healthy: Table,
}

impl Lab {
    /// Makes the namespaces and starts the network between them; `seed` decides what is left to chance on the lines.
    ///
    /// # Errors
    /// Without root, or without `/dev/net/tun`.
    pub(crate) fn open(extent: Extent, distances: Distances, seed: u64) -> io::Result<Self> {
        let opened: Vec<(Space, OwnedFd)> =
            extent.sites().into_iter().map(Space::open).collect::<io::Result<_>>()?;
        let (spaces, tuns) = opened.into_iter().unzip();
        let healthy = Table::healthy(extent, distances);
        let emulator = Emulator::start(healthy.clone(), tuns, seed)?;
        Ok(Self { extent, spaces, emulator, healthy })
    }

    /// The namespace of a site; the observer's where there is none.
    pub(crate) fn space(&self, site: Site) -> &Space {
        let observer = || &self.spaces[self.spaces.len() - 1];
        self.spaces.iter().find(|space| space.site == site).unwrap_or_else(observer)
    }

    /// Changes the network at once. Lines from and to the observer stay as they are.
    pub(crate) fn change(&self, chosen: impl Fn(Site, Site) -> bool, change: impl Fn(&mut table::Line)) {
        self.emulator.change(|table| table.change(|from, to| is_subject(from, to) && chosen(from, to), change));
    }

    /// Mends the lines that `chosen` takes.
    pub(crate) fn mend(&self, chosen: impl Fn(Site, Site) -> bool) {
        self.emulator.change(|table| table.mend(&self.healthy, chosen));
    }

    /// What the network did so far.
    pub(crate) fn carried(&self) -> Carried {
        self.emulator.carried()
    }
}

fn is_subject(from: Site, to: Site) -> bool {
    from != Site::Observer && to != Site::Observer
}

/// Lets the calling thread go before the processes under test: a late network or a late client would look like their fault.
pub(crate) fn prefer_this_thread() {
    let thread = rustix::thread::gettid();
    // Without the right to it, the measured lateness says what that costs.
    let _ = rustix::process::setpriority_process(Some(thread), TOOL_NICENESS);
}
