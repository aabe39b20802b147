//! The clockwork of leases: how often, how long, how much. Owns the numbers, each with its reason; must never read a clock.

use crate::limit::{GLOBAL, PART};

/// Nanoseconds of a millisecond.
pub const MS: u64 = 1_000_000;

/// Times and proportions of the protocol. All nodes of a cluster use the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// A lease holds this long after the report that it answers was sent, in nanoseconds. Longer than two elections.
    pub lease_ns: u64,
    /// Clocks may run apart by this fraction; the ledger waits that much longer than a holder.
    pub drift: f64,
    /// And this much longer, in nanoseconds: for a thread that was stopped between looking at the lease and using it.
    pub margin_ns: u64,
    /// A holder reports at least this often, in nanoseconds.
    pub keepalive_ns: u64,
    /// Demand is measured and reported this often, in nanoseconds.
    pub report_ns: u64,
    /// An unanswered grant is sent again after this time, in nanoseconds.
    pub resend_ns: u64,
    /// An ask for tokens that is not answered is repeated after this time, in nanoseconds.
    pub ask_again_ns: u64,
    /// Time constant of demand for slices and chunks, in seconds.
    pub demand_s: f64,
    /// Time constant of demand for counted limits, in seconds; their requests are few.
    pub small_demand_s: f64,
    /// Part of every limit that holders have without asking.
    pub implicit: f64,
    /// Room above the demand of a holder.
    pub headroom: f64,
    /// A share moves only when it is off by more than this fraction.
    pub hysteresis: f64,
    /// Debt that holders together may run into, as a part of the burst, while a limit is not known to be short.
    pub debt: f64,
    /// Shares of a limit shrink at most this often, in nanoseconds.
    pub shrink_ns: u64,
    /// Chunks last this long, in seconds: long enough for an election.
    pub chunk_s: f64,
    /// A defect for the simulator to find.
    #[cfg(feature = "seeded-bugs")]
    pub bug: Option<Bug>,
}

/// Defects that the simulator must find.
#[cfg(feature = "seeded-bugs")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The ledger ends sessions before their holders do.
    ExpireEarly,
    /// What a holder shall give up is given away before it has confirmed.
    GrowBeforeAck,
    /// A repeated grant counts twice.
    CreditTwice,
    /// A holder goes on after its lease.
    IgnoreExpiry,
    /// Nodes go on after the lease of their region.
    OutliveRegion,
    /// A region confirms that it has given up what its nodes still use.
    ConfirmEarly,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease_ns: 1_500 * MS,
            drift: 0.01,
            margin_ns: 50 * MS,
            keepalive_ns: 300 * MS,
            report_ns: 100 * MS,
            resend_ns: 250 * MS,
            ask_again_ns: 40 * MS,
            demand_s: 0.5,
            small_demand_s: 2.0,
            implicit: 0.8,
            headroom: 1.2,
            hysteresis: 0.05,
            debt: 0.25,
            shrink_ns: 100 * MS,
            chunk_s: 2.0,
            #[cfg(feature = "seeded-bugs")]
            bug: None,
        }
    }
}

impl Timing {
    /// The clockwork towards a ledger: over long ways leases are longer and everything is repeated later.
    pub fn towards(self, ledger: usize) -> Self {
        // What holders leave lying is lost at both levels, so both are kept closer.
        let hysteresis = if ledger < PART { self.hysteresis } else { 0.2 * self.hysteresis };
        if ledger < GLOBAL {
            return Self { hysteresis, ..self };
        }
        Self {
            lease_ns: 4_000 * MS,
            margin_ns: 100 * MS,
            keepalive_ns: 800 * MS,
            report_ns: 40 * MS,
            resend_ns: 600 * MS,
            ask_again_ns: 300 * MS,
            shrink_ns: 100 * MS,
            hysteresis,
            ..self
        }
    }

    /// How long the ledger waits, after it heard a holder, before it takes the holder's lease for ended, in nanoseconds.
    pub fn expiry_ns(&self) -> u64 {
        #[cfg(feature = "seeded-bugs")]
        if self.bug == Some(Bug::ExpireEarly) {
            return self.lease_ns / 2;
        }
        self.lease_ns + (self.lease_ns as f64 * 2.0 * self.drift) as u64 + self.margin_ns
    }
}
