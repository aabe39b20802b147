//! `tidegate upstreams`: what a node knows of the targets it calls.

use http::Method;
use serde_json::Value;
use tidegate_proto::status::{UpstreamStatus, UpstreamTarget, Upstreams};

use crate::{
    Client, Error, Format,
    output::{json as pretty, table},
};

const ROOT: &str = "/_tidegate/upstreams";

/// What `upstreams` shows.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct UpstreamsArgs {
    /// Only upstreams whose host, link id or link name has this in it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

impl UpstreamsArgs {
    /// Runs the verb and returns what goes to standard output.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        let mut found: Upstreams = client.json(Method::GET, ROOT, &Value::Null).await?;
        if let Some(name) = &self.name {
            found.upstreams.retain(|one| one.upstream.contains(name) || one.link_name.contains(name));
        }
        Ok(match format {
            Format::Json => pretty(&found),
            Format::Table => text(&found),
        })
    }
}

fn text(found: &Upstreams) -> String {
    let Upstreams { node, az, upstreams } = found;
    let head = format!("node {node} in {az}");
    if upstreams.is_empty() {
        return format!("{head} has called no upstream");
    }
    let header = [
        "UPSTREAM",
        "TARGET",
        "AZ",
        "STATE",
        "EJECTIONS",
        "FAILURES",
        "OUTSTANDING",
        "RETRIES",
        "LAST ERROR",
    ];
    let rows = upstreams.iter().flat_map(|upstream| match upstream.targets.is_empty() {
        true => vec![row(upstream, None)],
        false => upstream.targets.iter().map(|target| row(upstream, Some(target))).collect(),
    });
    format!("{head}\n{}", table(&header, rows.collect()))
}

fn row(upstream: &UpstreamStatus, target: Option<&UpstreamTarget>) -> Vec<String> {
    let name = match upstream.link_name.as_str() {
        "" => upstream.upstream.clone(),
        link => format!("{} ({link})", upstream.upstream),
    };
    let retries = upstream.retries.to_string();
    let Some(target) = target else {
        let dash = || "-".to_owned();
        return vec![name, dash(), dash(), "no targets".into(), dash(), dash(), dash(), retries, dash()];
    };
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    vec![
        name,
        target.address.clone(),
        or_dash(&target.az),
        state(upstream, target),
        target.ejections.to_string(),
        target.failures.to_string(),
        target.outstanding.to_string(),
        retries,
        or_dash(target.last_error.as_deref().unwrap_or_default()),
    ]
}

/// How a target stands, and in panic mode that nobody minds.
fn state(upstream: &UpstreamStatus, target: &UpstreamTarget) -> String {
    let panic = if upstream.panic && target.state != "healthy" { ", panic" } else { "" };
    match target.ejected_for_ms {
        Some(for_ms) => format!("{} {} s{panic}", target.state, for_ms.div_ceil(1_000)),
        None => format!("{}{panic}", target.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_target() {
        let target = |address: &str, state: &str, ejected_for_ms| UpstreamTarget {
            address: address.into(),
            az: "az-a".into(),
            state: state.into(),
            ejected_for_ms,
            last_error: ejected_for_ms.map(|_| "refused".into()),
            ..UpstreamTarget::default()
        };
        let link = UpstreamStatus {
            upstream: "abc123".into(),
            link_name: "orders".into(),
            retries: 7,
            targets: vec![
                target("10.0.0.1:80", "healthy", None),
                target("10.0.0.2:80", "ejected", Some(29_001)),
            ],
            ..UpstreamStatus::default()
        };
        let empty = UpstreamStatus { upstream: "gone".into(), ..UpstreamStatus::default() };
        let found = Upstreams { node: 2, az: "az-a".into(), upstreams: vec![link, empty] };
        let lines: Vec<String> =
            text(&found).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "node 2 in az-a",
                "UPSTREAM TARGET AZ STATE EJECTIONS FAILURES OUTSTANDING RETRIES LAST ERROR",
                "abc123 (orders) 10.0.0.1:80 az-a healthy 0 0 0 7 -",
                "abc123 (orders) 10.0.0.2:80 az-a ejected 30 s 0 0 0 7 refused",
                "gone - - no targets - - - 0 -",
            ]
        );
        let nothing = Upstreams { node: 1, az: "b".into(), upstreams: Vec::new() };
        assert_eq!(text(&nothing), "node 1 in b has called no upstream");
    }
}
