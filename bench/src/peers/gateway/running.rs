//! A gateway that runs: started under a holder, ready when all its doors are open.

use std::{
    fs, io,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::peers::{
    gateway::{Door, Found, Kind, Plan, Port, Route, Site, provision, tidegate},
    hold::{Held, Holding},
    limits::{GATEWAY_START, POLL, PROBE},
    order::Target,
    processes,
};

/// Bytes of a gateway's own words that an error repeats.
const LOG_BYTES: usize = 2_000;

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// A configuration file cannot be written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// From the operating system.
        reason: io::Error,
    },
    /// No free port.
    #[error("no port: {0}")]
    Port(io::Error),
    /// The holder could not start it.
    #[error("cannot be started: {0}")]
    Start(io::Error),
    /// It ended by itself.
    #[error("ended before it was ready; it said:\n{0}")]
    Ended(String),
    /// It did not open its doors.
    #[error("did not listen on {address} within {} s; it said:\n{said}", GATEWAY_START.as_secs())]
    Closed {
        /// Where it should listen.
        address: SocketAddr,
        /// End of its output.
        said: String,
    },
    /// It runs, but its API could not be set up.
    #[error("{0}")]
    Provision(#[from] provision::ProvisionError),
}

/// A running gateway. Dropping it stops it.
pub(crate) struct Running {
    held: Held,
    doors: Vec<Door>,
    folder: PathBuf,
}

impl Running {
    /// Writes the configuration, starts the program on a processor and waits until it is ready.
    pub(crate) fn start(kind: Kind, mut site: Site<'_>, processor: usize) -> Result<Self, GatewayError> {
        let folder = site.folder.to_owned();
        let Plan { arguments, environment, doors, provision } = kind.plan(&mut site)?;
        let Found { program, .. } = site.found;
        let holding = Holding {
            program,
            arguments: &arguments,
            environment: &environment,
            folder: &folder,
            processor: Some(processor),
        };
        let held = Held::start(&holding).map_err(GatewayError::Start)?;
        let mut running = Self { held, doors, folder };
        running.await_doors()?;
        if let Some(provision) = provision {
            running.doors.extend(provision::carry_out(&provision)?);
        }
        Ok(running)
    }

    /// First process of its tree.
    pub(crate) fn pid(&self) -> u32 {
        self.held.pid()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&self) -> bool {
        processes::is_running(self.pid())
    }

    /// Where requests of a kind go; `None` when it has no such door.
    pub(crate) fn target(&self, port: Port, route: Route) -> Option<&Target> {
        self.doors.iter().find(|door| door.is(port, route)).map(Door::target)
    }

    /// Empties the access log, which would fill the memory it is kept in.
    pub(crate) fn tidy_up(&self) {
        let log = self.folder.join(tidegate::ACCESS_LOG);
        if let Ok(file) = fs::File::options().write(true).open(log) {
            let _ = file.set_len(0);
        }
    }

    fn await_doors(&self) -> Result<(), GatewayError> {
        let deadline = Instant::now() + GATEWAY_START;
        for address in self.doors.iter().map(|door| door.target().address) {
            while TcpStream::connect_timeout(&address, PROBE).is_err() {
                if !self.is_running() {
                    return Err(GatewayError::Ended(said(&self.folder)));
                }
                if Instant::now() > deadline {
                    return Err(GatewayError::Closed { address, said: said(&self.folder) });
                }
                std::thread::sleep(POLL.max(Duration::from_millis(50)));
            }
        }
        Ok(())
    }
}

/// The end of what a gateway wrote.
fn said(folder: &Path) -> String {
    let bytes = fs::read(folder.join("output.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_BYTES)..]).into_owned()
}
