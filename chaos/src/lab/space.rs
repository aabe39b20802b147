//! A site's thread and the network namespace it lives in: sockets opened and processes started there belong to the site.

use std::{io, os::fd::OwnedFd, process::Command};

use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

use super::{
    kernel,
    site::{Ground, Site},
};
use crate::limits::{SITE_MTU, SITE_QUEUE};

/// A site's namespace. Its thread runs a runtime until this is dropped; what was started there is killed then.
pub(crate) struct Space {
    /// What it is the network of.
    pub(crate) site: Site,
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Space {
    /// Makes the namespace and its device; packets to other sites are read from the descriptor. On loopback there is neither.
    ///
    /// # Errors
    /// Namespaces without root, or without `/dev/net/tun`.
    pub(super) fn open(site: Site, ground: Ground) -> io::Result<(Self, Option<OwnedFd>)> {
        let (report, opened) = std::sync::mpsc::channel::<io::Result<(Handle, Option<OwnedFd>)>>();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name(format!("site {site}")).spawn(move || {
            let prepared = || -> io::Result<_> {
                let tun = match ground {
                    Ground::Loopback => None,
                    Ground::Namespaces => {
                        kernel::leave_network()?;
                        let tun = kernel::open_tun()?;
                        kernel::bring_up(site.address(ground), SITE_MTU, SITE_QUEUE)?;
                        Some(tun)
                    }
                };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok((runtime, tun))
            };
            // Not in a zone: the processes that are started there would inherit it.
            if !matches!(site, Site::Az { .. }) {
                super::prefer_this_thread();
            }
            match prepared() {
                Ok((runtime, tun)) => {
                    let _ = report.send(Ok((runtime.handle().clone(), tun)));
                    let _ = runtime.block_on(stopped);
                }
                Err(error) => drop(report.send(Err(error))),
            }
        })?;
        let (handle, tun) = opened.recv().map_err(|_| io::Error::other("a site's thread ended"))??;
        Ok((Self { site, handle, _stop: stop }, tun))
    }

    /// Runs a task among the site's own.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(task)
    }

    /// Starts a process in the namespace; it is killed when this process ends, in whatever way.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) async fn start(&self, mut command: Command) -> io::Result<std::process::Child> {
        kernel::die_with_parent(&mut command);
        self.spawn(async move { command.spawn() }).await.map_err(io::Error::other)?
    }
}
