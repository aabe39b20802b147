//! `tidegate cluster recover`: makes the node of this machine the only member of its cluster, after the majority was lost for good.

use serde_json::json;
use tidegate_cli::Format;
use tidegate_cluster::{
    identity,
    recover::{Survivor, recover, survey},
};

use crate::{
    founding::IDENTITY_FOLDER,
    node::{NodeError, cluster_options},
    options::NodeOptions,
};

/// Says what would be done; does it where that is `confirmed`.
pub(crate) async fn run(
    options: &NodeOptions,
    is_confirmed: bool,
    format: Format,
) -> Result<String, NodeError> {
    let folder = options.node.data_dir.join(IDENTITY_FOLDER);
    if !identity::Identity::exists(&folder) {
        return Err(NodeError::NoIdentity(folder));
    }
    let identity = identity::Identity::load(&folder)?;
    let settings = cluster_options(options, &identity);
    let survivors = if is_confirmed { recover(&settings).await? } else { survey(&settings)? };
    Ok(match format {
        Format::Json => {
            let group = |one: &Survivor| json!({ "group": one.group, "last_index": one.last, "voters": one.voters, "learners": one.learners });
            let groups: Vec<_> = survivors.iter().map(group).collect();
            let body = json!({ "node": identity.node, "recovered": is_confirmed, "groups": groups });
            serde_json::to_string_pretty(&body).unwrap_or_default()
        }
        Format::Table => text(identity.node, &survivors, is_confirmed),
    })
}

fn text(node: u64, survivors: &[Survivor], is_confirmed: bool) -> String {
    let mut lost: Vec<u64> =
        survivors.iter().flat_map(|one| one.voters.iter().chain(&one.learners)).copied().collect();
    lost.sort_unstable();
    lost.dedup();
    lost.retain(|other| *other != node);
    let (lost, groups) = (lost.iter().map(u64::to_string).collect::<Vec<_>>().join(", "), survivors.len());
    if is_confirmed {
        return format!(
            "node {node} is the only member of {groups} groups now: start it with `tidegate node`, then let others join with new data \
             directories. Never start nodes {lost} with the data they have."
        );
    }
    format!(
        "node {node} would become the only member of {groups} groups, and nodes {lost} would no longer belong to the cluster. Changes \
         that this node has not received would be lost. If the majority is gone for good, say so with --yes."
    )
}
