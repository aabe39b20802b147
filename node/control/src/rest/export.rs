//! `GetExport`: a deployed stage as an OpenAPI document. Owns the reading of its parameters; must never write OpenAPI itself.

use super::{deployment::no_deployment, stage};
use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
    error::ApiError,
    openapi::{self, ExportOptions, Extensions, Format},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// `GetExport`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let name = call.param("export_type");
    let format = Format::parse(name).ok_or_else(|| {
        ApiError::bad_request(format!("Invalid export type '{name}', must be one of: [oas30, swagger]"))
    })?;
    let text = call.query.get("extensions").unwrap_or_default();
    let extensions = Extensions::parse(text).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Invalid extensions '{text}', must be among: [integrations, authorizers, apigateway, postman]"
        ))
    })?;
    let stage = stage::find(call)?;
    let deployment = call.view.deployment(call.api_id(), &stage.deployment_id)?.ok_or_else(no_deployment)?;
    let yaml = call.accept.contains("yaml");
    let (api, region) = (call.api_id(), &call.site.region);
    let options = ExportOptions {
        format,
        yaml,
        extensions,
        server_url: format!("https://{api}.execute-api.{region}.amazonaws.com/{}", stage.stage_name),
        date: date(deployment.document.created_date),
    };
    let definition = &deployment.document.definition;
    let bytes = openapi::export(definition, &stage, &options)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let mut answer = Answer::raw(if yaml { "application/yaml" } else { "application/json" }, bytes);
    let file = openapi::export_file_name(definition, &options);
    answer.headers.push(("content-disposition", format!("attachment; filename=\"{file}\"")));
    read(answer)
}

fn date(epoch_s: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(epoch_s).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}
