//! All targets of an upstream, and what is known of their health: a bit for each in words that shards share. Owns how many may be ejected.

mod standing;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use crate::{
    choice::Standing,
    target::{Cause, Target},
};
use standing::Ready;

/// Most targets of one upstream: as many as a word has bits.
pub const TARGETS_MAX: usize = 64;

/// The targets of an upstream. Which ones they are never changes; a new list is a new set.
#[derive(Debug, Default)]
pub struct Targets {
    all: Box<[Arc<Target>]>,
    /// The bits of each target's zone: of those beside it, or of itself where its zone is not known.
    beside: Box<[u64]>,
    everyone: u64,
    /// Those in the zone of this node.
    local: u64,
    ejected: AtomicU64,
    /// Those that fail active health checks.
    failing: AtomicU64,
    /// Those in zones that traffic is shifted away from.
    avoided: AtomicU64,
    ready: Ready,
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ejection {
    /// It is not an outlier yet, or is ejected already.
    None,
    /// It is ejected for so many milliseconds.
    Ejected(u64),
    /// It would be, but half of the targets are out already.
    Capped,
}

/// How a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Calls go to it.
    Healthy,
    /// It is left out for so many milliseconds more, for what calls met there.
    Ejected(u64),
    /// It fails active health checks.
    Failing,
}

/// A target as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// Where it is.
    pub address: SocketAddr,
    /// Its availability zone; empty where that is not known.
    pub az: String,
    /// How it stands.
    pub health: Health,
    /// Whether traffic is shifted away from its zone.
    pub is_avoided: bool,
    /// How often it was ejected of late.
    pub ejections: u32,
    /// Failures since it last succeeded.
    pub failures: u32,
    /// Calls that are under way to it.
    pub outstanding: u32,
    /// The last failure.
    pub last_error: Option<String>,
}

impl Targets {
    /// A set of `targets` as a node in `own_az` sees it; those beyond [`TARGETS_MAX`] are left out. Targets that were in `before`, by
    /// address and zone, keep their record.
    pub fn new(own_az: &str, targets: &[(SocketAddr, String)], before: Option<&Self>, now_ms: u64) -> Self {
        let mut all: Vec<Arc<Target>> = Vec::with_capacity(targets.len().min(TARGETS_MAX));
        for (address, az) in targets.iter().take(TARGETS_MAX) {
            let is_same = |known: &&Arc<Target>| {
                known.address() == *address && known.az().unwrap_or_default() == az.as_str()
            };
            let known = before.and_then(|before| before.all.iter().find(is_same));
            all.push(known.map_or_else(|| Arc::new(Target::new(*address, az)), Arc::clone));
        }
        let mask = |is_in: &dyn Fn(&Target) -> bool| {
            let bits = all.iter().enumerate().filter(|(_, target)| is_in(target));
            bits.fold(0, |mask, (index, _)| mask | bit(index))
        };
        let zone = |(index, target): (usize, &Arc<Target>)| match target.az() {
            Some(az) => mask(&|other| other.az() == Some(az)),
            None => bit(index),
        };
        let failing = |target: &Target| {
            let place =
                |before: &Self| before.all.iter().position(|known| known.address() == target.address());
            before.is_some_and(|before| {
                place(before).is_some_and(|index| before.failing.load(Acquire) & bit(index) != 0)
            })
        };
        let set = Self {
            beside: all.iter().enumerate().map(zone).collect(),
            everyone: mask(&|_| true),
            local: mask(&|target| target.az().is_some_and(|az| az == own_az)),
            ejected: AtomicU64::new(mask(&|target| target.ejected_until_ms(now_ms) > 0)),
            failing: AtomicU64::new(mask(&failing)),
            avoided: AtomicU64::new(0),
            ready: Ready::default(),
            all: Box::default(),
        };
        set.renew();
        Self { all: all.into(), ..set }
    }

    /// The targets, in order.
    pub fn all(&self) -> &[Arc<Target>] {
        &self.all
    }

    /// The bits of the targets in the zone of target `index`, itself included.
    pub fn beside(&self, index: usize) -> u64 {
        self.beside.get(index).copied().unwrap_or_default()
    }

    /// Whether there is more than one: only then is there anything to choose, and only then does anybody keep records.
    #[inline]
    pub fn has_alternatives(&self) -> bool {
        self.all.len() > 1
    }

    /// What a choice is made from.
    #[inline]
    pub fn standing(&self) -> Standing {
        self.ready.get(self.local)
    }

    /// Takes a change of health or of shifts into account; called after each.
    fn renew(&self) {
        self.ready.renew(|| {
            let out = self.ejected.load(Acquire) | self.failing.load(Acquire);
            Standing::new(self.everyone, self.local, self.avoided.load(Acquire), out)
        });
    }

