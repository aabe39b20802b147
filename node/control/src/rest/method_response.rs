//! Method responses. Owns their rules and patches; must never look at integration responses.

use tidegate_proto::document::MethodResponse;

use super::{
    draft::{self, change_method},
    expression, method, model,
    unsupported::Shape,
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::{Input, violation},
    patch::{self, ADD_REMOVE_REPLACE, Kind, Rule, Style, Table},
};

const PATCHES: Table = Table {
    style: Style::Plain,
    rules: &[
        Rule {
            path: "/responseParameters/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::FlagEntry(method::NO_PARAMETER),
        },
        Rule {
            path: "/responseModels/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::TextEntry(method::NO_CONTENT_TYPE),
        },
    ],
};

/// `PutMethodResponse`.
pub(crate) fn put(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("putMethodResponseInput", call.body)?;
    input.violation(status_violation(call));
    let response = MethodResponse {
        status_code: call.param("status_code").to_owned(),
        response_parameters: input.bool_map("responseParameters")?,
        response_models: input.string_map("responseModels")?,
        ..MethodResponse::default()
    };
    input.finish(Shape::MethodResponse)?;
    change_method(call, Answer::created, |method, _, _| {
        check(&response, call)?;
        if method.method_responses.contains_key(&response.status_code) {
            return Err(ApiError::conflict("Response already exists for this resource"));
        }
        let printed = print(&response);
        method.method_responses.insert(response.status_code.clone(), response);
        Ok(printed)
    })
}

/// `GetMethodResponse`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    check_status(call)?;
    let resource = draft::resource(call)?;
    let responses = &draft::method(&resource, call)?.method_responses;
    let found = responses.get(call.param("status_code")).ok_or_else(no_response)?;
    read(Answer::ok(print(found)))
}

/// `UpdateMethodResponse`; AWS answers 201.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let status = status_violation(call);
    let patches = patch::parse("updateMethodResponseInput", call.body, status.as_slice())?;
    change_method(call, Answer::created, |method, _, _| {
        let found = method.method_responses.get_mut(call.param("status_code")).ok_or_else(no_response)?;
        let mut form = print(found);
        patch::apply(&PATCHES, &mut form, &patches)?;
        *found = method::reread(form)?;
        check(found, call)?;
        Ok(print(found))
    })
}

/// `DeleteMethodResponse`.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    check_status(call)?;
    change_method(
        call,
        |_| Answer::no_content(),
        |method, _, _| {
            let gone = method.method_responses.remove(call.param("status_code"));
            gone.map(|_| Default::default()).ok_or_else(no_response)
        },
    )
}

/// The violation of a status code in the path that is none, together with others of the same request.
pub(crate) fn status_violation(call: &Call<'_>) -> Option<String> {
    let status = call.param("status_code");
    let valid = matches!(status.as_bytes(), [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    (!valid).then(|| {
        violation(status, "statusCode", "Member must satisfy regular expression pattern: [1-5]\\d\\d")
    })
}

/// The same for requests without a body.
pub(crate) fn check_status(call: &Call<'_>) -> Result<(), ApiError> {
    status_violation(call).map_or(Ok(()), |text| Err(ApiError::validation(&[text])))
}

/// A response that does not exist.
pub(crate) fn no_response() -> ApiError {
    ApiError::not_found("Invalid Response status code specified")
}

fn check(response: &MethodResponse, call: &Call<'_>) -> Result<(), ApiError> {
    expression::check_response_parameters(&response.response_parameters)?;
    model::check_names(response.response_models.values(), call)
}
