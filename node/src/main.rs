//! The binary: command line, allocator, runtime. What happens is decided elsewhere.

mod admin;
mod args;
mod boots;
mod caches;
mod dev;
mod enroll;
mod founding;
mod inbox;
mod limits;
mod members;
mod node;
mod opening;
mod options;
mod publish;
mod recover;
mod replica;
mod resting;
mod rollout;
mod services;
mod shutdown;
mod store;
mod upstreams;
mod vitals;

use std::process::ExitCode;

use clap::Parser;

/// One allocator for the whole process: many small short-lived buffers on many threads are its case.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for Raft, QUIC and the control plane; the data plane has its own, one per shard.
const RUNTIME_THREADS: usize = 2;

fn main() -> ExitCode {
    let args = args::Args::parse();
    tidegate_telemetry::panics::install();
    // With huge pages each connection, thread and cache costs what it touches, rounded up to 2 MiB: twice the memory at rest.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        eprintln!("tidegate: transparent huge pages stay on: {error}");
    }
    // Both TLS users name the provider themselves; installing it makes a third one fail loudly instead of at first use.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("tidegate: another TLS provider is already installed");
        return ExitCode::FAILURE;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tidegate: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(args.run()) {
        Ok(text) => {
            if !text.is_empty() {
                println!("{text}");
            }
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("tidegate: {reason}");
            ExitCode::FAILURE
        }
    }
}
