//! `tidegate cluster …`: look at members and move them.

use std::path::{Path, PathBuf};

use http::Method;
use serde_json::{Value, json};
use tidegate_proto::status::{
    CheckpointRestored, ClusterStatus, JoinTokenIssued, LeaderTransferred, NodeStatus,
};

use crate::{
    Client, Error, Format,
    output::{json as pretty, table},
};

/// Verbs that talk to a running cluster.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ClusterCommand {
    /// Show members, roles, indexes, versions and how many more failures the cluster survives
    Status,
    /// Issue a one-time token with which a new node joins
    Token,
    /// Remove a node for good; refused when the rest would have no quorum
    Remove {
        /// Node id
        node: u64,
        /// Remove even if that loses the quorum
        #[arg(long)]
        force: bool,
    },
    /// Take a node out of service (readiness turns red, leadership moves away), or bring it back
    Drain {
        /// Node id
        node: u64,
        /// Bring the node back into service
        #[arg(long)]
        undo: bool,
    },
    /// Move the leadership of the configuration group
    Transfer {
        /// Node that shall lead; the most up-to-date voter when absent
        #[arg(long, value_name = "NODE")]
        to: Option<u64>,
    },
    /// Save the whole configuration to a file, or restore it
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
}

/// Backup and restore.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CheckpointCommand {
    /// Write the whole configuration to FILE
    Save {
        /// Where to write; `-` is standard output
        file: PathBuf,
    },
    /// Replace all APIs with those in FILE; members and access keys stay as they are
    Restore {
        /// What `checkpoint save` wrote
        file: PathBuf,
    },
}

impl ClusterCommand {
    /// Runs the verb and returns what goes to standard output.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        match self {
            Self::Status => {
                let status: ClusterStatus =
                    client.json(Method::GET, "/_tidegate/cluster/status", &Value::Null).await?;
                Ok(printed(format, &status, || status_text(&status)))
            }
            Self::Token => {
                let token: JoinTokenIssued =
                    client.json(Method::POST, "/_tidegate/cluster/token", &json!({})).await?;
                Ok(printed(format, &token, || token.token.clone()))
            }
            Self::Remove { node, force } => {
                let path = format!("/_tidegate/cluster/nodes/{node}/remove");
                let status: ClusterStatus =
                    client.json(Method::POST, &path, &json!({ "force": force })).await?;
                Ok(printed(format, &status, || format!("node {node} is removed\n{}", status_text(&status))))
            }
            Self::Drain { node, undo } => {
                let verb = if *undo { "undrain" } else { "drain" };
                let path = format!("/_tidegate/cluster/nodes/{node}/{verb}");
                let status: ClusterStatus = client.json(Method::POST, &path, &json!({})).await?;
                Ok(printed(format, &status, || status_text(&status)))
            }
            Self::Transfer { to } => {
                let moved: LeaderTransferred =
                    client.json(Method::POST, "/_tidegate/cluster/transfer", &json!({ "to": to })).await?;
                Ok(printed(format, &moved, || format!("node {} leads", moved.leader)))
            }
            Self::Checkpoint(CheckpointCommand::Save { file }) => save(client, file, format).await,
            Self::Checkpoint(CheckpointCommand::Restore { file }) => restore(client, file, format).await,
        }
    }
}

async fn save(client: &Client, file: &PathBuf, format: Format) -> Result<String, Error> {
    let bytes = client.call(Method::GET, "/_tidegate/cluster/checkpoint", Vec::new()).await?;
    let failed = |reason| Error::File { path: file.clone(), reason };
    if file.as_os_str() == "-" {
        use std::io::Write;
        std::io::stdout().write_all(&bytes).map_err(failed)?;
        return Ok(String::new());
    }
    let partial = file.with_extension("partial");
    write_private(&partial, &bytes).and_then(|()| std::fs::rename(&partial, file)).map_err(failed)?;
    let saved = json!({ "file": file, "bytes": bytes.len() });
    Ok(printed(format, &saved, || format!("{} bytes written to {}", bytes.len(), file.display())))
}

/// A checkpoint holds private keys.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::File::options().create_new(true).write(true).mode(0o600).open(path)?.write_all(bytes)
}

async fn restore(client: &Client, file: &PathBuf, format: Format) -> Result<String, Error> {
    let bytes = std::fs::read(file).map_err(|reason| Error::File { path: file.clone(), reason })?;
    let answer = client.call(Method::PUT, "/_tidegate/cluster/checkpoint", bytes).await?;
    let restored: CheckpointRestored =
        serde_json::from_slice(&answer).map_err(|e| Error::Unexpected(e.to_string()))?;
    Ok(printed(format, &restored, || {
        format!(
            "{} records restored; the configuration is at revision {}",
            restored.records, restored.revision
        )
    }))
}

fn printed(format: Format, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> String {
    match format {
        Format::Json => pretty(value),
        Format::Table => text(),
    }
}

fn status_text(status: &ClusterStatus) -> String {
    let header = [
        "NODE", "REGION", "AZ", "ROLE", "STATE", "APPLIED", "SERVING", "CONTACT", "VERSION", "HASH",
        "CONTROL", "GATEWAY",
    ];
    let rows = status.nodes.iter().map(row).collect();
    let tolerance = status.tolerance;
    let leader = status.leader.map_or("no leader".into(), |leader| format!("leader {leader}"));
    format!(
        "cluster {}: {leader}, term {}, revision {}\n{}\nsurvives the loss of {} more node(s), {} more AZ(s), {} more region(s)",
        status.cluster,
        status.term,
        status.revision,
        table(&header, rows),
        tolerance.nodes,
        tolerance.azs,
        tolerance.regions
    )
}

fn row(node: &NodeStatus) -> Vec<String> {
    let state = match (node.live, node.draining, node.ready) {
        (false, ..) => "down",
        (true, true, _) => "draining",
        (true, false, true) => "ready",
        (true, false, false) => "not ready",
    };
    vec![
        node.node.to_string(),
        node.region.clone(),
        node.az.clone(),
        node.role.clone(),
        state.into(),
        node.applied_index.to_string(),
        node.serving_revision.to_string(),
        node.last_contact_ms.map_or("-".into(), |ms| format!("{ms} ms")),
        node.version.clone(),
        node.state_hash.chars().take(8).collect(),
        node.control_address.clone(),
        node.gateway_address.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::status::Tolerance;

    #[test]
    fn status_reads_as_a_table() {
        let node = NodeStatus {
            node: 1,
            az: "az-a".into(),
            role: "leader".into(),
            live: true,
            ready: true,
            ..Default::default()
        };
        let down = NodeStatus { node: 2, az: "az-b".into(), role: "voter".into(), ..Default::default() };
        let status = ClusterStatus {
            cluster: "dev".into(),
            leader: Some(1),
            nodes: vec![node, down],
            tolerance: Tolerance { nodes: 1, azs: 1, regions: 0 },
            ..Default::default()
        };
        let text = status_text(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "cluster dev: leader 1, term 0, revision 0");
        assert!(lines[2].starts_with("1     ") && lines[2].contains("ready"), "{text}");
        assert!(lines[3].contains("down"), "{text}");
        assert_eq!(lines[4], "survives the loss of 1 more node(s), 1 more AZ(s), 0 more region(s)");
    }
}
