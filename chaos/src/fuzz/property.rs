//! Properties on random bytes: `fuzz router` and its like. A seed and a number make a case, whatever ran before it; what breaks is made
//! smaller while it breaks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    time::{Duration, Instant},
};

use rand::{RngCore, SeedableRng, rngs::SmallRng};
use tidegate_fuzz::Property;

use super::{FuzzOptions, SPREAD};

/// Time for making a case small.
const SHRINKING: Duration = Duration::from_secs(10);

/// What a run came to.
pub(crate) struct PropertyReport {
    property: Property,
    cases: u64,
    took: Duration,
    found: Option<Found>,
}

/// A case that breaks the property.
struct Found {
    case: u64,
    bytes: Vec<u8>,
    fault: String,
}

/// Checks cases until the options say that it is enough, or one breaks.
pub(crate) fn run(property: Property, options: &FuzzOptions) -> PropertyReport {
    // What panics is a finding and is said once, smaller.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let (mut cases, mut found) = (0, None);
    while cases < options.cases && started.elapsed() < options.time && found.is_none() {
        let case = options.first.wrapping_add(cases);
        let bytes = bytes(property, options.seed, case);
        if let Some(fault) = fault(property, &bytes) {
            let (bytes, fault) = shrink(property, bytes, fault);
            found = Some(Found { case, bytes, fault });
        }
        cases += 1;
    }
    set_hook(hook);
    PropertyReport { property, cases, took: started.elapsed(), found }
}

/// The bytes of a case; some are short, because short ones reach the ends of things.
fn bytes(property: Property, seed: u64, case: u64) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed ^ case.wrapping_mul(SPREAD));
    let most = property.bytes_max() as u64;
    let length = if random.next_u64() % 4 == 0 { random.next_u64() % most } else { most };
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    random.fill_bytes(&mut bytes);
    bytes
}

fn fault(property: Property, bytes: &[u8]) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| property.check(bytes))) {
        Ok(checked) => checked.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            Some(format!("panic: {text}"))
        }
    }
}

/// Cuts and blanks while the property stays broken, in whatever way.
fn shrink(property: Property, mut bytes: Vec<u8>, mut why: String) -> (Vec<u8>, String) {
    let until = Instant::now() + SHRINKING;
    let mut step = bytes.len() / 2;
    while step > 0 {
        let mut at = 0;
        while at < bytes.len() && Instant::now() < until {
            let end = (at + step).min(bytes.len());
            let mut shorter = bytes.clone();
            shorter.drain(at..end);
            let mut blank = bytes.clone();
            blank.iter_mut().take(end).skip(at).for_each(|byte| *byte = 0);
            let smaller = [shorter, blank].into_iter().filter(|smaller| *smaller != bytes);
            match smaller.filter_map(|smaller| Some((fault(property, &smaller)?, smaller))).next() {
                Some((fault, smaller)) => (bytes, why) = (smaller, fault),
                None => at = end,
            }
            if bytes.iter().take(end).skip(at).all(|byte| *byte == 0) {
                at = end;
            }
        }
        step /= 2;
    }
    (bytes, why)
}

impl PropertyReport {
    /// Whether a case breaks the property.
    pub(crate) fn is_broken(&self) -> bool {
        self.found.is_some()
    }

    /// For people.
    pub(crate) fn text(&self, seed: u64) -> String {
        let Self { property, cases, took, found } = self;
        let name = property.name();
        let Some(Found { case, bytes, fault }) = found else {
            return format!(
                "{name}: {cases} cases in {:.1} s, the property holds (seed {seed})",
                took.as_secs_f64()
            );
        };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{name}: BROKEN by case {case}: {fault}\nbytes: {hex}\nrepeat: chaos fuzz {name} --seed {seed} --case {case}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_depend_on_seed_and_number_alone() {
        let all = |seed| (0..50).map(|case| bytes(Property::Router, seed, case)).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!(all(1).windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_short_run_of_each_property_holds() {
        for property in Property::ALL {
            let time = Duration::from_secs(60);
            let report = run(property, &FuzzOptions { seed: 7, time, cases: 50, first: 0, lanes: 1 });
            assert!(!report.is_broken() && report.cases == 50, "{}", report.text(7));
        }
    }
}
