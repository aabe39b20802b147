//! What the network between sites does to a packet: one line for each ordered pair of sites. Pure: time and chance are arguments.

use rand::Rng;

use super::site::{Extent, Site};
use crate::limits::LINE_QUEUE;

const MILLION: u32 = 1_000_000;

/// What happens on the way from one site to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Time on the way, in microseconds.
    pub(crate) delay_us: u32,
    /// Up to this much more, drawn for each packet; packets overtake each other by it.
    pub(crate) jitter_us: u32,
    /// Packets lost, of a million.
    pub(crate) loss_ppm: u32,
    /// Packets that arrive twice, of a million.
    pub(crate) duplicate_ppm: u32,
    /// Packets that skip the delay and so overtake others, of a million.
    pub(crate) reorder_ppm: u32,
    /// Bytes per second; 0 is no limit. Above it packets wait for up to [`LINE_QUEUE`], then are lost.
    pub(crate) bytes_per_s: u64,
    /// Nothing passes, and nobody is told.
    pub(crate) is_cut: bool,
}

/// The lines of all pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    sites: Vec<Site>,
    lines: Vec<Line>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It passes a cut line.
    Cut,
    /// It is lost by chance or because the line is full.
    Lost,
    /// It arrives at this time, and perhaps again.
    Arrives {
        /// In microseconds.
        at_us: u64,
        /// The second time, where there is one.
        again_us: Option<u64>,
    },
}

/// Delays of a healthy network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Distances {
    /// Round trip between regions, in microseconds.
    pub(crate) wan_rtt_us: u32,
    /// Added to one way between regions at most, in microseconds.
    pub(crate) wan_jitter_us: u32,
    /// Round trip between zones of a region, in microseconds.
    pub(crate) az_rtt_us: u32,
}

impl Table {
    /// A network in which nothing is wrong. The observer is near everybody.
    pub(crate) fn healthy(extent: Extent, distances: Distances) -> Self {
        let sites = extent.sites();
        let line = |from: Site, to: Site| match (from.region(), to.region()) {
            (Some(one), Some(other)) if one != other => Line {
                delay_us: distances.wan_rtt_us / 2,
                jitter_us: distances.wan_jitter_us,
                ..Line::default()
            },
            (Some(_), Some(_)) => Line { delay_us: distances.az_rtt_us / 2, ..Line::default() },
            _ => Line::default(),
        };
        let lines = sites.iter().flat_map(|from| sites.iter().map(|to| line(*from, *to))).collect();
        Self { sites, lines }
    }

    /// Position of a site, by which [`Table::line`] asks.
    pub(crate) fn index(&self, site: Site) -> Option<usize> {
        self.sites.iter().position(|own| *own == site)
    }

    /// All sites, in the order of [`Table::index`].
    pub(crate) fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The line between two positions.
    pub(crate) fn line(&self, from: usize, to: usize) -> Option<Line> {
        self.lines.get(from * self.sites.len() + to).copied()
    }

    /// Changes every line from a site to a different one that `chosen` takes.
    pub(crate) fn change(&mut self, chosen: impl Fn(Site, Site) -> bool, change: impl Fn(&mut Line)) {
        let count = self.sites.len();
        for (place, line) in self.lines.iter_mut().enumerate() {
            let (from, to) = (self.sites[place / count], self.sites[place % count]);
            if from != to && chosen(from, to) {
                change(line);
            }
        }
    }

    /// Sets the lines that `chosen` takes to what they are in `healthy`.
    pub(crate) fn mend(&mut self, healthy: &Self, chosen: impl Fn(Site, Site) -> bool) {
        let count = self.sites.len();
        for (place, (line, sound)) in self.lines.iter_mut().zip(&healthy.lines).enumerate() {
            if chosen(self.sites[place / count], self.sites[place % count]) {
                *line = *sound;
            }
        }
    }
}

impl Line {
    /// Decides about a packet of `bytes` that enters at `now_us`. `free_us` is when the line has sent all that entered before.
    pub(crate) fn carry(&self, now_us: u64, bytes: usize, free_us: &mut u64, random: &mut impl Rng) -> Fate {
        if self.is_cut {
            return Fate::Cut;
        }
        if hits(self.loss_ppm, random) {
            return Fate::Lost;
        }
        let begin_us = match self.bytes_per_s {
            0 => now_us,
            bytes_per_s => {
                let begin_us = (*free_us).max(now_us);
                if begin_us - now_us > LINE_QUEUE.as_micros() as u64 {
                    return Fate::Lost;
                }
                *free_us = begin_us + (bytes as u64 * u64::from(MILLION)).div_ceil(bytes_per_s);
                *free_us
            }
        };
        let mut arrival = || {
            let jitter = if self.jitter_us == 0 { 0 } else { random.random_range(0..=self.jitter_us) };
            let delay = if hits(self.reorder_ppm, random) { 0 } else { self.delay_us };
            begin_us + u64::from(delay) + u64::from(jitter)
        };
        let at_us = arrival();
        let again_us = arrival();
        let again_us = hits(self.duplicate_ppm, random).then_some(again_us);
        Fate::Arrives { at_us, again_us }
    }
}

