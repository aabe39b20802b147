//! Draws random cases: a few seconds of load on few nodes, and faults that overlap. Owns their proportions. The last seconds are
//! free of faults, so that what does not recover shows.

use super::case::{Case, Mode};
use crate::flood::{
    chance::Chance,
    fault::{Fault, Part, Timed},
};

/// Zones of a region.
const ZONES: usize = 3;
/// The first fault comes after so long, in milliseconds.
const QUIET_START_MS: f64 = 800.0;
/// Mean time between faults: the least, in milliseconds, and how many times more it is at most.
const PAUSE_MIN_MS: f64 = 200.0;
const PAUSE_RANGE: f64 = 15.0;
/// Worst links, as probabilities.
const LOSS_MAX: f64 = 0.2;

/// The case of a seed.
pub(super) fn case(mode: Mode, seed: u64) -> Case {
    let mut chance = Chance::new(seed, "case");
    let quiet_s = mode.quiet_end_ms() as f64 / 1e3;
    // Leases of regions are longer.
    let (least_s, range_s) = if mode == Mode::Global { (5.0, 7.0) } else { (2.0, 5.0) };
    let seconds = (least_s + quiet_s + range_s * chance.fraction()).round();
    let is_fair = chance.happens(0.4);
    let mut probability =
        |most: f64| if is_fair { 0.0 } else { (100.0 * most * chance.fraction()).round() / 100.0 };
    let (loss, duplication, reordering) = (probability(LOSS_MAX), probability(LOSS_MAX), probability(0.1));
    let nodes_per_zone = if mode.regions() > 1 { 1 } else { 1 + chance.below(2) };
    let shared = if matches!(mode, Mode::Mixed | Mode::Global) { chance.below(4) } else { 0 };
    let mut case = Case {
        note: String::new(),
        mode,
        seed,
        seconds,
        nodes_per_zone,
        keys: 12 + chance.below(30),
        shared,
        requests_per_second: 1_500.0 + 2_500.0 * chance.fraction().powi(2),
        loss,
        duplication,
        reordering,
        drift_ppm: 200.0,
        faults: Vec::new(),
    };
    case.requests_per_second = case.requests_per_second.round();
    let faults = Draft::new(&case, chance).faults();
    case.faults = faults.iter().map(ToString::to_string).collect();
    case
}

/// A schedule in the making.
struct Draft {
    mode: Mode,
    limits: usize,
    zones: usize,
    nodes: usize,
    end_ms: u64,
    chance: Chance,
    faults: Vec<Timed>,
    /// Links stay cut until then.
    cut_until_ms: u64,
}

impl Draft {
    fn new(case: &Case, chance: Chance) -> Self {
        Self {
            mode: case.mode,
            limits: case.keys + case.shared,
            zones: case.mode.regions() * ZONES,
            nodes: case.nodes_per_zone * case.mode.regions() * ZONES,
            end_ms: (case.seconds * 1e3) as u64 - case.mode.quiet_end_ms(),
            chance,
            faults: Vec::new(),
            cut_until_ms: 0,
        }
    }

    fn faults(mut self) -> Vec<Timed> {
        // From one fault that nothing interrupts to many at a time.
        let pause_ms = PAUSE_MIN_MS * PAUSE_RANGE.powf(self.chance.fraction());
        let mut at = QUIET_START_MS + self.chance.exponential(300.0);
        while (at as u64) < self.end_ms {
            self.add(at as u64);
            at += 30.0 + self.chance.exponential(pause_ms);
        }
        self.push(self.end_ms, Fault::Heal);
        for node in 0..self.nodes {
            self.push(self.end_ms, Fault::Resume(Part::Node(node)));
            self.push(self.end_ms, Fault::Start(Part::Node(node)));
        }
        self.faults.sort_by_key(|timed| timed.at_ms);
        self.needed()
    }

