//! `bench`: measures Tidegate. Exit status: 0 when every bound holds, 1 when one is missed.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tidegate_bench::{micro, peers, ratio, sampler::Effort, table};

/// The allocator of the `tidegate` binary, so that figures are comparable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Tidegate
#[derive(Parser)]
#[command(name = "bench", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Single operations: routing, applying, framing, compiling, swapping
    Micro(MicroArguments),
    /// Which share of requests the cache's store answers, beside an LRU: traces by Zipf's law, with a scan, and in turn
    CacheRatio,
    /// Tidegate against nginx, HAProxy, Pingora, Envoy, Traefik, Caddy and Varnish, those of them that are here
    ///
    /// Installs nothing; `bench/setup` gets the peers. The figure is the gateway's processor time per request; all gateways
    /// run on one processor, clients and origin on another. Exit status 1 when a gate is missed.
    Peers(peers::Arguments),
    /// Clients and origin, driven by orders on standard input
    #[command(hide = true)]
    Load {
        #[arg(long)]
        processor: Option<usize>,
        #[arg(long, allow_negative_numbers = true)]
        nice: Option<i32>,
        #[arg(long)]
        folder: PathBuf,
    },
    /// A proxy that copies bytes
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        proxy: SocketAddr,
        #[arg(long)]
        local: SocketAddr,
        #[arg(long)]
        origin: SocketAddr,
    },
    /// Runs a program until standard input ends
    #[command(hide = true)]
    Hold {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        processor: usize,
        #[arg(long, allow_negative_numbers = true)]
        nice: Option<i32>,
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

#[derive(clap::Args)]
struct MicroArguments {
    /// Measure each case for a fraction of a second
    #[arg(long)]
    quick: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Only cases whose `group/name` contains this
    #[arg(default_value = "")]
    filter: String,
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Micro(arguments) => run_micro(&arguments),
        Verb::CacheRatio => {
            let rows = ratio::measure(ratio::Scale::FULL, |row| eprintln!("measured {row:?}"));
            println!("{}", ratio::text(&rows));
            ExitCode::SUCCESS
        }
        Verb::Peers(arguments) => peers::run(&arguments),
        Verb::Load { processor, nice, folder } => peers::load(processor, nice, &folder),
        Verb::Floor { proxy, local, origin } => peers::floor(proxy, local, origin),
        Verb::Hold { folder, processor, nice, command } => {
            peers::hold(&folder, peers::Place { processor, nice }, &command)
        }
    }
}

fn run_micro(arguments: &MicroArguments) -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build; figures mean something only with --release");
    }
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let rows =
        micro::measure(effort, &arguments.filter, |row| eprintln!("measured {}/{}", row.group, row.name));
    let json = || serde_json::to_string_pretty(&rows).unwrap_or_default();
    println!("{}", if arguments.json { json() } else { table::text(&rows) });
    ExitCode::from(u8::from(rows.iter().any(|row| row.kept == Some(false))))
}
