//! The check before anything that is served enters the log. Owns the order of those checks; must never compile for real traffic.

use tidegate_proto::document::{ApiDefinition, Stage};

use crate::error::ApiError;

/// Whether a stage of this definition can be served: AWS's own rules, then the compiler of the data plane.
///
/// # Errors
/// 400 with AWS's text, or with what the compiler says.
pub(crate) fn check(definition: &ApiDefinition, stage: &Stage) -> Result<(), ApiError> {
    let mut methods =
        definition.resources.iter().flat_map(|resource| resource.resource_methods.values()).peekable();
    if methods.peek().is_none() {
        return Err(ApiError::bad_request("The REST API doesn't contain any methods"));
    }
    if methods.any(|method| method.method_integration.is_none()) {
        return Err(ApiError::bad_request("No integration defined for method"));
    }
    match tidegate_gateway::compile(definition, stage) {
        Ok(_) => Ok(()),
        Err(error) => Err(ApiError::bad_request(error.to_string())),
    }
}
