//! The courses that limiters are compared on, by name: rate limits, quotas, and limits that span regions. Owns what each does
//! and when; the load is that of the design.

use clap::ValueEnum;

use super::{
    contestant::Contestant,
    course::{Course, Mix},
    fault::{Fault, Part, Timed},
    network::Weather,
};

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Steady links; demand is uneven and moves
    S1,
    /// The coordinator fails after 20 s
    S2,
    /// The zone of the coordinator is killed after 20 s
    S3,
    /// The zone of the coordinator is cut off from 20 to 40 s, both sides serve
    S4,
    /// 5 % of messages are lost, 5 % come twice
    S5,
    /// Quotas: steady
    Q1,
    /// Quotas: the coordinator fails after 15 s
    Q2,
    /// Quotas: the zone of the coordinator is killed after 15 s
    Q3,
    /// Quotas: the zone of the coordinator is cut off from 10 to 50 s
    Q4,
    /// Quotas: 5 % lost, 5 % twice, the coordinator fails, then a zone is killed
    Q5,
    /// Three regions: steady
    G1,
    /// Three regions: the coordinator fails after 20 s
    G2,
    /// Three regions: the region of the coordinator is cut off from 20 to 40 s
    G3,
}

impl Scenario {
    /// Those of rate limits.
    pub(crate) const RATES: [Self; 5] = [Self::S1, Self::S2, Self::S3, Self::S4, Self::S5];
    /// Those of quotas.
    pub(crate) const QUOTAS: [Self; 5] = [Self::Q1, Self::Q2, Self::Q3, Self::Q4, Self::Q5];
    /// Those that span regions.
    pub(crate) const GLOBAL: [Self; 3] = [Self::G1, Self::G2, Self::G3];

    /// Its name and what happens.
    pub(crate) fn title(self) -> String {
        let value = self.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        format!("{self:?} {}", help.map(ToString::to_string).unwrap_or_default())
    }

    /// Who takes part.
    pub(crate) fn contestants(self) -> &'static [Contestant] {
        match self {
            Self::S1 | Self::S2 | Self::S3 | Self::S4 | Self::S5 => &Contestant::RATES,
            Self::Q1 | Self::Q2 | Self::Q3 | Self::Q4 | Self::Q5 => &Contestant::QUOTAS,
            Self::G1 | Self::G2 | Self::G3 => &Contestant::GLOBAL,
        }
    }

    /// The course of a seed.
    pub(crate) fn course(self, seed: u64) -> Course {
        let zone = Part::Zone(0);
        let stormy = Weather { loss: 0.05, duplication: 0.05, reordering: 0.0 };
        let rates = |length_s, faults: &[(u64, Fault)]| Course {
            length_s,
            faults: timed(faults),
            ..Course::reference(seed)
        };
        let quotas = |faults: &[(u64, Fault)]| Course {
            keys: 100,
            requests_per_second: 20_000.0,
            skew: 0.8,
            mix: Mix::Quotas,
            faults: timed(faults),
            ..Course::reference(seed)
        };
        match self {
            Self::S1 => rates(60.0, &[]),
            Self::S2 => rates(45.0, &[(20_000, Fault::Depose(None)), (20_000, Fault::StopStore)]),
            Self::S3 => rates(45.0, &[(20_000, Fault::Kill(zone))]),
            Self::S4 => rates(60.0, &[(20_000, Fault::Isolate(zone)), (40_000, Fault::Heal)]),
            Self::S5 => Course { weather: stormy, ..rates(45.0, &[]) },
            Self::Q1 => quotas(&[]),
            Self::Q2 => quotas(&[(15_000, Fault::Depose(None)), (15_000, Fault::StopStore)]),
            Self::Q3 => quotas(&[(15_000, Fault::Kill(zone))]),
            Self::Q4 => quotas(&[(10_000, Fault::Isolate(zone)), (50_000, Fault::Heal)]),
            Self::Q5 => Course {
                weather: stormy,
                ..quotas(&[(12_000, Fault::Depose(None)), (20_000, Fault::Kill(Part::Zone(1)))])
            },
            Self::G1 | Self::G2 | Self::G3 => self.global(seed),
        }
    }

    fn global(self, seed: u64) -> Course {
        let faults: &[(u64, Fault)] = match self {
            Self::G2 => &[(20_000, Fault::Depose(None)), (20_000, Fault::StopStore)],
            Self::G3 => &[(20_000, Fault::Isolate(Part::Region(0))), (40_000, Fault::Heal)],
            _ => &[],
        };
        let mut course = Course::reference(seed);
        course.places.regions = 3;
        course.keys = 60;
        course.skew = 0.7;
        course.settled_s = 20.0;
        course.length_s = if self == Self::G2 { 45.0 } else { 60.0 };
        course.faults = timed(faults);
        course
    }
}

fn timed(faults: &[(u64, Fault)]) -> Vec<Timed> {
    faults.iter().map(|(at_ms, fault)| Timed { at_ms: *at_ms, fault: *fault }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_say_what_they_do() {
        for scenario in Scenario::value_variants() {
            assert!(scenario.title().len() > 10, "{}", scenario.title());
            let course = scenario.course(1);
            assert!(course.faults.iter().all(|fault| fault.at() < course.length_ns()));
            assert!(course.faults.is_sorted_by_key(|fault| fault.at_ms));
        }
    }
}
