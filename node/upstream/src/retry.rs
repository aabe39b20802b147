//! Whether a call may be made again after it failed. Owns what cannot be noticed and what harms nobody; must never choose where.

use tidegate_proto::limits::{CONNECT_TRIES_MAX, INTEGRATION_TIMEOUT_MS_MAX};

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection came about: nothing was sent.
    Connect,
    /// A connection that was idle had been closed by its peer: whether the call arrived is not known.
    Stale,
    /// The connection broke before anything came back.
    Lost,
    /// No answer began in the time of one try.
    Late,
}

/// What is known about the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Made twice it does what it does once (RFC 9110 §9.2.2), and all of its bytes are still there.
    pub is_repeatable: bool,
    /// The upstream has more than one target.
    pub has_alternatives: bool,
    /// Attempts that failed, this one included.
    pub count: u8,
    /// Of those, the ones in which something was sent.
    pub sent: u8,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not.
    No,
    /// Yes.
    Free,
    /// If the budget allows.
    Paid,
}

/// Decides whether a call is made again. A connection that did not come about may be tried elsewhere by any call, as nothing was sent;
/// what was sent is sent once more at most, where that cannot be noticed.
pub fn retry(fault: Fault, attempt: Attempt) -> Retry {
    let Attempt { is_repeatable, has_alternatives, count, sent } = attempt;
    match fault {
        Fault::Connect if has_alternatives && count < CONNECT_TRIES_MAX => Retry::Free,
        // One that is down is not hammered.
        Fault::Connect if !has_alternatives && count < 2 => Retry::Paid,
        Fault::Connect => Retry::No,
        Fault::Stale if is_repeatable && sent < 2 => Retry::Paid,
        Fault::Lost | Fault::Late if is_repeatable && has_alternatives && sent < 2 => Retry::Paid,
        Fault::Stale | Fault::Lost | Fault::Late => Retry::No,
    }
}

/// How long the first try of a repeatable call may wait for its answer, in milliseconds, where there are alternatives: what was set for
/// the upstream, or half of the time of the whole call, so that the second try has as much.
pub fn try_timeout_ms(call_timeout_ms: u32, set_ms: Option<u32>) -> u32 {
    set_ms.unwrap_or(call_timeout_ms / 2).clamp(1, INTEGRATION_TIMEOUT_MS_MAX).min(call_timeout_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_made_again() {
        let attempt = |is_repeatable, has_alternatives, count, sent| Attempt {
            is_repeatable,
            has_alternatives,
            count,
            sent,
        };
        let table = [
            (Fault::Connect, attempt(false, true, 1, 0), Retry::Free),
            (Fault::Connect, attempt(true, true, CONNECT_TRIES_MAX - 1, 0), Retry::Free),
            (Fault::Connect, attempt(true, true, CONNECT_TRIES_MAX, 0), Retry::No),
            (Fault::Connect, attempt(false, false, 1, 0), Retry::Paid),
            (Fault::Connect, attempt(true, false, 2, 0), Retry::No),
            (Fault::Connect, attempt(true, true, 2, 1), Retry::Free),
            (Fault::Stale, attempt(true, false, 1, 1), Retry::Paid),
            (Fault::Stale, attempt(true, true, 1, 1), Retry::Paid),
            (Fault::Stale, attempt(true, true, 2, 2), Retry::No),
            (Fault::Stale, attempt(false, true, 1, 1), Retry::No),
            (Fault::Lost, attempt(true, true, 1, 1), Retry::Paid),
            (Fault::Lost, attempt(true, true, 2, 2), Retry::No),
            (Fault::Lost, attempt(true, true, 2, 1), Retry::Paid),
            (Fault::Lost, attempt(true, false, 1, 1), Retry::No),
            (Fault::Lost, attempt(false, true, 1, 1), Retry::No),
            (Fault::Late, attempt(true, true, 1, 1), Retry::Paid),
            (Fault::Late, attempt(false, true, 1, 1), Retry::No),
            (Fault::Late, attempt(true, false, 1, 1), Retry::No),
        ];
        for (fault, attempt, expect) in table {
            assert_eq!(retry(fault, attempt), expect, "{fault:?} {attempt:?}");
        }
    }

    #[test]
    fn a_try_has_half_of_the_time_or_what_was_set() {
        for (whole, set, expect) in [
            (29_000, None, 14_500),
            (1_000, None, 500),
            (1, None, 1),
            (1_000, Some(200), 200),
            (1_000, Some(5_000), 1_000),
        ] {
            assert_eq!(try_timeout_ms(whole, set), expect, "{whole} {set:?}");
        }
    }
}
