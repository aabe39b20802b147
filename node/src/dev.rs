//! `tidegate dev`: a whole region on one machine, one real node process per availability zone, or several.
//!
//! The supervisor plans ports and folders, starts the same binary with `tidegate node --config FILE`, stands in for the
//! region's load balancer, imports a sample API and takes commands over a Unix socket. It never reaches into a node:
//! it uses the public API, signals and configuration files only.

mod balancer;
mod certificate;
mod child;
mod command;
mod layout;
mod prepare;
mod sample;
mod settle;
mod supervisor;
mod upstream;

use std::path::PathBuf;

use tidegate_cli::{ConnectionArgs, Format};

/// Flags of `tidegate dev`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DevArgs {
    /// Availability zones per region
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) azs: u8,
    /// Nodes per availability zone; those of one zone share what they cache
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) nodes_per_az: u8,
    /// Regions
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) regions: u8,
    /// Port of the control plane; the nodes take the ports after it
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u16).range(1024..=64_000))]
    pub(crate) port: u16,
    /// Port of the data plane; the nodes take the ports after it
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1024..=64_000))]
    pub(crate) gateway_port: u16,
    /// Addresses under which the nodes reach each other, one per node in order, where something forwards the traffic
    /// between them; their own addresses when absent
    #[arg(long, value_name = "ADDRESS,...", value_delimiter = ',')]
    pub(crate) advertise: Vec<std::net::SocketAddr>,
    /// Delete the data directory first
    #[arg(long)]
    pub(crate) reset: bool,
    #[command(subcommand)]
    pub(crate) verb: Option<DevVerb>,
}

/// What can be asked of a running development region.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum DevVerb {
    /// Kill (SIGKILL) every node of an availability zone
    StopAz {
        /// Availability zone, for example local-1a
        az: String,
    },
    /// Start the nodes of an availability zone again and wait until they are ready
    StartAz {
        /// Availability zone, for example local-1a
        az: String,
    },
    /// Show the processes and the cluster
    Status,
    /// Remove every API, the sample included
    Reset,
}

/// Why `tidegate dev` stopped or a verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    #[error(transparent)]
    Port(#[from] layout::PortTaken),
    #[error(transparent)]
    Client(#[from] tidegate_cli::Error),
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: std::io::Error },
    #[error(
        "a development region already runs in {0}; stop it, or give this one its own --data, --port and --gateway-port"
    )]
    Running(PathBuf),
    #[error("no development region runs in {0}; start one with `tidegate dev`")]
    NotRunning(PathBuf),
    #[error("{name} did not become {state} within {seconds} s; see {log}")]
    Slow { name: String, state: &'static str, seconds: u64, log: PathBuf },
    #[error("{name} stopped by itself ({status}); see {log}")]
    Exited { name: String, status: String, log: PathBuf },
    #[error("{0}")]
    Refused(String),
}

/// Runs `tidegate dev` or one of its verbs; the string goes to standard output.
pub(crate) async fn run(
    args: &DevArgs,
    connection: &ConnectionArgs,
    format: Format,
) -> Result<String, DevError> {
    match &args.verb {
        None => supervisor::run(args, &connection.data).await.map(|()| String::new()),
        Some(verb) => command::run(verb, connection, format).await,
    }
}
