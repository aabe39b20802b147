//! The REST API service (`apigateway`, 2015-07-09): one file per resource of that service. Owns the way from an operation to its
//! function; must never commit.

mod account;
mod api_key;
mod definition;
mod deployment;
mod draft;
mod export;
mod expression;
mod import;
mod integration;
mod integration_response;
mod method;
mod method_response;
mod method_settings;
mod model;
mod resource;
mod rest_api;
mod stage;
mod stage_cache;
mod stage_rollout;
mod tags;
pub(crate) mod unsupported;
pub(crate) mod usage;
mod usage_plan;
mod usage_plan_key;
mod variables;
mod vpc_link;

pub(crate) use definition::check as check_compiles;
pub(crate) use stage_cache::purge as purge_stage;
pub(crate) use tags::{check_policy as check_plan_tags, check_stage as check_stage_tags};

use crate::{
    call::{Call, Outcome},
    operation::Operation,
};

/// Runs an operation: pure, so it can be run again on a newer view.
pub(crate) fn run(operation: Operation, call: &Call<'_>) -> Outcome {
    match operation {
        Operation::CreateApiKey => api_key::create(call),
        Operation::CreateDeployment => deployment::create(call),
        Operation::CreateModel => model::create(call),
        Operation::CreateResource => resource::create(call),
        Operation::CreateRestApi => rest_api::create(call),
        Operation::CreateStage => stage::create(call),
        Operation::CreateUsagePlan => usage_plan::create(call),
        Operation::CreateUsagePlanKey => usage_plan_key::create(call),
        Operation::DeleteApiKey => api_key::delete(call),
        Operation::DeleteDeployment => deployment::delete(call),
        Operation::DeleteIntegration => integration::delete(call),
        Operation::DeleteIntegrationResponse => integration_response::delete(call),
        Operation::DeleteMethod => method::delete(call),
        Operation::DeleteMethodResponse => method_response::delete(call),
        Operation::DeleteModel => model::delete(call),
        Operation::DeleteResource => resource::delete(call),
        Operation::DeleteRestApi => rest_api::delete(call),
        Operation::DeleteStage => stage::delete(call),
        Operation::DeleteUsagePlan => usage_plan::delete(call),
        Operation::DeleteUsagePlanKey => usage_plan_key::delete(call),
        Operation::FlushStageAuthorizersCache => stage_cache::flush_authorizers(call),
        Operation::FlushStageCache => stage_cache::flush(call),
        Operation::GetAccount => account::get(call),
        Operation::GetApiKey => api_key::get(call),
        Operation::GetApiKeys => api_key::list(call),
        Operation::GetDeployment => deployment::get(call),
        Operation::GetDeployments => deployment::list(call),
        Operation::GetExport => export::get(call),
        Operation::GetIntegration => integration::get(call),
        Operation::GetIntegrationResponse => integration_response::get(call),
        Operation::GetMethod => method::get(call),
        Operation::GetMethodResponse => method_response::get(call),
        Operation::GetModel => model::get(call),
        Operation::GetModels => model::list(call),
        Operation::GetResource => resource::get(call),
        Operation::GetResources => resource::list(call),
        Operation::GetRestApi => rest_api::get(call),
        Operation::GetRestApis => rest_api::list(call),
        Operation::GetStage => stage::get(call),
        Operation::GetStages => stage::list(call),
        Operation::GetUsagePlan => usage_plan::get(call),
        Operation::GetUsagePlanKey => usage_plan_key::get(call),
        Operation::GetUsagePlanKeys => usage_plan_key::list(call),
        Operation::GetUsagePlans => usage_plan::list(call),
        Operation::ImportApiKeys => api_key::import::run(call),
        Operation::ImportRestApi => import::create(call),
        Operation::PutIntegration => integration::put(call),
        Operation::PutIntegrationResponse => integration_response::put(call),
        Operation::PutMethod => method::put(call),
        Operation::PutMethodResponse => method_response::put(call),
        Operation::PutRestApi => import::put(call),
        Operation::Tags(operation) => tags::run(operation, call),
        Operation::UpdateAccount => account::update(call),
        Operation::UpdateApiKey => api_key::update(call),
        Operation::UpdateDeployment => deployment::update(call),
        Operation::UpdateIntegration => integration::update(call),
        Operation::UpdateIntegrationResponse => integration_response::update(call),
        Operation::UpdateMethod => method::update(call),
        Operation::UpdateMethodResponse => method_response::update(call),
        Operation::UpdateModel => model::update(call),
        Operation::UpdateResource => resource::update(call),
        Operation::UpdateRestApi => rest_api::update(call),
        Operation::UpdateStage => stage::update(call),
        Operation::UpdateUsagePlan => usage_plan::update(call),
        Operation::VpcLink(operation) => vpc_link::run(operation, call),
    }
}
