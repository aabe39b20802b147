//! What is left of the limits of a request, for answers of stages that say so. Owns the header lines of
//! draft-ietf-httpapi-ratelimit-headers; the figures are this node's, so they promise no more than it can keep.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tidegate_gateway::{Authorized, Gate, Level, Rejection};
use tidegate_proto::compiled::limits::{PeriodV1, QuotaV1};
use tidegate_throttle::Period;

use crate::shard::Shard;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const DAY_S: u64 = 86_400;

/// The lines of one answer.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    policies: String,
    /// The limit that has least left.
    least: Option<Line>,
    lines: Vec<Line>,
}

/// One limit.
#[derive(Clone, Debug)]
struct Line {
    level: Level,
    left: u64,
    /// Seconds until there is more, or all of it again.
    reset_s: u64,
    /// Seconds until another request may come, when nothing is left.
    retry_s: u64,
}

impl Budget {
    /// Looks at every limit of a request.
    pub(crate) fn of(shard: &Shard, authorized: &Authorized<'_>) -> Self {
        let (now_ns, mut budget) = (shard.now_ns(), Self::default());
        let wall_s = shard.wall_ms(now_ns) / 1_000;
        for gate in authorized.gates() {
            let (of_rate, of_quota) = shard.admission.bank().left(gate.limit, now_ns);
            budget.add_rate(&gate, of_rate);
            if let (Some(quota), Some(left)) = (gate.quota, of_quota) {
                budget.add_quota(quota, left, wall_s);
            }
        }
        budget
    }

    fn add_rate(&mut self, gate: &Gate, left: Option<u64>) {
        let (Some(rate), Some(left)) = (gate.rate, left) else { return };
        if rate.rate <= 0.0 {
            return;
        }
        let seconds = |requests: f64| (requests / rate.rate).ceil().max(1.0) as u64;
        let missing = (rate.burst - left as f64).max(0.0);
        self.add(
            rate.burst as u64,
            seconds(rate.burst),
            Line { level: gate.level, left, reset_s: seconds(missing), retry_s: seconds(1.0) },
        );
    }

    fn add_quota(&mut self, quota: QuotaV1, left: u64, wall_s: u64) {
        let (period, days) = match quota.period {
            PeriodV1::Day => (Period::Day, 1),
            PeriodV1::Week => (Period::Week, 7),
            PeriodV1::Month => (Period::Month, 30),
        };
        let today = u32::try_from(wall_s / DAY_S).unwrap_or(u32::MAX);
        let is_later = |day: &u32| period.number(*day) != period.number(today);
        let first_later = (today.saturating_add(1)..today.saturating_add(32)).find(is_later);
        let ends_s = u64::from(first_later.unwrap_or(today.saturating_add(1))) * DAY_S;
        let rest_s = ends_s.saturating_sub(wall_s).max(1);
        self.add(
            u64::from(quota.limit),
            days * DAY_S,
            Line { level: Level::Quota, left, reset_s: rest_s, retry_s: rest_s },
        );
    }

    fn add(&mut self, size: u64, window_s: u64, line: Line) {
        if !self.policies.is_empty() {
            self.policies.push_str(", ");
        }
        self.policies.push_str(&format!("\"{}\";q={size};w={window_s}", line.level.name()));
        if self.least.as_ref().is_none_or(|least| line.left < least.left) {
            self.least = Some(line.clone());
        }
        self.lines.push(line);
    }

    /// Writes the lines; a refusal also says when to come again.
    pub(crate) fn write(&self, rejection: Option<&Rejection>, headers: &mut HeaderMap) {
        let shortage = rejection.and_then(Rejection::shortage);
        let refused =
            shortage.and_then(|shortage| self.lines.iter().find(|line| line.level == shortage.level));
        let Some(line) = refused.or(self.least.as_ref()) else { return };
        let left = if refused.is_some() { 0 } else { line.left };
        let limit = format!("\"{}\";r={left};t={}", line.level.name(), line.reset_s);
        for (name, text) in [(POLICY, &self.policies), (LIMIT, &limit)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        if refused.is_some() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(line.retry_s));
        }
    }
}
