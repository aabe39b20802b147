//! The kernel's list of ready sockets, level-triggered.

use std::{io, os::fd::AsFd, os::fd::OwnedFd, time::Duration};

use rustix::{
    event::{Timespec, epoll},
    time::Nsecs,
};

use crate::peers::limits::EVENTS;

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes to read.
    Read,
    /// Bytes to read, and room to write.
    Both,
}

/// A ready socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// As given when the socket was added.
    pub(crate) token: u64,
    /// There is room to write.
    pub(crate) writable: bool,
    /// There is something to read: bytes, an end or an error.
    pub(crate) readable: bool,
}

/// Watches sockets.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    /// Watches a socket until it is closed.
    pub(crate) fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), flags(interest))?)
    }

    /// Watches it for something else.
    pub(crate) fn change(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, epoll::EventData::new_u64(token), flags(interest))?)
    }

    /// Waits at most so long, without end when `None`, and appends what is ready.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: Nsecs::from(t.subsec_nanos()),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| {
            // The kernel packs the structure, so the fields are copied out before they are looked at.
            let (flags, data) = (event.flags, event.data);
            let failed = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
            Ready {
                token: data.u64(),
                writable: flags.contains(epoll::EventFlags::OUT),
                readable: failed || flags.contains(epoll::EventFlags::IN),
            }
        }));
        Ok(())
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    match interest {
        Interest::Read => epoll::EventFlags::IN,
        Interest::Both => epoll::EventFlags::IN | epoll::EventFlags::OUT,
    }
}
