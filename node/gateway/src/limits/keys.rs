//! API keys by the SHA-256 of their values. Owns the table; a value is hashed once per request and never kept.

use tidegate_proto::compiled::limits::{LimitsV1, PlanV1};
use tidegate_throttle::{Builder, Holders, NONE};

use super::{
    Gate, Level, holders,
    names::{key_method_name, plan_limit_name, plan_method_text},
    quota, spec,
};

/// A key that was found, and which of its plans applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    key: u32,
    membership: u32,
}

/// All API keys: an open-addressed table of places over the keys.
#[derive(Debug, Default)]
pub struct KeyTable {
    slots: Box<[u32]>,
    keys: Box<[Entry]>,
    memberships: Box<[Membership]>,
    methods: Box<[Option<Gate>]>,
}

#[derive(Debug)]
struct Entry {
    digest: [u8; 32],
    id: Box<str>,
    enabled: bool,
    /// First of its memberships; the next key's is one past its last.
    first: u32,
}

/// A key in a plan.
#[derive(Clone, Copy, Debug)]
struct Membership {
    plan: u32,
    gate: Option<Gate>,
    /// First of its limits for single methods.
    methods: u32,
}

impl KeyTable {
    /// Declares the limits of every key.
    pub(super) fn build(compiled: &LimitsV1, builder: &mut Builder) -> Self {
        let holders = holders(compiled);
        let (mut keys, mut memberships, mut methods) = (Vec::new(), Vec::new(), Vec::new());
        for key in &compiled.keys {
            let first = memberships.len() as u32;
            for place in &key.plans {
                let Some(plan) = compiled.plans.get(*place as usize) else { continue };
                let gate = plan_gate(plan, &key.id, holders, builder);
                memberships.push(Membership { plan: *place, gate, methods: methods.len() as u32 });
                method_gates(plan, &key.id, holders, builder, &mut methods);
            }
            keys.push(Entry { digest: key.digest, id: key.id.as_str().into(), enabled: key.enabled, first });
        }
        let mut slots = vec![NONE; (keys.len() * 2).next_power_of_two().max(1)].into_boxed_slice();
        for (place, key) in keys.iter().enumerate() {
            let mut at = start(&key.digest, slots.len());
            while slots.get(at).is_some_and(|slot| *slot != NONE) {
                at = (at + 1) & (slots.len() - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = place as u32;
            }
        }
        Self { slots, keys: keys.into(), memberships: memberships.into(), methods: methods.into() }
    }

    /// The key with a digest, where it is enabled and `covers` says yes to one of its plans.
    pub(super) fn find(&self, digest: &[u8; 32], covers: impl Fn(u32) -> bool) -> Option<Known> {
        let mut at = start(digest, self.slots.len());
        loop {
            let place = *self.slots.get(at)?;
            // The table is never more than half full, so an empty slot comes.
            let key = self.keys.get(place as usize)?;
            if key.digest == *digest {
                let last = self
                    .keys
                    .get(place as usize + 1)
                    .map_or(self.memberships.len() as u32, |next| next.first);
                let mut range = key.first..last;
                let membership = range.find(|at| {
                    self.memberships.get(*at as usize).is_some_and(|membership| covers(membership.plan))
                });
                return membership.filter(|_| key.enabled).map(|membership| Known { key: place, membership });
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    pub(super) fn id(&self, known: Known) -> Option<&str> {
        self.keys.get(known.key as usize).map(|key| &*key.id)
    }

    /// The plan of a membership, and its limit.
    pub(super) fn gate(&self, known: Known) -> Option<(u32, Option<Gate>)> {
        let membership = self.memberships.get(known.membership as usize)?;
        Some((membership.plan, membership.gate))
    }

    /// A limit of a membership for one method, by its number in the plan.
    pub(super) fn method_gate(&self, known: Known, number: u32) -> Option<Gate> {
        let membership = self.memberships.get(known.membership as usize)?;
        self.methods.get((membership.methods + number) as usize).copied().flatten()
    }
}

fn start(digest: &[u8; 32], slots: usize) -> usize {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) as usize & slots.saturating_sub(1)
}

fn plan_gate(plan: &PlanV1, key: &str, holders: Holders, builder: &mut Builder) -> Option<Gate> {
    let (rate_text, quota_text) = (format!("plan/{}/rate", plan.id), format!("plan/{}/quota", plan.id));
    let rate = plan.rate.map(|rate| (rate_text.as_str(), spec(rate, plan.policy, holders)));
    let size = plan.quota.map(|size| (quota_text.as_str(), quota(size, plan.policy)));
    if rate.is_none() && size.is_none() {
        return None;
    }
    let limit = builder.declare(plan_limit_name(&plan.id, key), rate, size)?;
    let level = if plan.rate.is_some() { Level::Plan } else { Level::Quota };
    Some(Gate { limit, level, rate: plan.rate, quota: plan.quota })
}

/// In the order of the plan's stages and their methods.
fn method_gates(
    plan: &PlanV1,
    key: &str,
    holders: Holders,
    builder: &mut Builder,
    out: &mut Vec<Option<Gate>>,
) {
    for stage in &plan.stages {
        for method in &stage.methods {
            let place = plan_method_text(&plan.id, &stage.api, &stage.stage, &method.verb, &method.path);
            let gate = method.rate.and_then(|rate| {
                let name = key_method_name(&place, key);
                let limit = builder.declare(name, Some((&place, spec(rate, plan.policy, holders))), None)?;
                Some(Gate { limit, level: Level::PlanMethod, rate: Some(rate), quota: None })
            });
            out.push(gate);
        }
    }
}
