//! What nodes say of their caches, as one list. Pure sums.

use std::{cmp::Reverse, collections::BTreeMap};

use tidegate_proto::{
    peer::{CacheEntryV1, CacheHeldV1, CacheStageV1},
    status::{CacheEntry, CacheStage},
};

/// Stages by API and name with the sums of all nodes, and answers with their uses on all nodes, most used first.
pub(super) fn merge(held: impl IntoIterator<Item = CacheHeldV1>) -> (Vec<CacheStage>, Vec<CacheEntry>) {
    let mut stages: BTreeMap<(String, String), CacheStage> = BTreeMap::new();
    let mut entries: BTreeMap<(String, String, u64), CacheEntryV1> = BTreeMap::new();
    for CacheHeldV1 { stages: own, entries: stored } in held {
        for stage in own {
            let sum = stages.entry((stage.api.clone(), stage.stage.clone())).or_default();
            add(sum, stage);
        }
        for entry in stored {
            let name = (entry.api.clone(), entry.stage.clone(), entry.key);
            match entries.get_mut(&name) {
                Some(known) => join(known, entry),
                None => drop(entries.insert(name, entry)),
            }
        }
    }
    let mut entries: Vec<CacheEntryV1> = entries.into_values().collect();
    entries.sort_by_cached_key(|entry| (Reverse(entry.hits), entry.path.clone(), entry.key));
    (stages.into_values().collect(), entries.into_iter().map(told).collect())
}

/// One answer as operators see it.
pub(super) fn told(entry: CacheEntryV1) -> CacheEntry {
    let CacheEntryV1 { key: _, api, stage, verb, resource, path, status, bytes, age_s, ttl_s, hits, tags } =
        entry;
    CacheEntry { api, stage, verb, resource, path, status, bytes, age_s, ttl_s, hits, tags }
}

fn add(sum: &mut CacheStage, one: CacheStageV1) {
    let CacheStageV1 { api, stage, entries, bytes, hits, misses, stale, coalesced, bypassed } = one;
    (sum.api, sum.stage) = (api, stage);
    sum.entries += entries;
    sum.bytes += bytes;
    sum.hits += hits;
    sum.misses += misses;
    sum.stale += stale;
    sum.coalesced += coalesced;
    sum.bypassed += bypassed;
}

/// Of copies the youngest is described; each takes its bytes, and each was used.
fn join(known: &mut CacheEntryV1, other: CacheEntryV1) {
    let (bytes, hits) = (known.bytes + other.bytes, known.hits + other.hits);
    if other.age_s < known.age_s {
        *known = other;
    }
    (known.bytes, known.hits) = (bytes, hits);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u64, path: &str, age_s: u64, hits: u64) -> CacheEntryV1 {
        let path = path.to_owned();
        CacheEntryV1 { key, api: "a".into(), path, age_s, hits, bytes: 10, ..CacheEntryV1::default() }
    }

    fn stage(api: &str, hits: u64) -> CacheStageV1 {
        CacheStageV1 { api: api.into(), hits, entries: 1, bypassed: 2, ..CacheStageV1::default() }
    }

    #[test]
    fn copies_are_one_answer_and_stages_are_added_up() {
        let held = [
            CacheHeldV1 {
                stages: vec![stage("a", 3), stage("b", 1)],
                entries: vec![entry(1, "/1", 9, 5), entry(2, "/2", 1, 7)],
            },
            CacheHeldV1 {
                stages: vec![stage("a", 4)],
                entries: vec![entry(1, "/1", 4, 6), entry(3, "/1", 0, 1)],
            },
        ];
        let (stages, entries) = merge(held);
        let stages: Vec<_> =
            stages.iter().map(|one| (one.api.as_str(), one.hits, one.entries, one.bypassed)).collect();
        assert_eq!(stages, [("a", 7, 2, 4), ("b", 1, 1, 2)]);
        let entries: Vec<_> =
            entries.iter().map(|one| (one.path.as_str(), one.hits, one.age_s, one.bytes)).collect();
        assert_eq!(entries, [("/1", 11, 4, 20), ("/2", 7, 1, 10), ("/1", 1, 0, 10)]);
    }
}
