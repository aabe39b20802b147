//! What can go wrong, and its notation: one line of text per fault, so that a schedule that found something can be kept and
//! read. Owns the notation; must never know how a fault is brought about.

use std::{fmt, str::FromStr};

use super::moment::MS;

/// Part of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A node.
    Node(usize),
    /// An availability zone.
    Zone(usize),
    /// A region.
    Region(usize),
}

/// One fault, or the end of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Processes end without a word.
    Kill(Part),
    /// Dead processes start again, as new ones.
    Start(Part),
    /// Processes stand still; messages and requests queue.
    Pause(Part),
    /// They go on.
    Resume(Part),
    /// A part has no link to any other.
    Isolate(Part),
    /// Messages from one zone to another are dropped, not those back.
    Cut(usize, usize),
    /// All links work again.
    Heal,
    /// The leaders of all shards, or of one, lose their place, and a candidate must first notice.
    Depose(Option<usize>),
    /// The central store of those limiters that have one is down for a few seconds.
    StopStore,
    /// The store works again; follows by itself.
    StartStore,
    /// A limit's rate and burst are multiplied.
    Scale(usize, f64),
    /// A new day begins: quotas of a day start over.
    Day,
}

/// A fault and when it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timed {
    /// Milliseconds since the beginning.
    pub(crate) at_ms: u64,
    /// What.
    pub(crate) fault: Fault,
}

/// Not the notation of a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fault, such as `4200 isolate zone 1`")]
pub(crate) struct NotAFault(String);

impl Timed {
    /// When, in virtual time.
    pub(crate) fn at(&self) -> u64 {
        self.at_ms * MS
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node {node}"),
            Self::Zone(zone) => write!(f, "zone {zone}"),
            Self::Region(region) => write!(f, "region {region}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(part) => write!(f, "kill {part}"),
            Self::Start(part) => write!(f, "start {part}"),
            Self::Pause(part) => write!(f, "pause {part}"),
            Self::Resume(part) => write!(f, "resume {part}"),
            Self::Isolate(part) => write!(f, "isolate {part}"),
            Self::Cut(from, to) => write!(f, "cut zone {from} to zone {to}"),
            Self::Heal => write!(f, "heal"),
            Self::Depose(None) => write!(f, "depose all"),
            Self::Depose(Some(shard)) => write!(f, "depose shard {shard}"),
            Self::StopStore => write!(f, "stop store"),
            Self::StartStore => write!(f, "start store"),
            Self::Scale(limit, factor) => write!(f, "scale limit {limit} by {factor}"),
            Self::Day => write!(f, "day"),
        }
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at_ms, self.fault)
    }
}

impl FromStr for Timed {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let parsed = match words.as_slice() {
            [at, fault @ ..] => at.parse().ok().zip(fault_of(fault)),
            [] => None,
        };
        let (at_ms, fault) = parsed.ok_or_else(|| NotAFault(text.to_owned()))?;
        Ok(Self { at_ms, fault })
    }
}

fn fault_of(words: &[&str]) -> Option<Fault> {
    Some(match words {
        ["kill", part @ ..] => Fault::Kill(part_of(part)?),
        ["start", "store"] => Fault::StartStore,
        ["start", part @ ..] => Fault::Start(part_of(part)?),
        ["pause", part @ ..] => Fault::Pause(part_of(part)?),
        ["resume", part @ ..] => Fault::Resume(part_of(part)?),
        ["isolate", part @ ..] => Fault::Isolate(part_of(part)?),
        ["cut", "zone", from, "to", "zone", to] => Fault::Cut(from.parse().ok()?, to.parse().ok()?),
        ["heal"] => Fault::Heal,
        ["depose", "all"] => Fault::Depose(None),
        ["depose", "shard", shard] => Fault::Depose(Some(shard.parse().ok()?)),
        ["stop", "store"] => Fault::StopStore,
        ["scale", "limit", limit, "by", factor] => Fault::Scale(limit.parse().ok()?, factor.parse().ok()?),
        ["day"] => Fault::Day,
        _ => return None,
    })
}

fn part_of(words: &[&str]) -> Option<Part> {
    Some(match words {
        ["node", node] => Part::Node(node.parse().ok()?),
        ["zone", zone] => Part::Zone(zone.parse().ok()?),
        ["region", region] => Part::Region(region.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_back() {
        for fault in [
            Fault::Kill(Part::Node(3)),
            Fault::Start(Part::Zone(1)),
            Fault::Pause(Part::Node(0)),
            Fault::Resume(Part::Node(0)),
            Fault::Isolate(Part::Region(2)),
            Fault::Cut(0, 2),
            Fault::Heal,
            Fault::Depose(None),
            Fault::Depose(Some(1)),
            Fault::StopStore,
            Fault::StartStore,
            Fault::Scale(7, 0.5),
            Fault::Day,
        ] {
            let timed = Timed { at_ms: 4_200, fault };
            assert_eq!(timed.to_string().parse(), Ok(timed));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in
            ["", "heal", "5", "5 melt", "x heal", "5 kill", "5 kill node", "5 kill node x", "5 heal now"]
        {
            assert_eq!(text.parse::<Timed>(), Err(NotAFault(text.into())));
        }
    }
}
