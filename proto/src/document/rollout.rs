//! How a stage's newest version reaches the availability zones: read from its tags, and kept in its record while it is under way. Owns
//! the names of those tags and what a stage means in one zone; must never decide when a rollout goes on.

use serde::{Deserialize, Serialize};

use super::{
    Map, Stage,
    policy::{TagError, choice, error},
};

/// Tag of stages: `az` lets a new deployment, or new stage variables, reach one availability zone after the other.
pub const ROLLOUT: &str = "tidegate:rollout";
/// Tag of stages: seconds that a new version is watched in one availability zone before it goes on to the next.
pub const ROLLOUT_BAKE: &str = "tidegate:rollout-bake";
/// Tag of stages: percentage of server errors above which a new version is taken back.
pub const ROLLOUT_ERRORS: &str = "tidegate:rollout-errors";

/// Seconds of [`ROLLOUT_BAKE`] when it is absent.
pub const BAKE_S_DEFAULT: u32 = 30;
/// Percentage of [`ROLLOUT_ERRORS`] when it is absent.
pub const ERRORS_PERCENT_DEFAULT: f64 = 5.0;

/// How new versions of a stage reach the availability zones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RolloutPolicy {
    /// Whether they go from zone to zone; otherwise every node takes them at once.
    pub is_staged: bool,
    /// Seconds in each zone; 5 to 3600.
    pub bake_s: u32,
    /// Percentage of server errors that is too much; above 0, at most 100.
    pub errors_percent: f64,
}

/// A new version of a stage on its way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StageRollout {
    /// What zones serve that it has not reached.
    pub from: StageVersion,
    /// Zones that serve the new version, in the order in which they got it.
    pub reached: Vec<Zone>,
    /// When the last of them got it, in seconds since the Unix epoch.
    pub reached_s: i64,
}

/// What goes from zone to zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StageVersion {
    /// Id of the deployment.
    pub deployment_id: String,
    /// Stage variables.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String>,
}

/// An availability zone of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Zone {
    /// Its region.
    pub region: String,
    /// Its name.
    pub az: String,
}

/// A version that was taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolledBack {
    /// What it was.
    pub version: StageVersion,
    /// Why.
    pub reason: String,
    /// When, in seconds since the Unix epoch.
    pub at_s: i64,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self { is_staged: false, bake_s: BAKE_S_DEFAULT, errors_percent: ERRORS_PERCENT_DEFAULT }
    }
}

impl RolloutPolicy {
    /// Reads the policy of a stage; absent tags have their defaults.
    ///
    /// # Errors
    /// A value out of range.
    pub fn from_tags(tags: &Map<String>) -> Result<Self, TagError> {
        let default = Self::default();
        let ways = [("az", true), ("all", false)];
        let is_staged = choice(tags, ROLLOUT, &ways, "must be az or all")?.unwrap_or(default.is_staged);
        let bake_s = match tags.get(ROLLOUT_BAKE).map(|text| text.parse()) {
            None => default.bake_s,
            Some(Ok(seconds)) if (5..=3600).contains(&seconds) => seconds,
            Some(_) => {
                return Err(error(ROLLOUT_BAKE, tags, "must be a whole number of seconds from 5 to 3600"));
            }
        };
        let errors_percent = match tags.get(ROLLOUT_ERRORS).map(|text| text.parse::<f64>()) {
            None => default.errors_percent,
            Some(Ok(percent)) if percent > 0.0 && percent <= 100.0 => percent,
            Some(_) => return Err(error(ROLLOUT_ERRORS, tags, "must be a percentage above 0, at most 100")),
        };
        Ok(Self { is_staged, bake_s, errors_percent })
    }
}

impl StageVersion {
    /// What of a stage goes from zone to zone.
    pub fn of(stage: &Stage) -> Self {
        Self { deployment_id: stage.deployment_id.clone(), variables: stage.variables.clone() }
    }
}

impl Stage {
    /// The stage as an availability zone serves it: with the version before the newest one, where that has not come yet.
    #[must_use]
    pub fn served_in(mut self, region: &str, az: &str) -> Self {
        let Some(rollout) = &self.tidegate_rollout else { return self };
        if !rollout.reached.iter().any(|zone| zone.region == region && zone.az == az) {
            let StageVersion { deployment_id, variables } = rollout.from.clone();
            (self.deployment_id, self.variables) = (deployment_id, variables);
        }
        self
    }

