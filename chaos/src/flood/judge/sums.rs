//! Sums up what a judge saw into figures. Owns their definitions, which are those the design was measured with; must never
//! change what was counted.

use super::{BIN_NS, Bin, Book, Figure, Figures, Judge, WAIT_BIN_NS};
use crate::flood::moment::{MS, SECOND, seconds};

/// A limit is short when the ideal refuses at least this part of its requests.
const SHORT: f64 = 0.05;
/// Clients below this part of their limit must not be refused.
const MODEST: f64 = 0.7;
/// Recovered is what fills so much, and stays there.
const RECOVERED: f64 = 0.95;
/// Fewer requests say nothing.
const ENOUGH: f64 = 500.0;
/// Bins of a second.
const SECOND_BINS: usize = (SECOND / BIN_NS) as usize;

impl Judge {
    /// The figures of the run so far; those of cost are the limiter's own.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::new();
        let short: Vec<usize> = (0..self.books.len()).filter(|at| self.books[*at].is_short()).collect();
        self.set_shares(&short, &mut figures);
        self.set_excess(&mut figures);
        self.set_faults(&short, &mut figures);
        figures.set(Figure::FalseRejects, 100.0 * self.false_rejects());
        figures.set(Figure::Unfairness, 100.0 * self.unfairness(&short));
        figures.set(Figure::WaitP50, self.wait_ms(0.5));
        figures.set(Figure::WaitP99, self.wait_ms(0.99));
        let of_decisions = |count: u64| 100.0 * count as f64 / (self.decisions as f64).max(1.0);
        figures.set(Figure::Waited, of_decisions(self.waited));
        let in_vain = self.books.iter().map(|book| book.counts.in_vain).sum();
        figures.set(Figure::InVain, of_decisions(in_vain));
        figures
    }

    /// Admissions as a part of the ideal's from a moment on, over rates that are short; absent where none is.
    pub(crate) fn fill_since(&self, since_ns: u64) -> Option<f64> {
        let limits = self.books.len();
        let bins = (since_ns / BIN_NS) as usize..(self.rules.length_ns / BIN_NS) as usize;
        let (mut ideal, mut admitted) = (0.0, 0.0);
        for limit in (0..limits).filter(|at| self.books[*at].is_short() && self.books[*at].limit.rate > 0.0) {
            for bin in bins.clone().filter_map(|bin| self.row(bin).get(limit)) {
                ideal += f64::from(bin.ideal);
                admitted += f64::from(bin.conforming + bin.beyond);
            }
        }
        (ideal > ENOUGH).then(|| admitted / ideal)
    }

    fn set_shares(&self, short: &[usize], figures: &mut Figures) {
        let (mut ideal, mut good, mut beyond) = (0.0, 0.0, 0.0);
        let mut fills = Vec::new();
        for book in short.iter().map(|at| &self.books[*at]) {
            let own = book.counts.ideal as f64;
            let conforming = (book.counts.admitted - book.counts.beyond) as f64;
            ideal += own;
            good += conforming.min(own);
            beyond += book.counts.beyond as f64;
            fills.push(conforming / own.max(1.0));
        }
        fills.sort_by(f64::total_cmp);
        figures.set(Figure::Over, 100.0 * beyond / f64::max(ideal, 1.0));
        figures.set(Figure::Fill, 100.0 * good / ideal);
        if let Some(fill) = fills.get(fills.len() / 20) {
            figures.set(Figure::FillP05, 100.0 * fill);
        }
    }

    fn set_excess(&self, figures: &mut Figures) {
        let tokens = self.books.iter().map(|book| book.excess).fold(0.0, f64::max);
        let rated = self.books.iter().filter(|book| book.limit.rate > 0.0);
        let time = rated.map(|book| book.excess / book.limit.rate).fold(0.0, f64::max);
        figures.set(Figure::ExcessTokens, tokens);
        figures.set(Figure::ExcessSeconds, time);
    }

    fn set_faults(&self, short: &[usize], figures: &mut Figures) {
        let Some(bins) = self.fault_bins() else { return };
        let sum = |bins: std::ops::Range<usize>| {
            let (mut ideal, mut conforming) = (0.0, 0.0);
            for bin in bins {
                let row = self.row(bin);
                ideal += short.iter().map(|at| f64::from(row[*at].ideal)).sum::<f64>();
                conforming += short.iter().map(|at| f64::from(row[*at].conforming)).sum::<f64>();
            }
            (ideal, conforming)
        };
        let (ideal, conforming) = sum(bins.clone());
        let beyond: f64 = bins.clone().flat_map(|bin| self.row(bin)).map(|bin| f64::from(bin.beyond)).sum();
        figures.set(Figure::OverAfterFault, 100.0 * beyond / ideal.max(1.0));
        figures.set(Figure::FillAfterFault, 100.0 * conforming / ideal.max(1.0));
        let fills_from = |bin: usize| {
            let (ideal, conforming) = sum(bin..bin + SECOND_BINS);
            conforming >= RECOVERED * ideal
        };
        let recovered = (bins.start..bins.end.saturating_sub(3 * SECOND_BINS))
            .find(|bin| (0..3).all(|second| fills_from(bin + second * SECOND_BINS)));
        let never = bins.end;
        let took = (recovered.unwrap_or(never) - bins.start) as u64 * BIN_NS;
        figures.set(Figure::Recovery, seconds(took));
    }

    fn false_rejects(&self) -> f64 {
        let (mut ideal, mut refused) = (0.0, 0.0);
        for Book { limit, counts, .. } in &self.books {
            let is_modest = (counts.offered as f64) < MODEST * limit.rate * self.span_s();
            if counts.ideal == counts.offered && is_modest {
                ideal += counts.ideal as f64;
                refused += counts.ideal.saturating_sub(counts.admitted) as f64;
            }
        }
        refused / f64::max(ideal, 1.0)
    }

    fn unfairness(&self, short: &[usize]) -> f64 {
        if !self.fairness.is_kept() {
            return f64::NAN;
        }
        let mut spreads: Vec<f64> = short.iter().map(|limit| self.fairness.spread(*limit)).collect();
        spreads.sort_by(f64::total_cmp);
        spreads.get(spreads.len() * 19 / 20).copied().unwrap_or(f64::NAN)
    }

    fn wait_ms(&self, part: f64) -> f64 {
        let target = (self.decisions as f64 * part) as u64;
        let mut count = 0;
        let bin = self.waits.iter().position(|waits| {
            count += waits;
            count > target
        });
        bin.unwrap_or(0) as f64 * (WAIT_BIN_NS as f64 / MS as f64)
    }

    pub(super) fn row(&self, bin: usize) -> &[Bin] {
        let limits = self.books.len();
        self.line.get(bin * limits..(bin + 1) * limits).unwrap_or_default()
    }
}

impl Book {
    pub(super) fn is_short(&self) -> bool {
        let refused = self.counts.offered - self.counts.ideal;
        self.counts.offered > 0 && refused as f64 >= SHORT * self.counts.offered as f64
    }
}
