//! `tidegate cache …`: look at the answers that a region has stored, and take some out.

use http::Method;
use serde_json::{Map, Value};
use tidegate_proto::status::{CacheEntry, CacheLook, CachePurged, CacheStage, CacheTop};

use crate::{
    Client, Error, Format,
    output::{json as pretty, percent_encode, table},
};

const ROOT: &str = "/_tidegate/cache";

/// Verbs on stored answers.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CacheCommand {
    /// Show what each stage has stored and did with it, and the answers that are used most
    ///
    /// Of each stage: ENTRIES and BYTES are what all nodes hold together. HITS were sent a stored answer, STALE one whose life was over,
    /// COALESCED the answer of another request that they had waited for; MISSES went to the integration because nothing was
    /// stored, BYPASSED because nothing stored could be theirs. HIT % is the part that did not go to the integration. All of them count
    /// since the nodes were started.
    ///
    /// Of each answer: AGE is how long ago it was made, TTL what is left of its life (negative once it is over), USED how often
    /// it was sent, TAGS what `tidegate cache purge --tag` knows it by.
    Top(TopArgs),
    /// Show which nodes have stored an answer to GET of a path, and what they know of it
    Get(GetArgs),
    /// Take answers out, on every node of the region: all of a stage, or those that fit everything that is given
    ///
    /// Returns once no node serves them any more. With a node out of reach that takes some seconds: until it has stopped by itself to
    /// serve what it cannot vouch for.
    Purge(PurgeArgs),
}

/// What `cache top` shows.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TopArgs {
    /// How many answers
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    count: u16,
    /// Only of this API
    #[arg(long, value_name = "ID")]
    api: Option<String>,
    /// Only of stages of this name
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
}

/// What `cache get` looks for.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct GetArgs {
    /// The API
    #[arg(long, value_name = "ID")]
    api: String,
    /// Its stage
    #[arg(long, value_name = "NAME")]
    stage: String,
    /// Path after the stage, as callers write it: `/pets/7`. With a query, `/pets?page=2`, only what is stored for a request without
    /// headers that are part of the key
    path: String,
}

/// What `cache purge` takes out.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PurgeArgs {
    /// The API
    #[arg(long, value_name = "ID")]
    api: String,
    /// Its stage
    #[arg(long, value_name = "NAME")]
    stage: String,
    /// Only answers to this verb
    #[arg(long, value_name = "VERB", value_parser = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])]
    method: Option<String>,
    /// Only answers of this resource, with its braces: `/pets/{id}`
    #[arg(long, value_name = "PATH")]
    resource: Option<String>,
    /// Only answers whose path after the stage begins so, as callers write it
    #[arg(long, value_name = "START")]
    prefix: Option<String>,
    /// Only answers that the upstream tagged so, with Cache-Tag or Surrogate-Key
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl CacheCommand {
    /// Runs the verb and returns what goes to standard output.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        match self {
            Self::Top(args) => {
                let top: CacheTop = client.json(Method::GET, &args.target(), &Value::Null).await?;
                Ok(printed(format, &top, || top_text(&top)))
            }
            Self::Get(args) => {
                let look: CacheLook = client.json(Method::GET, &args.target(), &Value::Null).await?;
                Ok(printed(format, &look, || look_text(&look, args)))
            }
            Self::Purge(args) => {
                let target = format!("{ROOT}/purge");
                let purged: CachePurged = client.json(Method::POST, &target, &args.body()).await?;
                Ok(printed(format, &purged, || purge_text(&purged, args)))
            }
        }
    }
}

impl TopArgs {
    fn target(&self) -> String {
        let mut target = format!("{ROOT}/top?count={}", self.count);
        for (name, value) in [("api", &self.api), ("stage", &self.stage)] {
            if let Some(value) = value {
                target.push_str(&format!("&{name}={}", percent_encode(value)));
            }
        }
        target
    }
}

impl GetArgs {
    fn target(&self) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let fields = [("api", self.api.as_str()), ("stage", &self.stage), ("path", path), ("query", query)];
        let fields = fields.map(|(name, value)| format!("{name}={}", percent_encode(value)));
        format!("{ROOT}/entry?{}", fields.join("&"))
    }
}

