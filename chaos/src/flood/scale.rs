//! Very many limits: what the ledger costs when a region has hundreds of thousands of them. Owns the course and its bounds.

use super::{
    contestant::Contestant,
    course::Course,
    judge::{Figure, Figures},
};

/// A size: how many clients, and how many requests per second of all together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    /// Clients.
    pub(crate) keys: usize,
    /// Requests per second.
    pub(crate) requests_per_second: f64,
}

/// Bounds at any size: fill and false rejects in percent, megabytes and changes per second of the region.
const FILL_MIN: f64 = 97.5;
const FALSE_MAX: f64 = 0.05;
const KILOBYTES_MAX: f64 = 15_000.0;
const CHANGES_MAX: f64 = 25_000.0;

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('@').and_then(|(keys, rate)| {
            let keys = keys.parse().ok().filter(|keys| (1..=2_000_000).contains(keys))?;
            let requests_per_second = rate.parse().ok().filter(|rate| (1.0..=1e6).contains(rate))?;
            Some(Self { keys, requests_per_second })
        });
        parsed.ok_or_else(|| format!("`{text}` is not a size, such as `100000@200000`"))
    }
}

/// Runs a size; its figures and what they miss.
pub(crate) fn run(size: Size, seed: u64) -> (Figures, Vec<String>) {
    let course = Course {
        keys: size.keys,
        requests_per_second: size.requests_per_second,
        skew: 0.9,
        settled_s: 60.0,
        length_s: 20.0,
        ..Course::reference(seed)
    };
    let figures = Contestant::Tidegate.run(&course).figures;
    let mut missed = Vec::new();
    let mut check = |figure: Figure, name: &str, is_kept: &dyn Fn(f64) -> bool| {
        let value = figures.get(figure);
        if !is_kept(value) {
            missed.push(format!("{} keys: {name} {value:.3}", size.keys));
        }
    };
    check(Figure::Fill, "fill", &|fill| fill >= FILL_MIN);
    check(Figure::FalseRejects, "false rejects", &|part| part <= FALSE_MAX);
    check(Figure::Kilobytes, "kilobytes per second", &|rate| rate <= KILOBYTES_MAX);
    check(Figure::Changes, "changes per second", &|rate| rate <= CHANGES_MAX);
    (figures, missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("10@20".parse(), Ok(Size { keys: 10, requests_per_second: 20.0 }));
        for text in ["", "10", "@", "0@5", "10@0", "10@x", "3000000@5"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
