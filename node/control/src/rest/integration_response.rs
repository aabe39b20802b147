//! Integration responses. Owns their rules and patches; must never render one.

use tidegate_proto::document::{IntegrationResponse, Method};

use super::{
    draft::{self, Draft, change_method},
    expression,
    integration::no_integration,
    method,
    method_response::{check_status, no_response, status_violation},
    unsupported::Shape,
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    patch::{self, ADD_REMOVE_REPLACE, Kind, REPLACE, Rule, Style, Table},
};

const PATCHES: Table = Table {
    style: Style::Plain,
    rules: &[
        Rule { path: "/selectionPattern", ops: REPLACE, kind: Kind::Text },
        Rule {
            path: "/responseParameters/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::TextEntry(method::NO_PARAMETER),
        },
        Rule {
            path: "/responseTemplates/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::TextEntry(method::NO_CONTENT_TYPE),
        },
        Rule {
            path: "/contentHandling",
            ops: REPLACE,
            kind: Kind::Later(Shape::IntegrationResponse, "contentHandling"),
        },
    ],
};

/// `PutIntegrationResponse`: replaces the response of that status code.
pub(crate) fn put(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("putIntegrationResponseInput", call.body)?;
    input.violation(status_violation(call));
    let response = IntegrationResponse {
        status_code: call.param("status_code").to_owned(),
        selection_pattern: input.string("selectionPattern")?,
        response_parameters: input.string_map("responseParameters")?,
        response_templates: input.nullable_map("responseTemplates")?,
        ..IntegrationResponse::default()
    };
    input.finish(Shape::IntegrationResponse)?;
    change_method(call, Answer::created, |method, _, _| {
        check(&response, method)?;
        let printed = print(&response);
        let integration = method.method_integration.as_mut().ok_or_else(no_integration)?;
        integration.integration_responses.insert(response.status_code.clone(), response);
        Ok(printed)
    })
}

/// `GetIntegrationResponse`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    check_status(call)?;
    let resource = draft::resource(call)?;
    let integration = draft::method(&resource, call)?.method_integration.as_ref();
    let responses = &integration.ok_or_else(no_integration)?.integration_responses;
    read(Answer::ok(print(responses.get(call.param("status_code")).ok_or_else(no_response)?)))
}

/// `UpdateIntegrationResponse`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let status = status_violation(call);
    let patches = patch::parse("updateIntegrationResponseInput", call.body, status.as_slice())?;
    change_method(call, Answer::ok, |method, _, _| {
        let integration = method.method_integration.as_ref().ok_or_else(no_integration)?;
        let found = integration.integration_responses.get(call.param("status_code"));
        let mut form = print(found.ok_or_else(no_response)?);
        patch::apply(&PATCHES, &mut form, &patches)?;
        let mut response: IntegrationResponse = method::reread(form)?;
        for template in response.response_templates.values_mut() {
            *template = template.take().filter(|text| !text.is_empty());
        }
        check(&response, method)?;
        let printed = print(&response);
        if let Some(integration) = &mut method.method_integration {
            integration.integration_responses.insert(response.status_code.clone(), response);
        }
        Ok(printed)
    })
}

/// `DeleteIntegrationResponse`; AWS answers a missing method as a missing integration here.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    check_status(call)?;
    let mut draft = Draft::open_or(call, ApiError::no_resource())?;
    let mut resource = draft.resource(call.param("resource_id"))?;
    let method = resource.resource_methods.get_mut(call.param("http_method"));
    let integration = method.and_then(|method| method.method_integration.as_mut());
    let responses = &mut integration.ok_or_else(no_integration)?.integration_responses;
    responses.remove(call.param("status_code")).ok_or_else(no_response)?;
    draft.put_resource(&resource);
    draft.commit(Answer::no_content())
}

fn check(response: &IntegrationResponse, method: &Method) -> Result<(), ApiError> {
    expression::check_templates(
        response.response_templates.iter().map(|(content_type, text)| (content_type, text.as_deref())),
    )?;
    let declared = method.method_responses.get(&response.status_code);
    expression::check_response_mappings(&response.response_parameters, declared)
}
