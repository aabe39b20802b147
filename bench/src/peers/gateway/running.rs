//! A gateway that runs: started under a holder, ready when all its doors are open.

use std::{
    fs, io,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::peers::{
    gateway::{Door, Found, Kind, Plan, Port, Route, Site, provision, tidegate},
    hold::{Held, Holding, Place},
    limits::{GATEWAY_START, POLL, PROBE},
    order::Target,
    probe, processes,
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
    /// It did not serve.
    #[error("did not serve {door} within {} s: {seen}; it said:\n{said}", GATEWAY_START.as_secs())]
    Closed {
        /// Address and path.
        door: String,
        /// The last answer.
        seen: String,
        /// End of its output.
        said: String,
    },
    /// It runs, but its API could not be set up.
    #[error("{0}")]
    Provision(#[from] provision::ProvisionError),
}

/// A running gateway. Dropping it stops it.
pub(crate) struct Running {
    /// Which.
    pub(crate) kind: Kind,
    held: Held,
    doors: Vec<Door>,
    folder: PathBuf,
}

impl Running {
    /// Writes the configuration, starts the program in its place and waits until it is ready.
    pub(crate) fn start(kind: Kind, mut site: Site<'_>, place: Place) -> Result<Self, GatewayError> {
        let folder = site.folder.to_owned();
        let Plan { arguments, environment, doors, provision } = kind.plan(&mut site)?;
        let Found { program, .. } = site.found;
        let holding =
            Holding { program, arguments: &arguments, environment: &environment, folder: &folder, place };
        let held = Held::start(&holding).map_err(GatewayError::Start)?;
        let mut running = Self { kind, held, doors, folder };
        running.await_doors()?;
        if let Some(provision) = provision {
            running.doors.extend(provision::carry_out(&provision)?);
            running.await_doors()?;
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

    /// Waits until every plain door answers 200 and every other one is open.
    fn await_doors(&self) -> Result<(), GatewayError> {
        let deadline = Instant::now() + GATEWAY_START;
        for door in &self.doors {
            let target = door.target();
            while let Err(seen) = look(door) {
                if !self.is_running() {
                    return Err(GatewayError::Ended(said(&self.folder)));
                }
                if Instant::now() > deadline {
                    let door = format!("{}{}", target.address, target.path);
                    return Err(GatewayError::Closed { door, seen, said: said(&self.folder) });
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }
}

/// What is wrong with a door.
fn look(door: &Door) -> Result<(), String> {
    if door.port() != Port::Http1 {
        let open = TcpStream::connect_timeout(&door.target().address, PROBE);
        return open.map(drop).map_err(|error| error.to_string());
    }
    match probe::status(door.target()) {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The end of what a gateway wrote.
fn said(folder: &Path) -> String {
    let bytes = fs::read(folder.join("output.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_BYTES)..]).into_owned()
}
