//! `tidegate limits …`: look at the limits that a region keeps.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use http::Method;
use serde_json::Value;
use tidegate_proto::status::{LimitHolder, LimitStatus, LimitsTop};

use crate::{
    Client, Error, Format,
    output::{json as pretty, percent_encode, table},
};

const ROOT: &str = "/_tidegate/limits";
/// Pause between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(1);
/// Holders that are listed of one limit; `-o json` has them all.
const HOLDERS_MAX: usize = 4;
/// Clears the screen, and cuts long lines for as long as this is being written.
const REDRAW: (&str, &str) = ("\x1b[H\x1b[2J\x1b[?7l", "\x1b[?7h");

/// Verbs on limits.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum LimitsCommand {
    /// Show the busiest limits: what is asked, admitted and refused, how full they are, and who holds which share
    ///
    /// LIMIT is `plan/key`, `api/stage` with the method, or `account`. DEMAND/s is what asked, ADMITTED/s what the limit let
    /// through, REFUSED/s what it answered 429. FILL % is how much of the rate is let through, or of the quota is used. LEFT is
    /// what may still pass at once; a limit that nodes hold shares of does not know that as a whole. STATE is `short` while
    /// the limit as a whole is used up. SHARES says what each node may use of it, by availability zone and node; nothing is held of
    /// small limits, which are counted.
    Top(TopArgs),
}

/// What `limits top` shows.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TopArgs {
    /// How many limits
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    count: u16,
    /// Redraw every second until interrupted; needs a terminal
    #[arg(long)]
    watch: bool,
    /// Only limits of this API, its stages and its methods
    #[arg(long, value_name = "ID")]
    api: Option<String>,
    /// Only limits of stages of this name
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Only limits on this level
    #[arg(long, value_name = "LEVEL", value_parser = ["plan", "plan-method", "quota", "method", "stage", "account"])]
    level: Option<String>,
}

impl LimitsCommand {
    /// Runs the verb and returns what goes to standard output; `--watch` writes there itself and never ends by itself.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        let Self::Top(args) = self;
        if !args.watch {
            return args.look(client, format).await;
        }
        if !std::io::stdout().is_terminal() || format == Format::Json {
            return Err(Error::Watch);
        }
        // A mistake in the call or the address shows at once; later faults are shown where the table was.
        let mut text = args.look(client, format).await?;
        loop {
            let screen = format!("{}{text}\n{}", REDRAW.0, REDRAW.1);
            let mut out = std::io::stdout();
            out.write_all(screen.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)?;
            tokio::time::sleep(EVERY).await;
            text = args.look(client, format).await.unwrap_or_else(|error| error.to_string());
        }
    }
}

impl TopArgs {
    async fn look(&self, client: &Client, format: Format) -> Result<String, Error> {
        let top: LimitsTop = client.json(Method::GET, &self.target(), &Value::Null).await?;
        Ok(match format {
            Format::Json => pretty(&top),
            Format::Table => text(&top),
        })
    }

    fn target(&self) -> String {
        let mut target = format!("{ROOT}?count={}", self.count);
        for (name, value) in [("api", &self.api), ("stage", &self.stage), ("level", &self.level)] {
            if let Some(value) = value {
                target.push_str(&format!("&{name}={}", percent_encode(value)));
            }
        }
        target
    }
}

fn text(top: &LimitsTop) -> String {
    let header = [
        "LIMIT",
        "LEVEL",
        "RATE",
        "DEMAND/s",
        "ADMITTED/s",
        "REFUSED/s",
        "FILL %",
        "LEFT",
        "STATE",
        "SHARES",
    ];
    let mut text = match top.limits.is_empty() {
        true => format!("no limit of region {} is in use", top.region),
        false => table(&header, top.limits.iter().map(row).collect()),
    };
    let list = |all: &[u64]| all.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if !top.silent_shards.is_empty() {
        let shards = list(&top.silent_shards);
        text.push_str(&format!(
            "\nno answer of ledger shard {shards}: what is left of its limits is missing"
        ));
    }
    if !top.silent_nodes.is_empty() {
        let nodes = list(&top.silent_nodes);
        text.push_str(&format!("\nno answer of node {nodes}: what asks there is missing"));
    }
    text
}

