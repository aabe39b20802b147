//! A process between the runner and a gateway: when the runner ends, in whatever way, its pipe closes, and the holder stops
//! the gateway and removes its folder. A SIGKILL or Ctrl-C runs no destructor, so the runner itself could not do that.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::peers::{
    limits::{GATEWAY_STOP, POLL},
    processes, processor,
};

/// A program under a holder. Dropping it stops the program.
pub(crate) struct Held {
    holder: Child,
    leash: Option<ChildStdin>,
    pid: u32,
}

/// What to hold.
pub(crate) struct Holding<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// Its arguments.
    pub(crate) arguments: &'a [OsString],
    /// Its environment beyond that of the runner.
    pub(crate) environment: &'a [(String, OsString)],
    /// Working folder, which also gets the output in `output.log`; removed at the end.
    pub(crate) folder: &'a Path,
    /// Where it runs.
    pub(crate) place: Place,
}

/// Where a program runs, and how readily.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its only processor.
    pub processor: usize,
    /// Its niceness, when not the usual one.
    pub nice: Option<i32>,
}

impl Held {
    /// Starts a program under a holder.
    pub(crate) fn start(holding: &Holding<'_>) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hold").arg("--folder").arg(holding.folder);
        let Place { processor, nice } = holding.place;
        command.arg(format!("--processor={processor}"));
        command.args(nice.map(|nice| format!("--nice={nice}")));
        command.arg("--").arg(holding.program).args(holding.arguments);
        command.envs(holding.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn()?;
        let leash = holder.stdin.take();
        let mut line = String::new();
        if let Some(out) = holder.stdout.take() {
            BufReader::new(out.take(100)).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(pid) => Ok(Self { holder, leash, pid }),
            Err(_) => {
                let _ = holder.wait();
                Err(std::io::Error::other(format!("{} cannot be started", holding.program.display())))
            }
        }
    }

    /// Process id of the program.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.holder.wait();
    }
}

/// The holder's own course: starts the program, says its process id, waits for the end of standard input, stops it.
pub fn run(folder: &Path, place: Place, command: &[OsString]) -> ExitCode {
    match try_run(folder, place, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hold: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(folder: &Path, place: Place, command: &[OsString]) -> std::io::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let usable = processor::usable()?;
    // A Ctrl-C reaches the whole session of the terminal; the holder must outlive it to stop the gateway.
    processor::separate(place.nice)?;
    processor::pin(place.processor)?;
    let output = std::fs::File::create(folder.join("output.log"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    // Holding must not take time from what is held; a failure costs accuracy, not the gateway's end.
    let _ = usable.last().map(|own| processor::pin(*own));
    // When nobody reads this any more, standard input has ended as well, and the program must be stopped all the same.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{}", child.id()).and_then(|()| out.flush());
    let mut rest = [0; 64];
    while std::io::stdin().read(&mut rest).is_ok_and(|count| count > 0) {}
    stop(&mut child);
    // What is still written there belongs to a process that was killed.
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

/// SIGTERM to the program, then SIGKILL to what is left of its tree.
fn stop(child: &mut Child) {
    let tree = processes::tree(child.id());
    signal(child.id(), Signal::TERM);
    let deadline = Instant::now() + GATEWAY_STOP;
    while Instant::now() < deadline && !matches!(child.try_wait(), Ok(Some(_))) {
        std::thread::sleep(POLL);
    }
    for pid in tree.into_iter().filter(|pid| processes::is_running(*pid)) {
        signal(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
