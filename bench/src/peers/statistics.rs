//! Order statistics of a handful of rounds.

use serde::Serialize;

/// The middle and the ends of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Median; of an even number, the mean of the middle two.
    pub(crate) median: f64,
    /// Least.
    pub(crate) least: f64,
    /// Most.
    pub(crate) most: f64,
}

impl Spread {
    /// Of values in any order; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted.len() / 2;
        let lower = (sorted.len() - 1) / 2;
        Some(Self { median: (sorted[lower] + sorted[upper]) / 2.0, least, most })
    }

    /// Half of the range, relative to the median: how far a single round may be off.
    pub(crate) fn noise(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.most - self.least) / 2.0 / self.median }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, median, least, most) in [
            (vec![3.0], 3.0, 3.0, 3.0),
            (vec![4.0, 1.0], 2.5, 1.0, 4.0),
            (vec![9.0, 1.0, 2.0], 2.0, 1.0, 9.0),
            (vec![4.0, 3.0, 2.0, 1.0], 2.5, 1.0, 4.0),
        ] {
            assert_eq!(Spread::of(values), Some(Spread { median, least, most }));
        }
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn noise_is_relative() {
        assert_eq!(Spread { median: 10.0, least: 9.0, most: 11.0 }.noise(), 0.1);
        assert_eq!(Spread { median: 0.0, least: 0.0, most: 0.0 }.noise(), 0.0);
    }
}