impl PurgeArgs {
    fn body(&self) -> Value {
        let mut body = Map::new();
        for (name, value) in
            [("api", Some(&self.api)), ("stage", Some(&self.stage))].into_iter().chain(self.part())
        {
            if let Some(value) = value {
                body.insert(name.to_owned(), Value::String(value.clone()));
            }
        }
        Value::Object(body)
    }

    fn part(&self) -> [(&'static str, Option<&String>); 4] {
        [
            ("method", self.method.as_ref()),
            ("resource", self.resource.as_ref()),
            ("prefix", self.prefix.as_ref()),
            ("tag", self.tag.as_ref()),
        ]
    }
}

fn printed(format: Format, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> String {
    match format {
        Format::Json => pretty(value),
        Format::Table => text(),
    }
}

fn top_text(top: &CacheTop) -> String {
    let stages =
        ["API", "STAGE", "ENTRIES", "BYTES", "HIT %", "HITS", "STALE", "COALESCED", "MISSES", "BYPASSED"];
    let entries = ["API", "STAGE", "REQUEST", "RESOURCE", "STATUS", "BYTES", "AGE", "TTL", "USED", "TAGS"];
    let mut text = match top.stages.is_empty() {
        true => "no stage caches anything; a cache cluster or the tag tidegate:cache lets one".to_owned(),
        false => table(&stages, top.stages.iter().map(stage_row).collect()),
    };
    if !top.entries.is_empty() {
        let rows = top.entries.iter().map(|entry| {
            let place = [entry.api.clone(), entry.stage.clone()];
            place.into_iter().chain(entry_cells(entry)).collect()
        });
        text.push_str("\n\n");
        text.push_str(&table(&entries, rows.collect()));
    }
    text + &silence(&top.silent, "what is stored there is missing")
}

fn look_text(look: &CacheLook, args: &GetArgs) -> String {
    let header = ["NODE", "REQUEST", "RESOURCE", "STATUS", "BYTES", "AGE", "TTL", "USED", "TAGS"];
    let row = |found: &tidegate_proto::status::CacheFound| {
        std::iter::once(found.node.to_string()).chain(entry_cells(&found.entry)).collect()
    };
    let text = match look.found.is_empty() {
        true => format!("no node has stored an answer to GET {} of {}/{}", args.path, args.api, args.stage),
        false => table(&header, look.found.iter().map(row).collect()),
    };
    text + &silence(&look.silent, "what is stored there is not known")
}

fn purge_text(purged: &CachePurged, args: &PurgeArgs) -> String {
    let stage = format!("{}/{}", args.api, args.stage);
    let part: Vec<String> =
        args.part().iter().filter_map(|(name, value)| Some(format!("{name} {}", (*value)?))).collect();
    match (purged.purged.as_str(), part.is_empty()) {
        ("part", _) => format!("no node serves what was stored of {stage} with {}", part.join(", ")),
        (_, true) => format!("no node serves what was stored of {stage}"),
        // So many parts were taken out before that they are not told apart any more.
        (_, false) => {
            format!("no node serves what was stored of {stage}: after so many purges all of it was taken out")
        }
    }
}

fn stage_row(stage: &CacheStage) -> Vec<String> {
    let spared = stage.hits + stage.stale + stage.coalesced;
    let asked = spared + stage.misses + stage.bypassed;
    let percent = match asked {
        0 => "-".to_owned(),
        asked => format!("{:.1}", spared as f64 * 1e2 / asked as f64),
    };
    let figures = [stage.hits, stage.stale, stage.coalesced, stage.misses, stage.bypassed];
    let mut row =
        vec![stage.api.clone(), stage.stage.clone(), stage.entries.to_string(), size(stage.bytes), percent];
    row.extend(figures.map(|figure| figure.to_string()));
    row
}

fn entry_cells(entry: &CacheEntry) -> Vec<String> {
    vec![
        format!("{} {}", entry.verb, entry.path),
        entry.resource.clone(),
        entry.status.to_string(),
        size(entry.bytes),
        format!("{} s", entry.age_s),
        format!("{} s", entry.ttl_s),
        entry.hits.to_string(),
        if entry.tags.is_empty() { "-".to_owned() } else { entry.tags.join(",") },
    ]
}

fn silence(silent: &[u64], what: &str) -> String {
    let nodes: Vec<String> = silent.iter().map(u64::to_string).collect();
    if nodes.is_empty() { String::new() } else { format!("\nno answer of node {}: {what}", nodes.join(", ")) }
}

/// Bytes in decimal units, as the sizes of cache clusters are.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)].iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::status::CacheFound;

    fn entry() -> CacheEntry {
        CacheEntry {
            api: "a1".into(),
            stage: "dev".into(),
            verb: "GET".into(),
            resource: "/pets/{id}".into(),
            path: "/pets/7".into(),
            status: 200,
            bytes: 1_234,
            age_s: 3,
            ttl_s: -1,
            hits: 9,
            tags: vec!["red".into(), "blue".into()],
        }
    }

    #[test]
    fn what_is_stored_reads_as_two_tables() {
        let stage = CacheStage {
            api: "a1".into(),
            stage: "dev".into(),
            entries: 2,
            bytes: 2_500_000,
            hits: 7,
            stale: 1,
            coalesced: 1,
            misses: 2,
            bypassed: 1,
        };
        let unused = CacheStage { api: "a2".into(), stage: "dev".into(), ..CacheStage::default() };
        let top = CacheTop { stages: vec![stage, unused], entries: vec![entry()], silent: vec![3] };
        let found = top_text(&top);
        let words = |line: &str| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).count();
        let lines: Vec<&str> = found.lines().collect();
        assert!([0, 1, 2, 4, 5].iter().all(|line| words(lines[*line]) == 10), "{found}");
        for (line, expect) in [
            (1, &["2.5 MB", "75.0"][..]),
            (2, &["0 B", "-"]),
            (5, &["GET /pets/7", "/pets/{id}", "1.2 kB", "3 s", "-1 s", "red,blue"]),
            (6, &["no answer of node 3: what is stored there is missing"]),
        ] {
            assert!(expect.iter().all(|part| lines[line].contains(part)), "{line}: {expect:?}\n{found}");
        }
        assert!(top_text(&CacheTop::default()).starts_with("no stage caches anything;"));
    }

