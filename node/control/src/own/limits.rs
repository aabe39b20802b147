//! Which limits are busiest: the question as an operator asks it. Owns its parameters; who knows the answer is behind a seam.

use std::sync::Arc;

use tidegate_gateway::Level;
use tidegate_proto::{limits::LIMITS_TOP_COUNT_MAX, status::LimitsTop};

use crate::{
    answer::print,
    error::ApiError,
    query::Query,
    store::{BoxFuture, Limits, TopQuestion},
};

/// Limits that are listed where the question does not say how many.
const COUNT: usize = 20;

/// Limits that nobody counts.
#[derive(Debug)]
pub(crate) struct NoLimits;

impl Limits for NoLimits {
    fn top(&self, _: TopQuestion) -> BoxFuture<'_, LimitsTop> {
        Box::pin(std::future::ready(LimitsTop::default()))
    }
}

/// Answers `GET /_tidegate/limits`.
pub(crate) async fn top(limits: &Arc<dyn Limits>, query: &Query) -> Result<serde_json::Value, ApiError> {
    Ok(print(&limits.top(question(query)?).await))
}

/// Levels that nodes share; what only protects one node is no leader's business.
fn levels() -> impl Iterator<Item = &'static str> {
    Level::ALL.into_iter().filter(|level| *level != Level::Node).map(Level::name)
}

fn question(query: &Query) -> Result<TopQuestion, ApiError> {
    let mut question = TopQuestion { count: COUNT, ..TopQuestion::default() };
    for (name, value) in query.pairs() {
        match name {
            "count" => {
                let count = value.parse().ok().filter(|count| (1..=LIMITS_TOP_COUNT_MAX).contains(count));
                question.count = count.ok_or_else(|| {
                    ApiError::bad_request(format!(
                        "Invalid count '{value}', must be a whole number from 1 to {LIMITS_TOP_COUNT_MAX}"
                    ))
                })?;
            }
            "api" => question.api = Some(value.to_owned()),
            "stage" => question.stage = Some(value.to_owned()),
            "level" if levels().any(|level| level == value) => question.level = Some(value.to_owned()),
            "level" => {
                let levels = levels().collect::<Vec<_>>().join(", ");
                return Err(ApiError::bad_request(format!(
                    "Invalid level '{value}', must be one of {levels}"
                )));
            }
            _ => {
                return Err(ApiError::bad_request(format!(
                    "Unknown parameter '{name}', must be one of count, api, stage, level"
                )));
            }
        }
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_strictly() {
        let all = |count| TopQuestion { count, ..TopQuestion::default() };
        let text = |text: &str| Some(text.to_owned());
        for (query, expect) in [
            ("", Ok(all(20))),
            ("count=1", Ok(all(1))),
            ("count=500", Ok(all(500))),
            ("level=plan-method", Ok(TopQuestion { level: text("plan-method"), ..all(20) })),
            ("api=a1&stage=x%20y", Ok(TopQuestion { api: text("a1"), stage: text("x y"), ..all(20) })),
            ("count=0", Err("Invalid count '0'")),
            ("count=501", Err("Invalid count '501'")),
            ("count=many", Err("Invalid count 'many'")),
            ("level=node", Err("Invalid level 'node', must be one of plan,")),
            ("sort=rate", Err("Unknown parameter 'sort'")),
        ] {
            match (question(&Query::parse(query)), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{query}"),
                (Err(error), Err(expect)) => assert!(error.message.starts_with(expect), "{}", error.message),
                (found, expect) => panic!("{query}: {found:?} {expect:?}"),
            }
        }
    }
}
