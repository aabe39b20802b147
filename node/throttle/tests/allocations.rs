//! A decision over five limits allocates nothing, admitted or refused: a counting allocator around a node's bank.

use std::{alloc::System, sync::Arc};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidegate_throttle::{
    Agent, Bank, Identity, Index, LimitRef, Name, Now, Period, Policy, Scope, Spec, Timing, Verdict,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An API key's rate and quota, a method, a stage and an account on a node that has no session: `burst` requests are admitted.
fn plane(burst: f64) -> (Arc<Bank>, Vec<LimitRef>) {
    let bank = Arc::new(Bank::new());
    let identity = Identity { holder: 1, incarnation: 1, has_lived: false };
    let mut agent = Agent::new(identity, Timing::default(), bank.clone());
    let mut builder = Index::default().succeed(1, 1);
    let rate = |burst| Spec::rate(0.001, burst, Policy::default(), 1);
    let quota = Spec::quota(5, 0, Period::Day, 20_000, Scope::Region);
    let limits = [("key", burst), ("method", 1e6), ("stage", 1e6), ("account", 1e6)]
        .map(|(name, burst)| {
            // A quota that nothing was granted of refuses, so the key of requests that are to be admitted has none.
            let quota = (name == "key" && burst < 1e6).then_some(("quota", quota));
            builder.declare(Name::of(name), Some((name, rate(burst))), quota).unwrap()
        })
        .to_vec();
    agent.adopt(Arc::new(builder.finish()), Now { now_ns: 1, boot_ns: 1 });
    (bank, limits)
}

#[test]
fn a_decision_allocates_nothing() {
    for (burst, is_admitted) in [(1e6, true), (100.0, false)] {
        let (bank, limits) = plane(burst);
        let region = Region::new(ALLOCATOR);
        let admitted = (2..10_002)
            .filter(|now_ns| bank.decide(&limits, *now_ns, || *now_ns) == Verdict::Admitted)
            .count();
        let change = region.change();
        assert_eq!((change.allocations, change.reallocations), (0, 0), "admitted: {is_admitted}");
        assert_eq!(admitted == 10_000, is_admitted, "{admitted} of 10,000");
    }
}