    fn add(&mut self, at: u64) {
        let node = self.chance.below(self.nodes);
        let zone = self.chance.below(self.zones);
        // Some last for longer than any lease.
        let is_long = self.chance.happens(0.35);
        let lasts = if is_long {
            self.chance.between(2_000.0, 5_000.0)
        } else {
            50.0 + self.chance.exponential(600.0)
        };
        let until = at + lasts as u64;
        if self.mode == Mode::Global && self.chance.happens(0.3) {
            return self.add_to_region(at, until);
        }
        match self.chance.below(14) {
            0 | 1 => self.both(at, Fault::Kill(Part::Node(node)), until, Fault::Start(Part::Node(node))),
            2 => self.both(at, Fault::Kill(Part::Zone(zone)), until, Fault::Start(Part::Zone(zone))),
            3 | 4 => self.both(at, Fault::Pause(Part::Node(node)), until, Fault::Resume(Part::Node(node))),
            5 | 6 => self.both(at, Fault::Isolate(Part::Zone(zone)), until, Fault::Heal),
            7 => self.both(at, Fault::Isolate(Part::Node(node)), until, Fault::Heal),
            8 | 9 => {
                let other = (zone + 1 + self.chance.below(self.zones - 1)) % self.zones;
                self.both(at, Fault::Cut(zone, other), until, Fault::Heal);
            }
            10 | 11 => {
                let shard = self.chance.below(if self.mode == Mode::Global { ZONES + 1 } else { ZONES });
                let which = self.chance.happens(0.7).then_some(shard);
                self.push(at, Fault::Depose(which));
            }
            12 if matches!(self.mode, Mode::Quota | Mode::Mixed | Mode::Global) => self.push(at, Fault::Day),
            _ => {
                let limit = self.chance.below(self.limits);
                let factor = [0.5, 0.8, 1.5, 3.0][self.chance.below(4)];
                self.push(at, Fault::Scale(limit, factor));
            }
        }
    }

    /// A whole region is cut off for longer than its lease or shorter, or dies.
    fn add_to_region(&mut self, at: u64, until: u64) {
        let region = Part::Region(self.chance.below(self.mode.regions()));
        match self.chance.below(5) {
            0 => self.both(at, Fault::Kill(region), until, Fault::Start(region)),
            1 => self.both(at, Fault::Pause(region), until, Fault::Resume(region)),
            2 => self.both(at, Fault::Isolate(region), until, Fault::Heal),
            _ => self.both(at, Fault::Isolate(region), until + 5_000, Fault::Heal),
        }
    }

    /// One healing undoes every cut, so it waits for the longest.
    fn both(&mut self, at: u64, fault: Fault, until: u64, end: Fault) {
        self.push(at, fault);
        if end == Fault::Heal {
            self.cut_until_ms = self.cut_until_ms.max(until);
        }
        let until = if end == Fault::Heal { self.cut_until_ms } else { until };
        self.push(until.min(self.end_ms), end);
    }

    fn push(&mut self, at_ms: u64, fault: Fault) {
        self.faults.push(Timed { at_ms, fault });
    }

    /// Without what would do nothing.
    fn needed(self) -> Vec<Timed> {
        let mut hit = vec![false; self.nodes];
        let (per_zone, per_region) = (self.nodes / self.zones, self.nodes / self.mode.regions());
        for timed in &self.faults {
            match timed.fault {
                Fault::Kill(Part::Node(node)) | Fault::Pause(Part::Node(node)) => hit[node] = true,
                Fault::Kill(Part::Zone(zone)) => hit[zone * per_zone..(zone + 1) * per_zone].fill(true),
                Fault::Kill(Part::Region(region)) | Fault::Pause(Part::Region(region)) => {
                    hit[region * per_region..(region + 1) * per_region].fill(true);
                }
                _ => {}
            }
        }
        let is_needed = |timed: &Timed| match timed.fault {
            Fault::Resume(Part::Node(node)) | Fault::Start(Part::Node(node)) => hit[node],
            _ => true,
        };
        self.faults.into_iter().filter(is_needed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_can_be_run_and_repeat() {
        for seed in 0..200 {
            let mode = if seed % 4 == 0 { Mode::Global } else { Mode::Mixed };
            let drawn = case(mode, seed);
            assert_eq!(drawn, case(mode, seed));
            let course = drawn.course().unwrap();
            assert!(course.faults.is_sorted_by_key(|fault| fault.at_ms));
            let end_ms = (drawn.seconds * 1e3) as u64 - mode.quiet_end_ms();
            assert!(course.faults.iter().all(|fault| fault.at_ms <= end_ms));
        }
    }
}
