//! Usage plans: how much the holders of API keys may call, and of what.

use serde::{Deserialize, Serialize};

use super::{Document, Map, Other};

/// Limits for the holders of some API keys on some stages. AWS: `UsagePlan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsagePlan {
    /// 6 lower-case alphanumeric characters.
    pub id: String,
    /// Display name; need not be unique.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The stages it admits to; no stage twice.
    pub api_stages: Vec<ApiStage>,
    /// One limit per key over all its stages; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottleSettings>,
    /// Requests per key and period; absent: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaSettings>,
    /// When the quota was first set or got another period, in seconds since the Unix epoch. Its offset counts in the period of
    /// that moment and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_since_s: Option<i64>,
    /// A product of a marketplace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_code: Option<String>,
    /// Tags; [`super::LimitPolicy`] reads some of them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for UsagePlan {
    const NOUN: &'static str = "UsagePlan";
}

impl UsagePlan {
    /// Whether holders of its keys may call a stage.
    pub fn admits(&self, api: &str, stage: &str) -> bool {
        self.api_stages.iter().any(|one| one.api_id == api && one.stage == stage)
    }
}

/// A stage of a usage plan. AWS: `ApiStage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiStage {
    /// Id of the REST API.
    pub api_id: String,
    /// Name of the stage.
    pub stage: String,
    /// Limits per key and method, by `{path}/{VERB}` with the path's leading slash, such as `/pets/GET`; [`super::MethodPath`]
    /// reads these names.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub throttle: Map<ThrottleSettings>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

/// A token bucket. AWS: `ThrottleSettings`. A part that is absent does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThrottleSettings {
    /// Requests that may come at once; 0 admits none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_limit: Option<u32>,
    /// Requests per second in the long run; 0 admits none. Never negative, always finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<f64>,
}

/// Requests per period. AWS: `QuotaSettings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuotaSettings {
    /// Requests of one key in one period.
    pub limit: u64,
    /// Requests taken off the first period.
    pub offset: u64,
    /// How long a period is.
    pub period: QuotaPeriod,
}

/// AWS: `QuotaPeriodType`. Periods begin at midnight UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QuotaPeriod {
    /// A day.
    #[default]
    Day,
    /// A week.
    Week,
    /// A calendar month.
    Month,
}

impl QuotaPeriod {
    /// All periods with AWS's names, in AWS's order.
    pub const ALL: [(&'static str, Self); 3] =
        [("DAY", Self::Day), ("WEEK", Self::Week), ("MONTH", Self::Month)];

    /// The period with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, period)| *period)
    }
}

/// That an API key is in a usage plan. AWS: `UsagePlanKey`. Of two plans of one key with the same stage, the one whose id is first
/// counts; writers see to it that there are no two, but for those that meet in the same instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsagePlanKey {
    /// Id of the API key.
    pub key_id: String,
    /// Id of the usage plan.
    pub plan_id: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for UsagePlanKey {
    const NOUN: &'static str = "UsagePlanKey";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_document() {
        let text = r#"{"id":"p","name":"gold","apiStages":[{"apiId":"a","stage":"s","throttle":{"/pets/GET":{"rateLimit":2.5}}}],"throttle":{"burstLimit":1,"rateLimit":2.0},"quota":{"limit":10,"offset":3,"period":"WEEK"},"quotaSinceS":7,"tier":"later"}"#;
        let plan = UsagePlan::decode(text.as_bytes()).unwrap();
        assert_eq!(plan.quota, Some(QuotaSettings { limit: 10, offset: 3, period: QuotaPeriod::Week }));
        let method = plan.api_stages[0].throttle["/pets/GET"];
        assert_eq!(method, ThrottleSettings { burst_limit: None, rate_limit: Some(2.5) });
        assert!(plan.admits("a", "s") && !plan.admits("a", "t") && !plan.admits("b", "s"));
        assert_eq!(String::from_utf8(plan.encode()).unwrap(), text);
    }

    #[test]
    fn periods_have_names() {
        for (name, period) in QuotaPeriod::ALL {
            assert_eq!(QuotaPeriod::from_name(name), Some(period));
            assert_eq!(serde_json::to_value(period).unwrap(), name);
        }
        assert_eq!(QuotaPeriod::from_name("day"), None);
    }
}