    /// Notes that target `index` answered, and not with an error of its own.
    #[inline]
    pub fn succeeded(&self, index: usize) {
        if let Some(target) = self.all.get(index) {
            target.succeeded();
        }
    }

    /// Notes a failure of target `index`, and ejects it where that was one too many and at most half are out then.
    pub fn failed(&self, index: usize, cause: Cause, why: &str, now_ms: u64) -> Ejection {
        let Some(target) = self.all.get(index) else { return Ejection::None };
        if !target.failed(why) || self.ejected.load(Acquire) & bit(index) != 0 {
            return Ejection::None;
        }
        let may_go = |ejected: u64| {
            let more = ejected | bit(index);
            (more != ejected && more.count_ones() as usize * 2 <= self.all.len()).then_some(more)
        };
        match self.ejected.fetch_update(AcqRel, Acquire, may_go) {
            Ok(_) => {
                self.renew();
                Ejection::Ejected(target.eject(cause, now_ms))
            }
            Err(ejected) if ejected & bit(index) != 0 => Ejection::None,
            Err(_) => Ejection::Capped,
        }
    }

    /// Readmits those whose ejection is over, and returns how many they are. Called a few times per second.
    pub fn sweep(&self, now_ms: u64) -> u32 {
        let mut over = 0;
        for (index, target) in self.all.iter().enumerate() {
            if self.ejected.load(Acquire) & bit(index) == 0 {
                target.forgive(now_ms);
            } else if target.ejected_until_ms(now_ms) == 0 {
                over |= bit(index);
            }
        }
        if over == 0 {
            return 0;
        }
        let back = self.ejected.fetch_and(!over, AcqRel) & over;
        self.renew();
        back.count_ones()
    }

    /// Takes in what active health checks say of target `index`. One that passes comes back before its ejection is over, where the check
    /// shows that its reason is gone: `asks_http` tells that it looks at answers, and not at connections alone.
    pub fn checked(&self, index: usize, passes: bool, asks_http: bool) {
        let Some(target) = self.all.get(index) else { return };
        if !passes {
            self.failing.fetch_or(bit(index), AcqRel);
        } else {
            self.failing.fetch_and(!bit(index), AcqRel);
            if asks_http || target.was_ejected_by_network() {
                target.readmit();
                self.ejected.fetch_and(!bit(index), AcqRel);
            }
        }
        self.renew();
    }

    /// Notes why a health check of target `index` failed.
    pub fn note_check(&self, index: usize, why: &str) {
        if let Some(target) = self.all.get(index) {
            // What a check meets is not what calls meet: it is told, and not counted with them.
            target.failed(why);
            target.succeeded();
        }
    }

    /// Sets the zones that traffic is shifted away from.
    pub fn avoid(&self, azs: &[impl AsRef<str>]) {
        let is_avoided =
            |target: &Target| target.az().is_some_and(|az| azs.iter().any(|one| one.as_ref() == az));
        let bits = self.all.iter().enumerate().filter(|(_, target)| is_avoided(target));
        let avoided = bits.fold(0, |mask, (index, _)| mask | bit(index));
        self.avoided.store(avoided, Release);
        self.renew();
    }

    /// Whether target `index` is out: ejected, or failing its checks.
    pub fn is_out(&self, index: usize) -> bool {
        (self.ejected.load(Relaxed) | self.failing.load(Relaxed)) & bit(index) != 0
    }

    /// Targets that are healthy, and targets that are ejected.
    pub fn counts(&self) -> (u32, u32) {
        let (ejected, failing) = (self.ejected.load(Relaxed), self.failing.load(Relaxed));
        ((self.everyone & !(ejected | failing)).count_ones(), (self.everyone & ejected).count_ones())
    }

    /// All of them, as an operator sees them.
    pub fn describe(&self, now_ms: u64) -> Vec<TargetView> {
        let (ejected, failing) = (self.ejected.load(Relaxed), self.failing.load(Relaxed));
        let view = |(index, target): (usize, &Arc<Target>)| TargetView {
            address: target.address(),
            az: target.az().unwrap_or_default().to_owned(),
            health: if ejected & bit(index) != 0 {
                Health::Ejected(target.ejected_until_ms(now_ms).saturating_sub(now_ms))
            } else if failing & bit(index) != 0 {
                Health::Failing
            } else {
                Health::Healthy
            },
            is_avoided: self.avoided.load(Relaxed) & bit(index) != 0,
            ejections: target.ejections(),
            failures: target.failures(),
            outstanding: target.outstanding(),
            last_error: target.last_error(),
        };
        self.all.iter().enumerate().map(view).collect()
    }
}

/// The bit of target `index`; none beyond [`TARGETS_MAX`].
#[inline]
pub(crate) fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
