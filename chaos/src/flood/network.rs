//! The links between nodes: latency, loss, duplicates, reordering, and cuts in either direction. Owns what may pass and when it
//! arrives; must never look into a message.

use super::{
    chance::Chance,
    moment::{MS, US},
    places::Places,
};

/// One way within a node, a zone, a region, and between regions.
const LOCAL_NS: u64 = 20 * US;
const ZONE_NS: u64 = 250 * US;
const REGION_NS: u64 = 750 * US;
const WORLD_NS: u64 = 35 * MS;
/// Mean of the random part of a latency, as a part of it.
const JITTER: f64 = 0.2;
/// Mean delay of a copy, and of a message that is overtaken.
const LATE_NS: f64 = 20.0 * MS as f64;
/// What a lost segment of a byte stream costs.
const RETRANSMIT_NS: u64 = 200 * MS;

/// How bad the links are, as probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weather {
    /// A message is lost.
    pub(crate) loss: f64,
    /// A message arrives twice.
    pub(crate) duplication: f64,
    /// A message is late by far.
    pub(crate) reordering: f64,
}

/// What was sent between different places.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Messages.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    places: Places,
    /// The zone of the central store that some limiters use.
    pub(crate) store_zone: usize,
    weather: Weather,
    /// Cut, by zone of the sender and zone of the receiver.
    cuts: Vec<bool>,
    /// Nodes without any link to others.
    alone: Vec<bool>,
    chance: Chance,
    /// What was sent so far.
    pub(crate) traffic: Traffic,
}

impl Network {
    /// Everything is connected.
    pub(crate) fn new(places: Places, weather: Weather, seed: u64) -> Self {
        Self {
            places,
            store_zone: 0,
            weather,
            cuts: vec![false; places.zones() * places.zones()],
            alone: vec![false; places.nodes() + 1],
            chance: Chance::new(seed, "network"),
            traffic: Traffic::default(),
        }
    }

    /// Cuts one direction between two zones.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        let at = from * self.places.zones() + to;
        if let Some(cut) = self.cuts.get_mut(at) {
            *cut = true;
        }
    }

    /// Cuts a zone off from all others.
    pub(crate) fn isolate_zone(&mut self, zone: usize) {
        for other in (0..self.places.zones()).filter(|other| *other != zone) {
            self.cut(zone, other);
            self.cut(other, zone);
        }
    }

    /// Cuts a region off from all others.
    pub(crate) fn isolate_region(&mut self, region: usize) {
        let zones = self.places.zones();
        for (from, to) in (0..zones).flat_map(|from| (0..zones).map(move |to| (from, to))) {
            if (self.places.region_of(from) == region) != (self.places.region_of(to) == region) {
                self.cut(from, to);
            }
        }
    }

    /// Cuts a node off from all others.
    pub(crate) fn isolate_node(&mut self, node: usize) {
        if let Some(alone) = self.alone.get_mut(node) {
            *alone = true;
        }
    }

    /// Undoes every cut.
    pub(crate) fn heal(&mut self) {
        self.cuts.fill(false);
        self.alone.fill(false);
    }

    /// Whether anything is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.cuts.contains(&true) || self.alone.contains(&true)
    }

    /// Whether messages pass in this direction.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        if from == to {
            return true;
        }
        let (a, b) = (self.zone_of(from), self.zone_of(to));
        !self.alone[from] && !self.alone[to] && !self.cuts[a * self.places.zones() + b]
    }

    /// Delays of the copies of a datagram that arrive.
    pub(crate) fn datagram(&mut self, from: usize, to: usize, bytes: usize) -> [Option<u64>; 2] {
        if from == to {
            return [Some(LOCAL_NS), None];
        }
        self.count(bytes);
        if !self.passes(from, to) || self.chance.happens(self.weather.loss) {
            return [None, None];
        }
        let mut first = self.latency(from, to);
        if self.chance.happens(self.weather.reordering) {
            first += self.chance.exponential(LATE_NS) as u64;
        }
        let again = self.chance.happens(self.weather.duplication);
        let second = again.then(|| self.latency(from, to) + self.chance.exponential(LATE_NS) as u64);
        [Some(first), second]
    }

    /// Delay of a message on a byte stream: loss only delays it. Absent where the link is cut. Without bytes it is not counted.
    pub(crate) fn stream(&mut self, from: usize, to: usize, bytes: usize) -> Option<u64> {
        if from == to {
            return Some(LOCAL_NS);
        }
        self.count(bytes);
        if !self.passes(from, to) {
            return None;
        }
        let resent = if self.chance.happens(self.weather.loss) { RETRANSMIT_NS } else { 0 };
        Some(self.latency(from, to) + resent)
    }

    fn count(&mut self, bytes: usize) {
        self.traffic.messages += u64::from(bytes > 0);
        self.traffic.bytes += bytes as u64;
    }

    fn latency(&mut self, from: usize, to: usize) -> u64 {
        let (a, b) = (self.zone_of(from), self.zone_of(to));
        let base = if a == b {
            ZONE_NS
        } else if self.places.region_of(a) == self.places.region_of(b) {
            REGION_NS
        } else {
            WORLD_NS
        };
        base + self.chance.exponential(base as f64 * JITTER) as u64
    }

    /// The store is the place after the last node.
    fn zone_of(&self, place: usize) -> usize {
        if place < self.places.nodes() { self.places.zone_of(place) } else { self.store_zone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts() {
        let places = Places { regions: 2, zones_per_region: 3, nodes_per_zone: 2 };
        let check = |change: &dyn Fn(&mut Network), expect: &[((usize, usize), bool)]| {
            let mut network = Network::new(places, Weather::default(), 1);
            change(&mut network);
            for ((from, to), passes) in expect {
                assert_eq!(network.passes(*from, *to), *passes, "{from} to {to}");
            }
            network.heal();
            assert!(expect.iter().all(|((from, to), _)| network.passes(*from, *to)));
        };
        check(&|n| n.isolate_zone(1), &[((2, 3), true), ((0, 2), false), ((2, 0), false), ((0, 11), true)]);
        check(&|n| n.isolate_region(0), &[((0, 5), true), ((5, 6), false), ((6, 5), false), ((6, 11), true)]);
        check(&|n| n.cut(0, 1), &[((0, 2), false), ((2, 0), true)]);
        check(&|n| n.isolate_node(3), &[((3, 2), false), ((2, 3), false), ((2, 4), true)]);
        check(&|n| n.isolate_zone(0), &[((12, 0), true), ((12, 2), false)]);
    }

    #[test]
    fn weather() {
        let weather = Weather { loss: 0.2, duplication: 0.3, reordering: 0.1 };
        let mut network = Network::new(Places::region(4), weather, 1);
        let copies: usize = (0..10_000).map(|_| network.datagram(0, 5, 10).iter().flatten().count()).sum();
        assert!((10_200..10_600).contains(&copies), "{copies}");
        assert_eq!((network.traffic.messages, network.traffic.bytes), (10_000, 100_000));
        assert!((0..100).all(|_| network.stream(0, 5, 10).is_some()));
    }
}
