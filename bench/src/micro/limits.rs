//! The decision over five limits: an API key's rate and quota in its plan, the method, the stage and the account, all or nothing.
//! The time of arrival and the limits are given, as the data plane has them already: finding the key is measured with the
//! decision about a whole request.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tidegate_proto::ledger::{ChunkGrantV1, GrantV1, OpenV1, WHOLE};
use tidegate_throttle::{
    Agent, Bank, Identity, Index, Kind, LimitRef, Name, Now, Period, Policy, SHARDS, Scope, Spec, Timing,
    Verdict,
};

use crate::case::Case;

const DAY: u32 = 20_000;
/// As many decisions as are drawn beforehand; then they begin again.
const DRAWS: usize = 1 << 18;

pub(super) fn cases() -> Vec<Case> {
    vec![
        decide(FEW, 1_000, 60.0),
        visit(1_000_000),
        decide("five limits, 1,000,000 keys by Zipf's law", 1_000_000, 90.0).or_below_sum(&[FEW, VISIT]),
    ]
}

const FEW: &str = "five limits, 1,000 keys";
const VISIT: &str = "one word of 1,000,000 by Zipf's law";

/// What a decision about one of very many keys cannot do without: a visit to its row of memory, one after the other as requests come.
fn visit(keys: usize) -> Case {
    let rows: Vec<[AtomicU64; 4]> = (0..keys).map(|_| [const { AtomicU64::new(1) }; 4]).collect();
    let draws = draws(keys);
    let (mut at, mut found) = (0, 0);
    Case::new(VISIT, move || {
        // Where the next one is depends on what was found, so that no two visits overlap.
        at = (at + 1 + (found >> 63) as usize) % DRAWS;
        if let Some([word, ..]) = draws.get(at).and_then(|key| rows.get(*key as usize)) {
            found = word.fetch_add(1, Relaxed);
        }
    })
}

fn decide(name: &str, keys: usize, bound_ns: f64) -> Case {
    let (bank, limits) = plane(keys);
    let draws: Vec<LimitRef> =
        draws(keys).into_iter().filter_map(|key| limits.keys.get(key as usize).copied()).collect();
    let (mut at, mut now_ns) = (0, 1_000_000_000_u64);
    Case::new(name.to_owned(), move || {
        at = (at + 1) % DRAWS;
        now_ns += 100;
        let Some(key) = draws.get(at) else { return };
        let all = [*key, limits.method, limits.stage, limits.account];
        let verdict = bank.decide(black_box(&all), black_box(now_ns), || now_ns);
        debug_assert_eq!(verdict, Verdict::Admitted);
        black_box(verdict);
    })
    .below_ns(bound_ns)
}

struct Limits {
    keys: Vec<LimitRef>,
    method: LimitRef,
    stage: LimitRef,
    account: LimitRef,
}

/// A node that has a session with every shard, and a chunk of every key's quota in hand.
fn plane(keys: usize) -> (Arc<Bank>, Limits) {
    let bank = Arc::new(Bank::new());
    let mut agent =
        Agent::new(Identity { holder: 1, incarnation: 1, has_lived: false }, Timing::default(), bank.clone());
    let mut builder = Index::default().succeed(1, 0);
    let rate = Spec::rate(1e9, 1e9, Policy::default(), 1);
    let quota = Spec::quota(u32::MAX, 0, Period::Day, DAY, Scope::Region);
    let name = |key: usize| Name::of(&format!("plan/p/key/{key}"));
    let mut declare = |name: Name, text: &str, quota| builder.declare(name, Some((text, rate)), quota);
    let all: Option<Vec<LimitRef>> =
        (0..keys).map(|key| declare(name(key), "plan/rate", Some(("plan/quota", quota)))).collect();
    let mut one = |text: &str| declare(Name::of(text), text, None);
    let (method, stage, account) = (one("method"), one("stage"), one("account"));
    let (Some(all), Some(method), Some(stage), Some(account)) = (all, method, stage, account) else {
        return (bank, Limits { keys: Vec::new(), method: NOWHERE, stage: NOWHERE, account: NOWHERE });
    };
    let now = Now { now_ns: 1, boot_ns: 1 };
    agent.adopt(Arc::new(builder.finish()), now);
    let session = |epoch, open, chunks| GrantV1 {
        term: 1,
        epoch,
        echo_ns: 1,
        lease_ns: u64::MAX / 2,
        holders: 1,
        day: DAY,
        open,
        chunks,
        ..GrantV1::default()
    };
    let open = || Some(OpenV1 { incarnation: 1, unit: WHOLE, slices: Vec::new() });
    (0..SHARDS).for_each(|shard| agent.take_in(now, shard, &session(1, open(), Vec::new())));
    for limit in &all {
        let _starved = bank.decide(&[*limit], 1, || 1);
    }
    agent.poll(now);
    let kind = Kind::Quota(Period::Day);
    for shard in 0..SHARDS {
        let mine = (0..keys).map(name).filter(|name| name.shard() == shard);
        let chunk = |name: Name| ChunkGrantV1 {
            limit: name.limit(kind).number(),
            period: Period::Day.number(DAY),
            granted: u32::MAX,
            ..ChunkGrantV1::default()
        };
        agent.take_in(now, shard, &session(1, None, mine.map(chunk).collect()));
    }
    (bank, Limits { keys: all, method, stage, account })
}

const NOWHERE: LimitRef =
    LimitRef { cell: tidegate_throttle::NONE, rate: tidegate_throttle::NONE, quota: tidegate_throttle::NONE };

/// Keys by Zipf's law with exponent 1, from a fixed seed.
pub(super) fn draws(keys: usize) -> Vec<u32> {
    let mut sums = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let part = (state >> 11) as f64 / (1u64 << 53) as f64;
        let rank = sums.partition_point(|reached| *reached < part * sum).min(keys - 1);
        // Neighbours in rank are no neighbours in memory.
        (rank as u64 * 0x9e37_79b1 % keys as u64) as u32
    };
    (0..DRAWS).map(|_| draw()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_admits() {
        let (bank, limits) = plane(50);
        for (now_ns, key) in limits.keys.iter().enumerate() {
            let all = [*key, limits.method, limits.stage, limits.account];
            assert_eq!(bank.decide(&all, now_ns as u64 + 10, || 10), Verdict::Admitted);
        }
        assert!(draws(50).iter().all(|key| (*key as usize) < 50));
    }
}
