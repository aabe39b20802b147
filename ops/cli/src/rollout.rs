//! `tidegate rollout …`: new versions of stages on their way from availability zone to availability zone.

use http::Method;
use serde_json::{Value, json};
use tidegate_proto::status::{RolloutList, RolloutStatus};

use crate::{
    Client, Error, Format,
    output::{json as pretty, percent_encode, table},
};

const ROOT: &str = "/_tidegate/rollouts";

/// Verbs on rollouts.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum RolloutCommand {
    /// Show those under way, and the last one of each stage that was taken back
    List,
    /// Take the newest version back everywhere
    Abort {
        /// Id of the API
        api: String,
        /// Name of the stage
        stage: String,
    },
    /// Serve the newest version everywhere now, without watching it further
    Finish {
        /// Id of the API
        api: String,
        /// Name of the stage
        stage: String,
    },
}

impl RolloutCommand {
    /// Runs the verb and returns what goes to standard output.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        let (api, stage, verb) = match self {
            Self::List => {
                let list: RolloutList = client.json(Method::GET, ROOT, &Value::Null).await?;
                return Ok(match format {
                    Format::Json => pretty(&list),
                    Format::Table => text(&list),
                });
            }
            Self::Abort { api, stage } => (api, stage, "abort"),
            Self::Finish { api, stage } => (api, stage, "finish"),
        };
        let path = format!("{ROOT}/{}/{}/{verb}", percent_encode(api), percent_encode(stage));
        let ended: RolloutStatus = client.json(Method::POST, &path, &json!({})).await?;
        Ok(match (format, self) {
            (Format::Json, _) => pretty(&ended),
            (Format::Table, Self::Abort { .. }) => {
                format!("stage {stage} serves deployment {} everywhere again", ended.from_deployment)
            }
            (Format::Table, _) => {
                format!("stage {stage} serves deployment {} everywhere", ended.to_deployment)
            }
        })
    }
}

fn text(list: &RolloutList) -> String {
    if list.rollouts.is_empty() {
        return "no rollout is under way".to_owned();
    }
    let row = |one: &RolloutStatus| {
        let story = if one.reason.is_empty() { one.reached.join(", ") } else { one.reason.clone() };
        let RolloutStatus { api, stage, state, from_deployment, to_deployment, .. } = one.clone();
        vec![api, stage, state, from_deployment, to_deployment, story]
    };
    let header = ["API", "STAGE", "STATE", "FROM", "TO", "REACHED, OR REASON"];
    table(&header, list.rollouts.iter().map(row).collect())
}