fn hits(ppm: u32, random: &mut impl Rng) -> bool {
    ppm > 0 && random.random_range(0..MILLION) < ppm
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    const EXTENT: Extent = Extent { regions: 3, azs: 3 };
    const DISTANCES: Distances = Distances { wan_rtt_us: 80_000, wan_jitter_us: 2_000, az_rtt_us: 1_000 };

    fn az(region: u8, az: u8) -> Site {
        Site::Az { region, az }
    }

    fn line(table: &Table, from: Site, to: Site) -> Line {
        table.line(table.index(from).unwrap(), table.index(to).unwrap()).unwrap()
    }

    /// Of ten thousand packets: how many arrive, how many twice, the earliest and the latest arrival.
    fn send(line: Line) -> (u32, u32, u64, u64) {
        let mut random = SmallRng::seed_from_u64(7);
        let (mut arrived, mut twice, mut first, mut last, mut free) = (0, 0, u64::MAX, 0, 0);
        for _ in 0..10_000 {
            if let Fate::Arrives { at_us, again_us } = line.carry(1_000, 100, &mut free, &mut random) {
                arrived += 1;
                twice += u32::from(again_us.is_some());
                (first, last) = (first.min(at_us), last.max(at_us));
            }
        }
        (arrived, twice, first, last)
    }

    #[test]
    fn distances_follow_the_map() {
        let table = Table::healthy(EXTENT, DISTANCES);
        for (from, to, delay_us) in [
            (az(0, 0), az(1, 0), 40_000),
            (az(0, 0), az(0, 1), 500),
            (Site::Clients { region: 1 }, az(1, 2), 500),
            (Site::Clients { region: 1 }, az(2, 2), 40_000),
            (Site::Observer, az(2, 2), 0),
            (az(0, 2), Site::Observer, 0),
        ] {
            assert_eq!(line(&table, from, to).delay_us, delay_us, "{from} to {to}");
        }
    }

    #[test]
    fn a_cut_has_a_direction_and_is_mended() {
        let healthy = Table::healthy(EXTENT, DISTANCES);
        let mut table = healthy.clone();
        table.change(|from, to| from == az(0, 0) && to != Site::Observer, |line| line.is_cut = true);
        assert!(line(&table, az(0, 0), az(1, 0)).is_cut && line(&table, az(0, 0), az(0, 1)).is_cut);
        assert!(!line(&table, az(1, 0), az(0, 0)).is_cut && !line(&table, az(0, 0), Site::Observer).is_cut);
        table.mend(&healthy, |from, _| from == az(0, 0));
        assert_eq!(table, healthy);
    }

    #[test]
    fn lines_do_what_they_say() {
        let sound = Line { delay_us: 500, ..Line::default() };
        assert_eq!(send(sound), (10_000, 0, 1_500, 1_500));
        assert_eq!(send(Line { is_cut: true, ..sound }).0, 0);
        assert!((8_850..9_150).contains(&send(Line { loss_ppm: 100_000, ..sound }).0));
        assert!((1_850..2_150).contains(&send(Line { duplicate_ppm: 200_000, ..sound }).1));
        let (_, _, first, last) = send(Line { jitter_us: 300, ..sound });
        assert!(first < 1_510 && last > 1_790 && last <= 1_800, "{first} {last}");
        assert_eq!(send(Line { reorder_ppm: 10_000, ..sound }).2, 1_000);
    }

    #[test]
    fn a_narrow_line_delays_and_then_loses() {
        // 100 bytes take 1 ms; what would wait longer than the queue is lost.
        let (arrived, _, first, last) = send(Line { bytes_per_s: 100_000, ..Line::default() });
        let queue_us = LINE_QUEUE.as_micros() as u64;
        assert_eq!((first, u64::from(arrived)), (2_000, queue_us / 1_000 + 1));
        assert_eq!(last, 1_000 + queue_us + 1_000);
    }

    #[test]
    fn the_same_seed_decides_the_same() {
        let line = Line { loss_ppm: 300_000, jitter_us: 500, duplicate_ppm: 10_000, ..Line::default() };
        assert_eq!(send(line), send(line));
    }
}
