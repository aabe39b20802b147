//! Stage variables and stage names. Owns their alphabets; must never substitute one.

use tidegate_proto::{document::Map, limits::STAGE_VARIABLES_MAX};

use crate::error::ApiError;

/// Longest name of a stage variable (*AWS*: 64).
const NAME_CHARS_MAX: usize = 64;
/// Longest value of a stage variable (*AWS*: 512).
const VALUE_CHARS_MAX: usize = 512;
/// Longest stage name (*AWS*: 128).
const STAGE_CHARS_MAX: usize = 128;
const VALUE_SYMBOLS: &[u8] = b"-._~:/?#&=,";

/// Checks all variables of a stage.
pub(crate) fn check(variables: &Map<String>) -> Result<(), ApiError> {
    if variables.len() > STAGE_VARIABLES_MAX {
        let found = variables.len();
        return Err(ApiError::bad_request(format!(
            "A stage can have {STAGE_VARIABLES_MAX} stage variables, not {found}"
        )));
    }
    for (name, value) in variables {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(word) {
            return Err(ApiError::bad_request(format!(
                "Invalid stage variable name '{name}': use 1 to {NAME_CHARS_MAX} of a-z A-Z 0-9 _"
            )));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || VALUE_SYMBOLS.contains(&b);
        if value.is_empty() || value.len() > VALUE_CHARS_MAX || !value.bytes().all(allowed) {
            return Err(ApiError::bad_request(format!(
                "Invalid value '{value}' of stage variable '{name}': use 1 to {VALUE_CHARS_MAX} of a-z A-Z 0-9 {}",
                String::from_utf8_lossy(VALUE_SYMBOLS)
            )));
        }
    }
    Ok(())
}

/// Checks the name of a stage.
pub(crate) fn check_stage_name(name: &str) -> Result<(), ApiError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match !name.is_empty() && name.len() <= STAGE_CHARS_MAX && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(ApiError::bad_request("Stage name only allows a-zA-Z0-9_-")),
    }
}
