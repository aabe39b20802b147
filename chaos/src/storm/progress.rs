//! What is going on, for people who watch: one line for each event on standard error, in colour on a terminal.

use std::io::IsTerminal;

/// Says an event of the run.
pub(crate) fn say(at_us: u64, text: &str) {
    let at_s = at_us as f64 / 1e6;
    match std::io::stderr().is_terminal() {
        true => eprintln!("\r\x1b[2K\x1b[36m{at_s:>7.2} s\x1b[0m  {text}"),
        false => eprintln!("{at_s:>7.2} s  {text}"),
    }
}

/// Shows figures of the moment at the bottom of a terminal; nothing elsewhere.
pub(crate) fn show(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2K{text}");
    }
}
