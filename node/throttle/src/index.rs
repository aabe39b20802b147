//! Which limits exist on a node and where their state is. Owns the places: a limit keeps its cell for as long as it exists,
//! across compilations, and a place is given to another limit only when no request can still use it. An index never changes;
//! the next one is built beside it.

use std::collections::{BTreeMap, HashMap};

use tidegate_proto::limits::{LIMIT_SPECS_MAX, LIMITS_MAX};

use crate::{
    bank::{LimitRef, NONE},
    limit::{Holders, Kind, LEDGERS, LimitId, Name, Scope, Spec},
};

#[cfg(test)]
mod tests;

/// A place stays unused for this long after its limit is gone: longer than any request that may still refer to it.
const REST_NS: u64 = 120_000_000_000;

/// All limits of a node.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// By cell.
    entries: Vec<Entry>,
    /// Cells in the order of their keys.
    order: Vec<u32>,
    /// By place.
    specs: Vec<Option<Described>>,
    spec_places: BTreeMap<SpecKey, u32>,
    /// Places that nothing uses, with the time since when.
    idle_cells: Vec<(u64, u32)>,
    idle_specs: Vec<(u64, u32)>,
    holders: Holders,
    /// By ledger.
    uses: [bool; LEDGERS],
    /// Declarations that found no room.
    dropped: usize,
}

/// What a cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `None` while the cell rests.
    pub(crate) key: Option<CellKey>,
    rate: u32,
    quota: u32,
}

impl Entry {
    const RESTING: Self = Self { key: None, rate: NONE, quota: NONE };

    /// Place of the specification of its rate.
    pub(crate) fn rate(&self) -> Option<u32> {
        Some(self.rate).filter(|place| *place != NONE)
    }

    /// Place of the specification of its quota.
    pub(crate) fn quota(&self) -> Option<u32> {
        Some(self.quota).filter(|place| *place != NONE)
    }
}

/// A limit that changes the kind of its rate, or its reach, gets another cell, because the same bits would mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CellKey {
    pub(crate) name: Name,
    rate: Option<Kind>,
    scope: Scope,
}

/// A specification and the ledger of the limits that share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Described {
    pub(crate) spec: Spec,
    pub(crate) ledger: usize,
    /// When it was first declared, on the clock of the builder.
    pub(crate) since_ns: u64,
}

/// Limits of one plan share a specification per ledger, because each ledger has a lease of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SpecKey {
    name: Name,
    kind: Kind,
    ledger: usize,
}

/// Declares the limits of the next index.
#[derive(Debug)]
pub struct Builder {
    next: Index,
    /// Cells of the index before, by key, that nothing has claimed yet.
    unclaimed: HashMap<CellKey, u32>,
    unclaimed_specs: BTreeMap<SpecKey, u32>,
    now_ns: u64,
}

impl Index {
    /// Begins the next index. `holders` says how many nodes share limits, `now_ns` is now on the clock of leases.
    pub fn succeed(&self, holders: impl Into<Holders>, now_ns: u64) -> Builder {
        let live = self.entries.iter().enumerate();
        let unclaimed = live.filter_map(|(cell, entry)| Some((entry.key?, cell as u32)));
        Builder {
            unclaimed: unclaimed.collect(),
            unclaimed_specs: self.spec_places.clone(),
            next: Self {
                order: Vec::new(),
                spec_places: BTreeMap::new(),
                holders: holders.into(),
                dropped: 0,
                ..self.clone()
            },
            now_ns,
        }
    }

    /// How many shared limits when it was built.
    pub fn holders(&self) -> Holders {
        self.holders
    }

    /// Limits that are not held because there is no room for them.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Number of limits.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The specification of a limit, where this node knows it and keeps it the same way.
    pub fn spec(&self, limit: LimitId) -> Option<&Spec> {
        self.find(limit).and_then(|(_, place)| self.described(place)).map(|described| &described.spec)
    }

    /// When the specification of a limit was first declared, on the clock of the builders.
    pub(crate) fn since(&self, limit: u64) -> Option<u64> {
        let (_, place) = LimitId::new(limit).and_then(|id| self.find(id))?;
        self.described(place).map(|described| described.since_ns)
    }

    /// Whether nodes have leases of any limit from `ledger`.
    pub fn uses(&self, ledger: usize) -> bool {
        self.uses.get(ledger).is_some_and(|uses| *uses)
    }

    /// Cell and place of the specification of a limit.
    pub(crate) fn find(&self, limit: LimitId) -> Option<(u32, u32)> {
        let (name, kind) = (limit.name(), limit.kind());
        let from = self.order.partition_point(|cell| self.key(*cell).is_some_and(|key| key.name < name));
        let same = self
            .order
            .iter()
            .skip(from)
            .take_while(|cell| self.key(**cell).is_some_and(|key| key.name == name));
        for cell in same {
            let entry = self.entry(*cell)?;
            let place = if matches!(kind, Kind::Quota(_)) { entry.quota() } else { entry.rate() };
            let is_it = |spec: &Spec| spec.kind == kind && spec.scope == limit.scope();
            if let Some(place) =
                place.filter(|place| self.described(*place).is_some_and(|described| is_it(&described.spec)))
            {
                return Some((*cell, place));
            }
        }
        None
    }