fn row(limit: &LimitStatus) -> Vec<String> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        limit.limit.clone(),
        limit.level.clone(),
        size(limit),
        number(limit.demand),
        number(limit.admitted),
        number(limit.refused),
        or_dash(limit.fill_percent.map(number)),
        or_dash(limit.remaining.map(number)),
        if limit.short { "short" } else { "roomy" }.to_owned(),
        shares(&limit.holders),
    ]
}

fn size(limit: &LimitStatus) -> String {
    match (limit.rate, limit.burst, limit.quota, &limit.period) {
        (Some(rate), Some(burst), ..) => format!("{}/s, {} at once", number(rate), number(burst)),
        (_, _, Some(quota), Some(period)) => format!("{quota}/{}", period.to_lowercase()),
        _ => "-".to_owned(),
    }
}

fn shares(holders: &[LimitHolder]) -> String {
    let held: Vec<(&LimitHolder, f64)> =
        holders.iter().filter_map(|one| Some((one, one.share_percent?))).collect();
    if held.is_empty() {
        return "-".to_owned();
    }
    let one = |(holder, share): &(&LimitHolder, f64)| {
        let az = if holder.az.is_empty() { "?" } else { &holder.az };
        format!("{az}/{}: {} %", holder.node, number(*share))
    };
    let mut listed: Vec<String> = held.iter().take(HOLDERS_MAX).map(one).collect();
    if let more @ 1.. = held.len().saturating_sub(HOLDERS_MAX) {
        listed.push(format!("{more} more"));
    }
    listed.join(", ")
}

/// Three digits tell enough.
fn number(value: f64) -> String {
    let decimals = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(node: u64, share_percent: Option<f64>) -> LimitHolder {
        LimitHolder { node, az: format!("az-{node}"), share_percent, ..LimitHolder::default() }
    }

    #[test]
    fn limits_read_as_a_table() {
        let rate = LimitStatus {
            limit: "gold/alice".into(),
            level: "plan".into(),
            rate: Some(1_000.0),
            burst: Some(2_000.0),
            demand: 2_345.67,
            admitted: 1_000.4,
            refused: 1_345.2,
            fill_percent: Some(100.04),
            short: true,
            holders: vec![holder(1, Some(41.02)), holder(2, Some(58.9))],
            ..LimitStatus::default()
        };
        let quota = LimitStatus {
            limit: "gold/alice".into(),
            level: "quota".into(),
            quota: Some(500),
            period: Some("DAY".into()),
            demand: 0.25,
            fill_percent: Some(75.0),
            remaining: Some(125.0),
            holders: (1..7).map(|node| holder(node, Some(1.5))).collect(),
            ..LimitStatus::default()
        };
        let gone = LimitStatus { limit: "00ff".into(), level: "unknown".into(), ..LimitStatus::default() };
        let top = LimitsTop {
            limits: vec![rate, quota, gone],
            silent_shards: vec![0, 2],
            silent_nodes: vec![3],
            ..LimitsTop::default()
        };
        let found = text(&top);
        let cells = |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).count();
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines[..4].iter().all(|line| cells(line) == 10), "{found}");
        for (line, expect) in [
            (1, &["1000/s, 2000 at once", "2346", "1345", "short", "az-1/1: 41.0 %, az-2/2: 58.9 %"][..]),
            (2, &["500/day", "0.2", "75 ", "125", "roomy", "az-4/4: 1.5 %, 2 more"]),
            (3, &["00ff", "unknown", "-"]),
            (4, &["no answer of ledger shard 0, 2:"]),
            (5, &["no answer of node 3:"]),
        ] {
            assert!(expect.iter().all(|part| lines[line].contains(part)), "{line}: {expect:?}\n{found}");
        }
        assert_eq!(
            text(&LimitsTop { region: "r".into(), ..LimitsTop::default() }),
            "no limit of region r is in use"
        );
    }

    #[test]
    fn questions_are_escaped() {
        let args = TopArgs {
            count: 5,
            stage: Some("a b&c".into()),
            level: Some("quota".into()),
            ..TopArgs::default()
        };
        assert_eq!(args.target(), "/_tidegate/limits?count=5&stage=a%20b%26c&level=quota");
    }
}
