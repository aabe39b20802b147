//! A laboratory: a network namespace for each availability zone and for the clients of each region, and one program that is the
//! whole network between them. Needs root and `/dev/net/tun`; leaves nothing behind when this process ends.

pub(crate) mod cost;
mod emulator;
pub(crate) mod kernel;
pub(crate) mod site;
mod space;
pub(crate) mod table;

use std::{io, net::Ipv4Addr, os::fd::OwnedFd};

pub(crate) use emulator::Carried;
use emulator::Emulator;
pub(crate) use space::Space;

use crate::limits::TOOL_NICENESS;
use site::{Extent, Ground, Site};
use table::{Distances, Table};

/// A running laboratory.
pub(crate) struct Lab {
    /// What it consists of.
    pub(crate) extent: Extent,
    /// What it stands on.
    pub(crate) ground: Ground,
    spaces: Vec<Space>,
    emulator: Option<Emulator>,
    healthy: Table,
}

impl Lab {
    /// Makes the namespaces and starts the network between them; `seed` decides what is left to chance on the lines.
    ///
    /// # Errors
    /// Namespaces without root, or without `/dev/net/tun`.
    pub(crate) fn open(extent: Extent, ground: Ground, distances: Distances, seed: u64) -> io::Result<Self> {
        let open = |site| Space::open(site, ground);
        let opened: Vec<(Space, Option<OwnedFd>)> =
            extent.sites().into_iter().map(open).collect::<io::Result<_>>()?;
        let (spaces, tuns): (Vec<Space>, Vec<Option<OwnedFd>>) = opened.into_iter().unzip();
        let healthy = Table::healthy(extent, distances);
        let tuns: Vec<OwnedFd> = tuns.into_iter().flatten().collect();
        let emulator = match ground {
            Ground::Namespaces => Some(Emulator::start(healthy.clone(), tuns, seed)?),
            Ground::Loopback => None,
        };
        Ok(Self { extent, ground, spaces, emulator, healthy })
    }

    /// Where a site is.
    pub(crate) fn address(&self, site: Site) -> Ipv4Addr {
        site.address(self.ground)
    }

    /// The namespace of a site; the observer's where there is none.
    pub(crate) fn space(&self, site: Site) -> &Space {
        let observer = || &self.spaces[self.spaces.len() - 1];
        self.spaces.iter().find(|space| space.site == site).unwrap_or_else(observer)
    }

    /// Changes the network at once. Lines from and to the observer stay as they are.
    pub(crate) fn change(&self, chosen: impl Fn(Site, Site) -> bool, change: impl Fn(&mut table::Line)) {
        if let Some(emulator) = &self.emulator {
            let chosen = |from, to| is_subject(from, to) && chosen(from, to);
            emulator.change(|table| table.change(chosen, change));
        }
    }

    /// Mends the lines that `chosen` takes.
    pub(crate) fn mend(&self, chosen: impl Fn(Site, Site) -> bool) {
        if let Some(emulator) = &self.emulator {
            emulator.change(|table| table.mend(&self.healthy, chosen));
        }
    }

    /// What the network did so far.
    pub(crate) fn carried(&self) -> Carried {
        self.emulator.as_ref().map(Emulator::carried).unwrap_or_default()
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