    #[test]
    fn questions_and_orders_are_escaped() {
        let top = TopArgs { count: 5, api: None, stage: Some("a b&c".into()) };
        assert_eq!(top.target(), "/_tidegate/cache/top?count=5&stage=a%20b%26c");
        let get = GetArgs { api: "a1".into(), stage: "s".into(), path: "/p%20q?x=1&y".into() };
        let expect = "/_tidegate/cache/entry?api=a1&stage=s&path=%2Fp%2520q&query=x%3D1%26y";
        assert_eq!(get.target(), expect);
        let purge =
            PurgeArgs { api: "a1".into(), stage: "s".into(), tag: Some("t".into()), ..PurgeArgs::default() };
        assert_eq!(purge.body(), serde_json::json!({ "api": "a1", "stage": "s", "tag": "t" }));
    }

    #[test]
    fn what_was_done_is_said() {
        let get = GetArgs { api: "a1".into(), stage: "s".into(), path: "/pets/7".into() };
        let none = look_text(&CacheLook { found: vec![], silent: vec![2] }, &get);
        assert_eq!(
            none,
            "no node has stored an answer to GET /pets/7 of a1/s\nno answer of node 2: what is stored there is not known"
        );
        let found = CacheFound { node: 4, entry: entry() };
        let shown = look_text(&CacheLook { found: vec![found], silent: vec![] }, &get);
        assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("4     GET /pets/7")), "{shown}");
        let tagged =
            PurgeArgs { api: "a1".into(), stage: "s".into(), tag: Some("t".into()), ..PurgeArgs::default() };
        let all = PurgeArgs { tag: None, ..tagged.clone() };
        for (purged, args, expect) in [
            ("part", &tagged, "no node serves what was stored of a1/s with tag t"),
            ("all", &all, "no node serves what was stored of a1/s"),
            (
                "all",
                &tagged,
                "no node serves what was stored of a1/s: after so many purges all of it was taken out",
            ),
        ] {
            let purged = CachePurged { purged: purged.into(), sequence: 1 };
            assert_eq!(purge_text(&purged, args), expect);
        }
    }
}
