//! The way of a stage's new version from availability zone to availability zone, as far as calls of the control plane begin or end it;
//! must never decide when it goes on.

use tidegate_proto::document::{RolloutPolicy, Stage, StageRollout, StageVersion};

use crate::error::ApiError;

/// Begins the way of a new deployment or new variables where the stage's tags ask for it. One that is under way starts anew, from what
/// was served before it; going back to that ends it.
pub(crate) fn follow(before: &Stage, after: &mut Stage, now_s: i64) -> Result<(), ApiError> {
    let (old, new) = (StageVersion::of(before), StageVersion::of(after));
    if old == new || before.deployment_id.is_empty() {
        return Ok(());
    }
    let policy =
        RolloutPolicy::from_tags(&after.tags).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let from = before.tidegate_rollout.as_ref().map_or(old, |rollout| rollout.from.clone());
    let is_staged = policy.is_staged && from != new;
    after.tidegate_rollout = is_staged.then(|| StageRollout { from, reached: Vec::new(), reached_s: now_s });
    after.tidegate_rolled_back = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::document::Map;

    fn stage(deployment: &str, is_staged: bool) -> Stage {
        let tags = Map::from([("tidegate:rollout".to_owned(), "az".to_owned())]);
        let tags = if is_staged { tags } else { Map::new() };
        Stage { deployment_id: deployment.into(), tags, ..Stage::default() }
    }

    #[test]
    fn a_new_version_is_staged_from_what_was_served_before() {
        let from = |stage: &Stage| stage.tidegate_rollout.as_ref().map(|r| r.from.deployment_id.clone());
        let mut second = stage("2", true);
        follow(&stage("1", true), &mut second, 5).unwrap();
        assert_eq!(from(&second).as_deref(), Some("1"));
        let mut third = Stage { deployment_id: "3".into(), ..second.clone() };
        follow(&second, &mut third, 6).unwrap();
        assert_eq!(from(&third).as_deref(), Some("1"), "the first is what everybody has");
        let mut back = Stage { deployment_id: "1".into(), ..second.clone() };
        follow(&second, &mut back, 6).unwrap();
        assert_eq!(from(&back), None);
        let mut same = Stage { description: Some("text".into()), ..second.clone() };
        follow(&second, &mut same, 6).unwrap();
        assert_eq!(from(&same), from(&second), "nothing that is served has changed");
        for (before, after) in [(stage("1", false), stage("2", false)), (stage("", true), stage("1", true))] {
            let mut after = after;
            follow(&before, &mut after, 5).unwrap();
            assert_eq!(from(&after), None);
        }
    }
}
