//! A process between this one and `tidegate dev`: when this one ends, in whatever way, its pipe closes and the guard
//! stops the region. A panic that aborts or a SIGKILL runs no destructor, so nothing inside this process could do that.

use std::{
    ffi::OsString,
    io::Read,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::limits::{CHILD_STOP, POLL};

/// Runs `command` until it ends or standard input does, whichever is first.
pub(crate) fn run(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else { return ExitCode::from(2) };
    let mut child = match Command::new(program).args(arguments).stdin(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{}: {error}", program.display());
            return ExitCode::from(2);
        }
    };
    let (sender, closed) = mpsc::channel();
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        while std::io::stdin().read(&mut rest).is_ok_and(|count| count > 0) {}
        let _ = sender.send(());
    });
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) if status.success() => return ExitCode::SUCCESS,
            _ => return ExitCode::FAILURE,
        }
        if closed.recv_timeout(POLL).is_ok() {
            return stop(&mut child);
        }
    }
}

/// SIGTERM, then SIGKILL when that takes too long.
fn stop(child: &mut Child) -> ExitCode {
    let asked = Pid::from_raw(child.id() as i32).map(|pid| kill_process(pid, Signal::TERM));
    let deadline = Instant::now() + CHILD_STOP;
    while asked.is_some() && Instant::now() < deadline {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
    ExitCode::FAILURE
}