    /// Whether some zone serves a deployment, or will: its newest one, or the one before while a rollout is under way.
    pub fn uses_deployment(&self, deployment: &str) -> bool {
        let before = self.tidegate_rollout.as_ref().map(|rollout| rollout.from.deployment_id.as_str());
        self.deployment_id == deployment || before == Some(deployment)
    }

    /// Takes the newest version back everywhere; nothing where no rollout is under way.
    pub fn roll_back(&mut self, reason: impl Into<String>, now_s: i64) {
        let Some(rollout) = self.tidegate_rollout.take() else { return };
        let version = StageVersion::of(self);
        (self.deployment_id, self.variables) = (rollout.from.deployment_id, rollout.from.variables);
        self.tidegate_rolled_back = Some(RolledBack { version, reason: reason.into(), at_s: now_s });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Map<String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn policies() {
        let policy =
            |is_staged, bake_s, errors_percent| Ok(RolloutPolicy { is_staged, bake_s, errors_percent });
        let wrong = |tag: &str, value: &str, rule: &str| {
            Err(format!("Invalid value '{value}' of tag tidegate:{tag}: {rule}"))
        };
        let (seconds, percent) =
            ("must be a whole number of seconds from 5 to 3600", "must be a percentage above 0, at most 100");
        for (given, expect) in [
            (&[][..], policy(false, 30, 5.0)),
            (&[(ROLLOUT, "all")], policy(false, 30, 5.0)),
            (&[(ROLLOUT, "az"), (ROLLOUT_BAKE, "5"), (ROLLOUT_ERRORS, "0.5")], policy(true, 5, 0.5)),
            (&[(ROLLOUT_BAKE, "3600"), (ROLLOUT_ERRORS, "100")], policy(false, 3600, 100.0)),
            (&[(ROLLOUT, "AZ")], wrong("rollout", "AZ", "must be az or all")),
            (&[(ROLLOUT_BAKE, "4")], wrong("rollout-bake", "4", seconds)),
            (&[(ROLLOUT_BAKE, "3601")], wrong("rollout-bake", "3601", seconds)),
            (&[(ROLLOUT_BAKE, "1.5")], wrong("rollout-bake", "1.5", seconds)),
            (&[(ROLLOUT_ERRORS, "0")], wrong("rollout-errors", "0", percent)),
            (&[(ROLLOUT_ERRORS, "101")], wrong("rollout-errors", "101", percent)),
            (&[(ROLLOUT_ERRORS, "NaN")], wrong("rollout-errors", "NaN", percent)),
        ] {
            let found = RolloutPolicy::from_tags(&tags(given)).map_err(|error| error.to_string());
            assert_eq!(found, expect, "{given:?}");
        }
    }

    #[test]
    fn a_zone_serves_the_new_version_once_it_was_reached_and_the_old_one_after_a_rollback() {
        let version = |id: &str| StageVersion { deployment_id: id.into(), variables: tags(&[("v", id)]) };
        let mut stage = Stage {
            deployment_id: "new".into(),
            variables: tags(&[("v", "new")]),
            tidegate_rollout: Some(StageRollout {
                from: version("old"),
                reached: vec![Zone { region: "r".into(), az: "a".into() }],
                reached_s: 7,
            }),
            ..Stage::default()
        };
        let served = |stage: &Stage, region, az| StageVersion::of(&stage.clone().served_in(region, az));
        for (region, az, expect) in [("r", "a", "new"), ("r", "b", "old"), ("s", "a", "old")] {
            assert_eq!(served(&stage, region, az), version(expect), "{region} {az}");
        }
        assert!(stage.uses_deployment("old") && stage.uses_deployment("new") && !stage.uses_deployment("x"));
        stage.roll_back("too many errors", 9);
        assert_eq!((served(&stage, "r", "a"), stage.tidegate_rollout.is_none()), (version("old"), true));
        let taken_back = stage.tidegate_rolled_back.clone().unwrap();
        assert_eq!((taken_back.version, taken_back.at_s), (version("new"), 9));
        let before = stage.clone();
        stage.roll_back("again", 10);
        assert_eq!(stage, before);
    }
}
