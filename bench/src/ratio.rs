//! Which share of requests a cache answers that holds a part of what is asked for: the store of the data plane, asked directly and
//! through a shard's view, beside a cache that lets go of what was not used for longest.

mod lru;
mod trace;

use bytes::Bytes;
use comfy_table::{CellAlignment, Table, presets};
use tidegate_edge::CacheTrial;

use self::{
    lru::Lru,
    trace::{BODY_BYTES_MAX, Trace, body_bytes},
};
use crate::micro::sample::{cache, cached_path};

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Answers that there are, scans aside.
    pub answers: u64,
    /// Requests of a trace; the first half fills the caches and does not count.
    pub requests: usize,
}

impl Scale {
    /// For figures that are compared.
    pub const FULL: Self = Self { answers: 1_000_000, requests: 3_000_000 };
}

/// Shares of a trace's requests that were answered, from 0 to 1; those of a scan do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was asked for.
    pub trace: &'static str,
    /// Size of the caches, as a share of all answers.
    pub share: f64,
    /// By a cache that lets go of what was not used for longest.
    pub lru: f64,
    /// By the store.
    pub store: f64,
    /// By the store behind the view of a shard, which tells it of some uses only.
    pub view: f64,
}

/// Requests between two sweeps of a view: those of a shard that answers 10,000 per second.
const SWEEP_EVERY: usize = 10_000;

/// Bodies are parts of it: what counts is how many bytes they are said to have.
static BODY: [u8; BODY_BYTES_MAX] = [0; BODY_BYTES_MAX];

/// All traces with caches of 1 % and of 10 % of the answers.
pub fn measure(scale: Scale, mut progress: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows = Vec::new();
    for share in [0.01, 0.1] {
        for trace in Trace::ALL {
            let row = row(trace, scale, share);
            progress(&row);
            rows.push(row);
        }
    }
    rows
}

/// Aligned columns.
pub fn text(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "REQUESTS",
        "CACHE",
        "LRU",
        "STORE",
        "STORE BEHIND A VIEW",
    ]);
    for row in rows {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let [share, lru, store, view] = [row.share, row.lru, row.store, row.view].map(percent);
        table.add_row([row.trace, &share, &lru, &store, &view]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn row(trace: Trace, scale: Scale, share: f64) -> Row {
    let sizer = cache(0);
    let weight = |key: u64| sizer.weight(&cached_path(key), body(key));
    // Answers differ in nothing but their bodies.
    let overhead = weight(0) - body_bytes(0) as u64;
    let all: u64 = (0..scale.answers).map(|key| body_bytes(key) as u64 + overhead).sum();
    let bytes_max = (all as f64 * share) as u64;
    let requests = trace.requests(scale, share);
    let mut lru = Lru::new(bytes_max);
    let lru = answered(&requests, |key| lru.find(key) || lru.keep(key, body_bytes(key) as u64 + overhead));
    let store = |find: fn(&CacheTrial, &str) -> bool| {
        let (cache, mut asked) = (cache(bytes_max), 0_usize);
        answered(&requests, |key| {
            let path = cached_path(key);
            asked += 1;
            if asked % SWEEP_EVERY == 0 {
                cache.sweep();
            }
            let is_found = find(&cache, &path);
            if !is_found {
                cache.keep(&path, body(key));
            }
            is_found
        })
    };
    let (store, view) = (store(CacheTrial::find_shared), store(CacheTrial::find));
    Row { trace: trace.name(), share, lru, store, view }
}

/// The share of the second half's requests for which `ask` says that they were answered.
fn answered(requests: &[u64], mut ask: impl FnMut(u64) -> bool) -> f64 {
    let (mut counted, mut found) = (0_u64, 0_u64);
    for (at, key) in requests.iter().enumerate() {
        let is_found = ask(*key);
        if at >= requests.len() / 2 && !trace::is_of_scan(*key) {
            counted += 1;
            found += u64::from(is_found);
        }
    }
    found as f64 / counted.max(1) as f64
}

fn body(key: u64) -> Bytes {
    Bytes::from_static(BODY.get(..body_bytes(key)).unwrap_or(&BODY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Scale = Scale { answers: 12_000, requests: 120_000 };

    #[test]
    fn a_scan_takes_less_from_the_store_than_from_an_lru() {
        let [plain, scanned, around] = Trace::ALL.map(|trace| row(trace, SMALL, 0.1));
        assert!(plain.lru > 0.2 && plain.store > plain.lru, "{plain:?}");
        let lost = |of: fn(&Row) -> f64| of(&plain) - of(&scanned);
        assert!(lost(|row| row.lru) > 0.0, "{plain:?} {scanned:?}");
        assert!(lost(|row| row.store) < lost(|row| row.lru), "{plain:?} {scanned:?}");
        assert!(lost(|row| row.view) < lost(|row| row.lru), "{plain:?} {scanned:?}");
        assert!(around.lru < 0.01 && around.store > 0.2, "{around:?}");
    }
}
