//! The command line: one verb per thing a person does.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tidegate_cli::{
    CacheCommand, CertificateCommand, Client, ClusterCommand, ConnectionArgs, Format, LimitsCommand,
    RolloutCommand, UpstreamsArgs, ZonalShiftCommand,
};

use crate::{
    dev::{self, DevArgs},
    founding, node,
    options::NodeOptions,
    recover,
};

/// An API gateway cluster that you run yourself and drive with the tools you have for Amazon API Gateway
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How answers are printed
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a whole region on this machine, one process per availability zone, with a sample API
    Dev(DevArgs),
    /// Print `export` lines that point the AWS CLI and SDKs at a development region
    Env,
    /// Run one node
    Node {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Look at the cluster and change its members
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Store, list and delete the certificates of the data plane
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Look at rate limits and quotas while they work
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Move traffic and leaders off an availability zone for a time
    #[command(subcommand)]
    ZonalShift(ZonalShiftCommand),
    /// Look at new versions on their way from availability zone to availability zone, and end it
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Look at the targets that a node calls: their zones, their health, what calls met there
    Upstreams(UpstreamsArgs),
    /// Look at stored answers and take some out
    #[command(subcommand)]
    Cache(CacheCommand),
}

#[derive(Debug, Subcommand)]
enum ClusterVerb {
    #[command(flatten)]
    Client(ClusterCommand),
    /// Give this machine's node an identity with a one-time token; `tidegate node` then starts it
    Join {
        /// Configuration file of the node
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// What `tidegate cluster token` printed
        #[arg(long)]
        token: String,
    },
    /// Make this machine's node, which must not run, the only member of its cluster, after the majority was lost for good
    Recover {
        /// Configuration file of the node
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Do it; otherwise what would be done is said
        #[arg(long)]
        yes: bool,
    },
}

impl Args {
    /// Runs the verb; the text goes to standard output, an error to standard error.
    pub(crate) async fn run(self) -> Result<String, String> {
        match self.verb {
            Verb::Dev(args) => {
                dev::run(&args, &self.connection, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Env => {
                let endpoint = self.connection.resolve().map_err(|e| e.to_string())?;
                Ok(endpoint.exports().trim_end().to_owned())
            }
            Verb::Node { config } => {
                let options = NodeOptions::load(&config).map_err(|e| e.to_string())?;
                node::run(options).await.map(|()| String::new()).map_err(|e| e.to_string())
            }
            Verb::Cluster(ClusterVerb::Join { config, token }) => {
                let mut options = NodeOptions::load(&config).map_err(|e| e.to_string())?;
                options.cluster.join_token = Some(token);
                let node = founding::join(&options).await.map_err(|e| e.to_string())?;
                Ok(format!(
                    "node {node} has joined; start it with `tidegate node --config {}`",
                    config.display()
                ))
            }
            Verb::Cluster(ClusterVerb::Recover { config, yes }) => {
                let options = NodeOptions::load(&config).map_err(|e| e.to_string())?;
                recover::run(&options, yes, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Certificate(command) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                command.run(&client, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Limits(command) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                command.run(&client, self.output).await.map_err(|e| e.to_string())
            }
            Verb::ZonalShift(command) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                command.run(&client, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Rollout(command) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                command.run(&client, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Upstreams(args) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                args.run(&client, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Cache(command) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                command.run(&client, self.output).await.map_err(|e| e.to_string())
            }
            Verb::Cluster(ClusterVerb::Client(command)) => {
                let client = Client::new(self.connection.resolve().map_err(|e| e.to_string())?);
                command.run(&client, self.output).await.map_err(|e| e.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_consistent() {
        Args::command().debug_assert();
    }
}
