//! The compiled shape of everything that limits callers: API keys, usage plans, stages and the account. Kept on disk behind the
//! serving snapshot, so that a node that restarts alone refuses what it refused before. Holds hashes of key values, never values.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest layout of [`LimitsV1`] that this program writes and reads.
pub const LIMITS_VERSION: u8 = 1;

/// All limits of a region.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct LimitsV1 {
    /// Nodes of the region.
    pub holders: u32,
    /// Nodes of all regions.
    pub all_holders: u32,
    /// Regions.
    pub regions: u32,
    /// Over all requests of the region.
    pub account: Option<RateV1>,
    /// Stages that limit something, by API and name.
    pub stages: Vec<StageLimitsV1>,
    /// Usage plans, by id.
    pub plans: Vec<PlanV1>,
    /// API keys, by id.
    pub keys: Vec<KeyV1>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct RateV1 {
    /// Requests per second in the long run.
    pub rate: f64,
    /// Requests at once.
    pub burst: f64,
}

/// How strictly limits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PolicyV1 {
    /// Never exceeded.
    pub strict: bool,
    /// What a node does without contact.
    pub isolated: IsolatedV1,
    /// Over all regions together; false in a cluster of one region.
    pub global: bool,
}

/// What a node does with a limit without contact to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum IsolatedV1 {
    /// An even share.
    #[default]
    Even,
    /// The last share.
    Last,
    /// Nothing.
    Closed,
}

/// A bucket of one method; `None` is none, in place of the stage's.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct MethodRateV1 {
    /// Path of the resource, with braces.
    pub path: String,
    /// Verb as configured, `ANY` included.
    pub verb: String,
    /// The bucket.
    pub rate: Option<RateV1>,
}

/// What a stage limits.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct StageLimitsV1 {
    /// Id of the REST API.
    pub api: String,
    /// Stage name.
    pub stage: String,
    /// How strictly.
    pub policy: PolicyV1,
    /// Whether answers say how much is left.
    pub headers: bool,
    /// Whether API keys come from authorizers instead of a header.
    pub key_from_authorizer: bool,
    /// One bucket over all methods.
    pub bucket: Option<RateV1>,
    /// A bucket of its own for each method that has no other.
    pub methods_default: Option<RateV1>,
    /// Buckets of single methods.
    pub methods: Vec<MethodRateV1>,
}

/// A usage plan.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct PlanV1 {
    /// Its id.
    pub id: String,
    /// How strictly.
    pub policy: PolicyV1,
    /// A bucket of its own for each key.
    pub rate: Option<RateV1>,
    /// Requests of each key.
    pub quota: Option<QuotaV1>,
    /// Stages it covers.
    pub stages: Vec<PlanStageV1>,
}

/// A quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct QuotaV1 {
    /// Requests in a period.
    pub limit: u32,
    /// Subtracted in the first period.
    pub offset: u32,
    /// A day of the first period, in days since 1970-01-01.
    pub since_day: u32,
    /// How long it lasts.
    pub period: PeriodV1,
}

/// How long a quota lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum PeriodV1 {
    /// A day.
    #[default]
    Day,
    /// Sunday to Saturday.
    Week,
    /// A calendar month.
    Month,
}

/// A stage of a plan, with buckets for each key and method that take the place of the plan's.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct PlanStageV1 {
    /// Id of the REST API.
    pub api: String,
    /// Stage name.
    pub stage: String,
    /// Methods with a bucket of their own.
    pub methods: Vec<MethodRateV1>,
}

/// An API key.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct KeyV1 {
    /// Its id.
    pub id: String,
    /// SHA-256 of its value.
    pub digest: [u8; 32],
    /// Whether it may be used.
    pub enabled: bool,
    /// Places of its plans in [`LimitsV1::plans`].
    pub plans: Vec<u32>,
}

impl LimitsV1 {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.account.is_none() && self.stages.is_empty() && self.plans.is_empty() && self.keys.is_empty()
    }

    /// The framed bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Limits, LIMITS_VERSION, &body)
    }

    /// Reads framed bytes.
    ///
    /// # Errors
    /// Any [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Limits, LIMITS_VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_travel() {
        let rate = Some(RateV1 { rate: 2.5, burst: 4.0 });
        let method = MethodRateV1 { path: "/pets".into(), verb: "GET".into(), rate };
        let sample = LimitsV1 {
            holders: 3,
            all_holders: 9,
            regions: 3,
            account: rate,
            stages: vec![StageLimitsV1 {
                api: "a".into(),
                methods: vec![method.clone()],
                ..Default::default()
            }],
            plans: vec![PlanV1 {
                quota: Some(QuotaV1 { limit: 9, offset: 1, since_day: 20_000, period: PeriodV1::Week }),
                stages: vec![PlanStageV1 { methods: vec![method], ..Default::default() }],
                ..Default::default()
            }],
            keys: vec![KeyV1 { id: "k".into(), digest: [7; 32], enabled: true, plans: vec![0] }],
        };
        let bytes = sample.encode().unwrap();
        assert_eq!(LimitsV1::decode(&bytes).unwrap(), sample);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            include_str!("../../tests/golden/limits-v1.hex").trim(),
            "limits-v1 changed on disk: add a version instead of changing this one"
        );
        assert!(!sample.is_empty() && LimitsV1::default().is_empty());
    }
}
