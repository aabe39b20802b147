//! `GetAccount`: what AWS answers for a fresh account. Owns that shape; nothing of it can be changed in this version.

use serde_json::json;

use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
};

/// `GetAccount`.
pub(crate) fn get(_call: &Call<'_>) -> Outcome {
    read(Answer::ok(json!({
        "throttleSettings": { "burstLimit": 5_000, "rateLimit": 10_000.0 },
        "features": ["UsagePlans"],
        "apiKeyVersion": "4",
    })))
}
