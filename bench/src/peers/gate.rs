//! The promises: how Tidegate must compare, and whether it does. A promise that could not be measured is never kept.

use serde::Serialize;

use crate::peers::gateway::Kind;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Gate {
    /// Scenario it looks at.
    pub(crate) scenario: &'static str,
    /// What it demands.
    pub(crate) demand: Demand,
}

/// What a promise demands of Tidegate with everything switched on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Demand {
    /// Processor time per request at most so many times that of a peer.
    CpuRatio(Kind, f64),
    /// Median latency at most so many microseconds above a peer's.
    LatencyAbove(Kind, f64),
    /// Memory per connection at most so many bytes.
    Bytes(f64),
}

/// Whether a promise is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// With this value, in the unit of the demand.
    Kept(f64),
    /// With this value.
    Missed(f64),
    /// For this reason.
    NotMeasured(String),
}

/// All promises.
pub(crate) const ALL: [Gate; 18] = [
    cpu("proxy-128", Kind::Floor, 1.15),
    cpu("proxy-128", Kind::Nginx, 0.78),
    cpu("proxy-128", Kind::Haproxy, 0.66),
    cpu("proxy-128", Kind::Pingora, 0.43),
    cpu("proxy-128", Kind::Envoy, 0.24),
    cpu("proxy-10k", Kind::Nginx, 0.70),
    cpu("proxy-1m", Kind::Nginx, 0.60),
    cpu("post-4k", Kind::Nginx, 0.72),
    cpu("local", Kind::Nginx, 0.82),
    cpu("cached-128", Kind::Nginx, 0.50),
    cpu("cached-128", Kind::Haproxy, 0.56),
    cpu("cached-128", Kind::Varnish, 0.32),
    cpu("h2c", Kind::Nginx, 0.58),
    cpu("h2c", Kind::Haproxy, 0.80),
    cpu("h1-tls", Kind::Nginx, 0.78),
    cpu("handshake", Kind::Nginx, 0.60),
    Gate { scenario: "latency", demand: Demand::LatencyAbove(Kind::Nginx, 10.0) },
    Gate { scenario: "idle", demand: Demand::Bytes(2_048.0) },
];

const fn cpu(scenario: &'static str, against: Kind, most: f64) -> Gate {
    Gate { scenario, demand: Demand::CpuRatio(against, most) }
}

impl Gate {
    /// Judges by what `figure` says of a gateway in this scenario: its figure, or why there is none.
    pub(crate) fn judge(&self, figure: impl Fn(Kind) -> Result<f64, String>) -> Verdict {
        let value = || -> Result<f64, String> {
            let ours = figure(Kind::Tidegate)?;
            match self.demand {
                Demand::CpuRatio(peer, _) => Ok(ours / figure(peer)?),
                Demand::LatencyAbove(peer, _) => Ok(ours - figure(peer)?),
                Demand::Bytes(_) => Ok(ours),
            }
        };
        let (Demand::CpuRatio(_, most) | Demand::LatencyAbove(_, most) | Demand::Bytes(most)) = self.demand;
        match value() {
            Ok(value) if !value.is_finite() => Verdict::NotMeasured("a figure is zero".into()),
            Ok(value) if value <= most => Verdict::Kept(value),
            Ok(value) => Verdict::Missed(value),
            Err(reason) => Verdict::NotMeasured(reason),
        }
    }

    /// The demand in words.
    pub(crate) fn text(&self) -> String {
        match self.demand {
            Demand::CpuRatio(peer, most) => format!("{}: CPU <= {most:.2} x {}", self.scenario, peer.name()),
            Demand::LatencyAbove(peer, most) => {
                format!("{}: p50 <= {} + {most:.0} us", self.scenario, peer.name())
            }
            Demand::Bytes(most) => format!("{}: <= {most:.0} B per connection", self.scenario),
        }
    }

    /// A value in the unit of the demand.
    pub(crate) fn value_text(&self, value: f64) -> String {
        match self.demand {
            Demand::CpuRatio(..) => format!("{value:.3} x"),
            Demand::LatencyAbove(..) => format!("{value:+.1} us"),
            Demand::Bytes(_) => format!("{value:.0} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::scenario;

    #[test]
    fn every_gate_has_its_scenario() {
        for gate in ALL {
            assert!(scenario::named(gate.scenario).is_some(), "{}", gate.text());
        }
    }

    #[test]
    fn verdicts() {
        let judge = |demand, ours: Result<f64, &str>, peer: Result<f64, &str>| {
            Gate { scenario: "proxy-128", demand }
                .judge(|kind| if kind == Kind::Tidegate { ours } else { peer }.map_err(str::to_owned))
        };
        let ratio = Demand::CpuRatio(Kind::Nginx, 0.5);
        assert_eq!(judge(ratio, Ok(5.0), Ok(10.0)), Verdict::Kept(0.5));
        assert_eq!(judge(ratio, Ok(6.0), Ok(10.0)), Verdict::Missed(0.6));
        assert_eq!(judge(ratio, Ok(6.0), Err("absent")), Verdict::NotMeasured("absent".into()));
        assert_eq!(judge(ratio, Err("failed"), Ok(1.0)), Verdict::NotMeasured("failed".into()));
        assert_eq!(judge(ratio, Ok(0.0), Ok(0.0)), Verdict::NotMeasured("a figure is zero".into()));
        let above = Demand::LatencyAbove(Kind::Nginx, 10.0);
        assert_eq!(judge(above, Ok(65.0), Ok(56.0)), Verdict::Kept(9.0));
        assert_eq!(judge(above, Ok(67.0), Ok(56.0)), Verdict::Missed(11.0));
        assert_eq!(judge(Demand::Bytes(2_048.0), Ok(2_048.0), Err("none")), Verdict::Kept(2_048.0));
    }
}
