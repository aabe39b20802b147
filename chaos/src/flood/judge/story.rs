//! What happened, for somebody who looks for the reason of a figure: second by second, and the limits that came off worst. Owns
//! the wording; computes no figure.

use std::fmt::Write;

use super::{BIN_NS, Bin, Book, Judge};
use crate::flood::moment::SECOND;

/// Limits that are named for each kind of trouble.
const NAMED: usize = 8;
const SECOND_BINS: usize = (SECOND / BIN_NS) as usize;

impl Judge {
    /// The run in words.
    pub(crate) fn story(&self) -> String {
        let short: Vec<usize> = (0..self.books.len()).filter(|at| self.books[*at].is_short()).collect();
        let mut text = String::new();
        for second in 0..(self.rules.length_ns / SECOND) as usize {
            let (mut ideal, mut conforming, mut beyond) = (0, 0, 0);
            for bin in second * SECOND_BINS..(second + 1) * SECOND_BINS {
                let row = self.row(bin);
                for bin in short.iter().filter_map(|at| row.get(*at)) {
                    ideal += bin.ideal;
                    conforming += bin.conforming;
                    beyond += bin.beyond;
                }
            }
            let fill = 100.0 * f64::from(conforming) / f64::from(ideal.max(1));
            let over = 100.0 * f64::from(beyond) / f64::from(ideal.max(1));
            let _ = writeln!(text, "{second:4} s  fill {fill:6.2} %  over {over:6.3} %");
        }
        let lost =
            |book: &Book| book.counts.ideal.saturating_sub(book.counts.admitted - book.counts.beyond) as f64;
        self.name("unused, short", &mut text, |book| if book.is_short() { lost(book) } else { 0.0 });
        self.name("refused, roomy", &mut text, |book| if book.is_short() { 0.0 } else { lost(book) });
        self.name("beyond", &mut text, |book| book.counts.beyond as f64);
        self.name("excess", &mut text, |book| book.excess);
        self.name("waited in vain", &mut text, |book| book.counts.in_vain as f64);
        text
    }

    /// One limit, bin by bin.
    pub(crate) fn story_of(&self, limit: usize) -> String {
        let mut text = String::new();
        for bin in 0..(self.rules.length_ns / BIN_NS) as usize {
            let Some(Bin { ideal, conforming, beyond }) = self.row(bin).get(limit) else { continue };
            let at = bin as f64 / SECOND_BINS as f64;
            let _ = writeln!(text, "{at:8.2} s  ideal {ideal:6}  within {conforming:6}  beyond {beyond:6}");
        }
        text
    }

    fn name(&self, trouble: &str, text: &mut String, of: impl Fn(&Book) -> f64) {
        let mut all: Vec<(f64, usize)> =
            self.books.iter().enumerate().map(|(at, book)| (of(book), at)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (value, at) in all.into_iter().take(NAMED).filter(|(value, _)| *value > 0.0) {
            let Book { limit, counts, .. } = &self.books[at];
            let per_second = counts.offered as f64 / self.span_s();
            let _ = writeln!(
                text,
                "{trouble:15} {value:9.1}  limit {at}: rate {:.1} burst {:.0}, offered {per_second:.1}/s, ideal {}, admitted {}",
                limit.rate, limit.burst, counts.ideal, counts.admitted
            );
        }
    }
}
