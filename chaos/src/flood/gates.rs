//! The figures that are demanded, as sentences with a bound. Owns the bounds; a figure that is absent breaks nothing.

use super::{contestant::Contestant, judge::Figure, scenario::Scenario, table::Row};

/// More commits per second than a leader that ticks every ten milliseconds can make.
const COMMITS_MAX: f64 = 100.5;
/// Tokens that arithmetic may be wrong by.
const ROUNDING: f64 = 1e-3;

/// A demand.
struct Gate {
    scenarios: &'static [Scenario],
    contestants: &'static [Contestant],
    figure: Figure,
    bound: Bound,
    sentence: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    Least(f64),
    Most(f64),
}

const RATES: &[Scenario] = &Scenario::RATES;
const QUOTAS: &[Scenario] = &Scenario::QUOTAS;
const STEADY: &[Scenario] = &[Scenario::S1];
const GLOBAL: &[Scenario] = &Scenario::GLOBAL;
const DEFAULT: &[Contestant] = &[Contestant::Tidegate];
const STRICT: &[Contestant] = &[Contestant::Strict];
const OURS: &[Contestant] = &[Contestant::Tidegate, Contestant::Strict];

const fn gate(
    scenarios: &'static [Scenario],
    contestants: &'static [Contestant],
    figure: Figure,
    bound: Bound,
    sentence: &'static str,
) -> Gate {
    Gate { scenarios, contestants, figure, bound, sentence }
}

const GATES: [Gate; 21] = [
    gate(RATES, STRICT, Figure::ExcessTokens, Bound::Most(ROUNDING), "strict limits are never exceeded"),
    gate(RATES, STRICT, Figure::Over, Bound::Most(0.0), "strict limits admit nothing beyond"),
    gate(QUOTAS, DEFAULT, Figure::ExcessTokens, Bound::Most(ROUNDING), "quotas are never exceeded"),
    gate(QUOTAS, DEFAULT, Figure::Over, Bound::Most(0.0), "quotas admit nothing beyond"),
    gate(&[Scenario::S1, Scenario::S5], DEFAULT, Figure::Over, Bound::Most(0.2), "hardly anything beyond"),
    gate(
        &[Scenario::S2, Scenario::S3],
        DEFAULT,
        Figure::OverAfterFault,
        Bound::Most(1.0),
        "little beyond after a loss",
    ),
    gate(
        &[Scenario::S4],
        DEFAULT,
        Figure::OverAfterFault,
        Bound::Most(100.0 / 3.0),
        "a zone that is cut off admits its even share",
    ),
    gate(STEADY, DEFAULT, Figure::Fill, Bound::Least(99.0), "short limits are used"),
    gate(STEADY, STRICT, Figure::Fill, Bound::Least(98.0), "short strict limits are used"),
    gate(STEADY, DEFAULT, Figure::FillP05, Bound::Least(96.0), "so are the worst twentieth of them"),
    gate(STEADY, DEFAULT, Figure::FalseRejects, Bound::Most(0.05), "modest clients are not refused"),
    gate(&[Scenario::S3], OURS, Figure::Recovery, Bound::Most(3.0), "the loss of a zone is over soon"),
    gate(RATES, OURS, Figure::Commits, Bound::Most(COMMITS_MAX), "a shard commits seldom"),
    gate(QUOTAS, DEFAULT, Figure::Commits, Bound::Most(COMMITS_MAX), "a shard commits seldom"),
    gate(&[Scenario::Q1], DEFAULT, Figure::Fill, Bound::Least(99.9), "quotas can be used up"),
    gate(GLOBAL, STRICT, Figure::ExcessTokens, Bound::Most(ROUNDING), "strict limits are never exceeded"),
    gate(GLOBAL, STRICT, Figure::Over, Bound::Most(0.0), "strict limits admit nothing beyond"),
    gate(
        &[Scenario::G1, Scenario::G2],
        DEFAULT,
        Figure::Over,
        Bound::Most(0.2),
        "hardly anything beyond over all regions",
    ),
    gate(
        &[Scenario::G3],
        DEFAULT,
        Figure::OverAfterFault,
        Bound::Most(100.0 / 3.0),
        "a region that is cut off admits its even share",
    ),
    gate(&[Scenario::G1], OURS, Figure::Fill, Bound::Least(97.0), "short limits over all regions are used"),
    gate(GLOBAL, OURS, Figure::Commits, Bound::Most(COMMITS_MAX), "a ledger commits seldom"),
];

/// What the rows do not keep, one sentence each.
pub(crate) fn broken(rows: &[Row]) -> Vec<String> {
    let mut broken = Vec::new();
    for row in rows {
        for gate in &GATES {
            let applies =
                gate.scenarios.contains(&row.scenario) && gate.contestants.contains(&row.contestant);
            if applies && let Some(wrong) = gate.bound.missed(row.figures.get(gate.figure)) {
                broken.push(format!(
                    "{:?}, {}: {}: {wrong}",
                    row.scenario,
                    row.contestant.title(),
                    gate.sentence
                ));
            }
        }
        broken.extend(row.complaints.iter().map(|complaint| format!("{:?}: {complaint}", row.scenario)));
    }
    broken
}

impl Bound {
    fn missed(self, value: f64) -> Option<String> {
        match self {
            Self::Least(least) if value < least => {
                Some(format!("{value:.3}, at least {least:.3} is demanded"))
            }
            Self::Most(most) if value > most => Some(format!("{value:.3}, at most {most:.3} is demanded")),
            Self::Least(_) | Self::Most(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert!(Bound::Most(1.0).missed(1.1).is_some() && Bound::Least(1.0).missed(0.9).is_some());
        for kept in
            [Bound::Most(1.0).missed(1.0), Bound::Least(1.0).missed(1.0), Bound::Most(1.0).missed(f64::NAN)]
        {
            assert_eq!(kept, None);
        }
    }
}
