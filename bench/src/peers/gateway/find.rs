//! Looks for the programs: beside this one, in the folder that `bench/setup` fills, in `PATH`. Installs nothing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::peers::{
    gateway::Kind,
    limits::{POLL, VERSION},
};

/// Where to look.
pub(crate) struct Search {
    /// Folder of this program.
    pub(crate) beside: PathBuf,
    /// The `tidegate` binary, when a person named it.
    pub(crate) tidegate: Option<PathBuf>,
    /// Folders of `PATH`.
    pub(crate) path: Vec<PathBuf>,
}

/// A gateway that is there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The program.
    pub(crate) program: PathBuf,
    /// What it says its version is, in one line.
    pub(crate) version: String,
}

/// A gateway that is not there, and what would bring it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not here; {remedy}")]
pub(crate) struct Absent {
    what: &'static str,
    remedy: String,
}

const SETUP: &str = "`bench/setup` installs it";

impl Search {
    /// Looks beside the running program, below its target directory, and in `PATH`.
    pub(crate) fn new(tidegate: Option<PathBuf>) -> std::io::Result<Self> {
        let own = std::env::current_exe()?;
        let beside = own.parent().map(Path::to_owned).unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian keeps daemons where only the administrator's PATH reaches.
        let daemons = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let path = std::env::split_paths(&path).chain(daemons).collect();
        Ok(Self { beside, tidegate, path })
    }

    /// Finds a gateway's program and asks for its version.
    pub(crate) fn find(&self, kind: Kind) -> Result<Found, Absent> {
        let program = self.program(kind)?;
        let question: &[&str] = match kind {
            Kind::Floor | Kind::Tidegate | Kind::TidegateBare | Kind::Pingora | Kind::Envoy => &["--version"],
            Kind::Nginx | Kind::Haproxy => &["-v"],
            Kind::Traefik | Kind::Caddy => &["version"],
            Kind::Varnish => &["-V"],
        };
        let version = version(&program, question);
        Ok(Found { program, version })
    }

    fn program(&self, kind: Kind) -> Result<PathBuf, Absent> {
        // The target directory is above the profile's folder.
        let target = self.beside.parent().unwrap_or(&self.beside);
        let tools = target.join("peers/venv/bin");
        let pingora = target.join("peers/pingora/release/pingora-peer");
        let (what, mut places) = match kind {
            Kind::Floor => return std::env::current_exe().map_err(|e| absent("bench", e.to_string())),
            Kind::Tidegate | Kind::TidegateBare => return self.tidegate(target),
            Kind::Pingora => ("pingora", vec![pingora]),
            Kind::Nginx => ("nginx", vec![]),
            Kind::Haproxy => ("haproxy", vec![]),
            Kind::Envoy => ("envoy", vec![tools.join("envoy")]),
            Kind::Traefik => ("traefik", vec![tools.join("traefik")]),
            Kind::Caddy => ("caddy", vec![tools.join("caddy")]),
            Kind::Varnish => ("varnishd", vec![]),
        };
        if kind != Kind::Pingora {
            places.extend(self.path.iter().map(|folder| folder.join(what)));
        }
        places.into_iter().find(|place| place.is_file()).ok_or_else(|| absent(what, SETUP.into()))
    }

    /// The binary a person named; else the one for measuring; else none, as another build would measure something else.
    fn tidegate(&self, target: &Path) -> Result<PathBuf, Absent> {
        let place = self.tidegate.clone().unwrap_or_else(|| target.join("dist/tidegate"));
        let remedy = "build it with `cargo build --profile dist -p tidegate-node`, or pass --tidegate PATH";
        match place.is_file() {
            true => Ok(place),
            false => Err(absent("tidegate", format!("looked for {}; {remedy}", place.display()))),
        }
    }
}

fn absent(what: &'static str, remedy: String) -> Absent {
    Absent { what, remedy }
}

/// The first line that names a number; "unknown version" when the program does not say in time.
fn version(program: &Path, question: &[&str]) -> String {
    let unknown = || "unknown version".to_owned();
    let started = Command::new(program)
        .args(question)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else { return unknown() };
    let deadline = Instant::now() + VERSION;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return unknown();
        }
        std::thread::sleep(POLL);
    }
    let Ok(output) = child.wait_with_output() else { return unknown() };
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    // Some say under which path they were called, which is of no interest anywhere else.
    let text = text.replace(&*program.to_string_lossy(), &file_name(program));
    let line = text.lines().map(str::trim).find(|line| line.contains(|c: char| c.is_ascii_digit()));
    line.map_or_else(unknown, |line| line.chars().take(80).collect())
}

fn file_name(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_says_how_to_get_it() {
        let search = Search { beside: "none/release".into(), tidegate: None, path: vec![] };
        let text = |kind| search.find(kind).unwrap_err().to_string();
        assert_eq!(text(Kind::Nginx), "nginx is not here; `bench/setup` installs it");
        assert!(text(Kind::Tidegate).contains("cargo build --profile dist -p tidegate-node"));
        assert!(text(Kind::Tidegate).contains("none/dist/tidegate"));
    }

    #[test]
    fn a_version_is_one_line() {
        assert_eq!(version(Path::new("/bin/sh"), &["-c", "echo hello; echo v1.2; echo 3"]), "v1.2");
        assert_eq!(version(Path::new("/bin/sh"), &["-c", "echo $0 version: 3"]), "sh version: 3");
        assert_eq!(version(Path::new("/bin/sh"), &["-c", "echo nothing"]), "unknown version");
        assert_eq!(version(Path::new("/nowhere"), &[]), "unknown version");
    }
}