    pub(crate) fn entry(&self, cell: u32) -> Option<Entry> {
        self.entries.get(cell as usize).copied()
    }

    pub(crate) fn described(&self, place: u32) -> Option<&Described> {
        self.specs.get(place as usize)?.as_ref()
    }

    /// All specifications with their places.
    pub(crate) fn specs(&self) -> impl Iterator<Item = (u32, &Described)> {
        self.specs
            .iter()
            .enumerate()
            .filter_map(|(place, described)| Some((place as u32, described.as_ref()?)))
    }

    /// One past the last cell.
    pub(crate) fn cells(&self) -> u32 {
        self.entries.len() as u32
    }

    fn key(&self, cell: u32) -> Option<CellKey> {
        self.entries.get(cell as usize)?.key
    }
}

impl Builder {
    /// Declares a limit: `name` says what is limited, the texts name the specifications, which limits of one plan share.
    /// `None` when there is no room.
    pub fn declare(
        &mut self,
        name: Name,
        rate: Option<(&str, Spec)>,
        quota: Option<(&str, Spec)>,
    ) -> Option<LimitRef> {
        let scope = rate.or(quota).map_or(Scope::Region, |(_, spec)| spec.scope);
        let key = CellKey { name, rate: rate.map(|(_, spec)| spec.kind), scope };
        let rate = self.place(rate, name)?;
        let quota = self.place(quota, name)?;
        let cell = match self.unclaimed.remove(&key) {
            Some(cell) => Some(cell),
            None => self.free_cell(),
        };
        let Some(cell) = cell else {
            self.next.dropped += 1;
            return None;
        };
        let (rate, quota) = (rate.unwrap_or(NONE), quota.unwrap_or(NONE));
        if let Some(entry) = self.next.entries.get_mut(cell as usize) {
            *entry = Entry { key: Some(key), rate, quota };
        }
        self.next.order.push(cell);
        Some(LimitRef { cell, rate, quota })
    }

    /// The index; what was not declared again is gone.
    pub fn finish(self) -> Index {
        let Self { mut next, unclaimed, unclaimed_specs, now_ns } = self;
        for cell in unclaimed.into_values() {
            if let Some(entry) = next.entries.get_mut(cell as usize) {
                *entry = Entry::RESTING;
            }
            next.idle_cells.push((now_ns, cell));
        }
        for place in unclaimed_specs.into_values() {
            if let Some(slot) = next.specs.get_mut(place as usize) {
                *slot = None;
            }
            next.idle_specs.push((now_ns, place));
        }
        next.uses = std::array::from_fn(|ledger| next.spec_places.keys().any(|key| key.ledger == ledger));
        let entries = &next.entries;
        next.order.sort_unstable_by_key(|cell| entries.get(*cell as usize).and_then(|entry| entry.key));
        next.order.dedup();
        next
    }

    fn place(&mut self, wanted: Option<(&str, Spec)>, name: Name) -> Option<Option<u32>> {
        let Some((text, spec)) = wanted else { return Some(None) };
        let ledger = name.limit_over(spec.kind, spec.scope).ledger();
        let key = SpecKey { name: Name::of(text), kind: spec.kind, ledger };
        let known = match self.next.spec_places.get(&key).copied() {
            Some(place) => return Some(Some(place)),
            None => self.unclaimed_specs.remove(&key),
        };
        let Some(place) = known.or_else(|| self.free_spec()) else {
            self.next.dropped += 1;
            return None;
        };
        if let Some(slot) = self.next.specs.get_mut(place as usize) {
            let since_ns = slot.map_or(self.now_ns, |before| before.since_ns);
            *slot = Some(Described { spec, ledger, since_ns });
        }
        self.next.spec_places.insert(key, place);
        Some(Some(place))
    }

    fn free_cell(&mut self) -> Option<u32> {
        rested(&mut self.next.idle_cells, self.now_ns).or_else(|| {
            let cell = self.next.entries.len();
            (cell < LIMITS_MAX).then(|| self.next.entries.push(Entry::RESTING))?;
            Some(cell as u32)
        })
    }

    fn free_spec(&mut self) -> Option<u32> {
        rested(&mut self.next.idle_specs, self.now_ns).or_else(|| {
            let place = self.next.specs.len();
            (place < LIMIT_SPECS_MAX).then(|| self.next.specs.push(None))?;
            Some(place as u32)
        })
    }
}

/// A place that has rested long enough; the longest rested ones come first.
fn rested(idle: &mut Vec<(u64, u32)>, now_ns: u64) -> Option<u32> {
    let (since, _) = idle.first()?;
    (now_ns.saturating_sub(*since) >= REST_NS).then(|| idle.remove(0).1)
}
