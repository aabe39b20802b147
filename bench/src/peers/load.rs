//! The load process: clients and origin in one thread on one processor, so that the other processor is the gateway's alone.
//!
//! It busy-polls while a run lasts: a gateway then never pays for waking this side up. Orders come in on standard input,
//! answers go out on standard output; when standard input ends, so does the process.

mod client;
mod engine;
mod http2;
mod listen;
mod message;
mod origin;
mod poll;
mod run;
mod tally;
mod transport;

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use serde::Serialize;

pub(crate) use self::{
    engine::Engine,
    listen::listen,
    message::{MessageReader, Side},
    poll::{Interest, Poll, Ready},
};
use crate::peers::{
    limits::{GATEWAY_STOP, ORDER_BYTES_MAX, POLL},
    order::{Answer, Greeting, Order},
    processor,
};

/// Serves orders until standard input ends, and then removes the run's folder once the gateways have left it.
pub fn serve(processor: Option<usize>, nice: Option<i32>, folder: &Path) -> ExitCode {
    let served = try_serve(processor, nice);
    let deadline = Instant::now() + GATEWAY_STOP * 2;
    while has_folders(folder) && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    // The runner removes it too, when it still can.
    let _ = std::fs::remove_dir_all(folder);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_serve(processor: Option<usize>, nice: Option<i32>) -> std::io::Result<()> {
    // A Ctrl-C reaches the whole session of the terminal; the runner ends this process in its own way.
    processor::separate(nice)?;
    if let Some(processor) = processor {
        processor::pin(processor)?;
    }
    let mut engine = Engine::new()?;
    say(&Greeting { origin: engine.origin()? })?;
    let mut orders = BufReader::new(std::io::stdin());
    engine.watch_orders(std::io::stdin())?;
    loop {
        engine.await_order()?;
        let mut line = String::new();
        if orders.by_ref().take(ORDER_BYTES_MAX as u64).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str::<Order>(&line) {
            Ok(order) => engine.perform(&order).map_or_else(Answer::Failed, Answer::Done),
            Err(error) => Answer::Failed(format!("the order is not understood: {error}")),
        };
        say(&answer)?;
    }
}

fn has_folders(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}

fn say(document: &impl Serialize) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(document)?)?;
    out.flush()
}
