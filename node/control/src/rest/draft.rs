//! A change to one REST API in the making. Owns the compares that serialise all writers of one API; must never decide what changes.

use serde_json::Value;
use tidegate_proto::{
    document::{Method, Resource, RestApi, Stage},
    key,
    transaction::TransactionV1,
};
use tidegate_state::{State, table::Versioned};

use crate::{
    answer::Answer,
    call::{Call, Outcome},
    error::ApiError,
};

/// A REST API that is being changed. Every change below it also rewrites its record, so two writers of one API conflict even
/// when they touch different records, and each sees a whole draft.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    view: &'a State,
    /// The API, written back by [`Draft::commit`].
    pub api: RestApi,
    transaction: TransactionV1,
}

impl<'a> Draft<'a> {
    /// Opens the API of the path.
    ///
    /// # Errors
    /// 404 with the text of operations on APIs.
    pub(crate) fn open(call: &Call<'a>) -> Result<Self, ApiError> {
        Self::open_or(call, ApiError::no_api(&call.site.account, call.api_id()))
    }

    /// Opens the API of the path; operations further down answer its absence with a text of their own.
    pub(crate) fn open_or(call: &Call<'a>, absent: ApiError) -> Result<Self, ApiError> {
        Self::of(call.view, call.api_id())?.ok_or(absent)
    }

    /// Opens an API by its id, for changes that are not operations of AWS's.
    pub(crate) fn of(view: &'a State, api: &str) -> Result<Option<Self>, ApiError> {
        let Some(Versioned { revision, document }) = find(view, api)? else { return Ok(None) };
        let mut transaction = TransactionV1::default();
        transaction.compare(key::rest_api(api), revision);
        Ok(Some(Self { view, api: document, transaction }))
    }

    /// A resource of the API; it is compared as well.
    pub(crate) fn resource(&mut self, id: &str) -> Result<Resource, ApiError> {
        let found = self.view.resource(&self.api.id, id)?.ok_or_else(ApiError::no_resource)?;
        self.transaction.compare(key::resource(&self.api.id, id), found.revision);
        Ok(found.document)
    }

    /// Writes a resource.
    pub(crate) fn put_resource(&mut self, resource: &Resource) {
        self.transaction.put(key::resource(&self.api.id, &resource.id), resource);
    }

    /// Writes a stage.
    pub(crate) fn put_stage(&mut self, stage: &Stage) {
        self.transaction.put(key::stage(&self.api.id, &stage.stage_name), stage);
    }

    /// The transaction, for records other than resources and stages.
    pub(crate) fn transaction(&mut self) -> &mut TransactionV1 {
        &mut self.transaction
    }

    /// The change with its answer.
    pub(crate) fn commit(mut self, answer: Answer) -> Outcome {
        self.transaction.put(key::rest_api(&self.api.id), &self.api);
        Ok((self.transaction, answer))
    }
}

/// A REST API by id; an id with a slash would name a record of another kind and is nobody's.
pub(crate) fn find_api(call: &Call<'_>, id: &str) -> Result<Option<Versioned<RestApi>>, ApiError> {
    find(call.view, id)
}

fn find(view: &State, id: &str) -> Result<Option<Versioned<RestApi>>, ApiError> {
    if id.contains('/') { Ok(None) } else { Ok(view.rest_api(id)?) }
}

/// Requires the API of the path, for reads of what is below it.
pub(crate) fn require_api(call: &Call<'_>) -> Result<Versioned<RestApi>, ApiError> {
    find_api(call, call.api_id())?.ok_or_else(|| ApiError::no_api(&call.site.account, call.api_id()))
}

/// The resource of the path, for reads.
pub(crate) fn resource(call: &Call<'_>) -> Result<Resource, ApiError> {
    let found = call.view.resource(call.api_id(), call.param("resource_id"))?;
    found.map(|found| found.document).ok_or_else(ApiError::no_resource)
}

/// The method of the path.
pub(crate) fn method<'r>(resource: &'r Resource, call: &Call<'_>) -> Result<&'r Method, ApiError> {
    resource.resource_methods.get(call.param("http_method")).ok_or_else(no_method)
}

/// Changes one method of the path and answers with what `change` prints.
pub(crate) fn change_method(
    call: &Call<'_>,
    answer: impl FnOnce(Value) -> Answer,
    change: impl FnOnce(&mut Method, &Draft<'_>, &Resource) -> Result<Value, ApiError>,
) -> Outcome {
    let mut draft = Draft::open_or(call, ApiError::no_resource())?;
    let mut resource = draft.resource(call.param("resource_id"))?;
    let name = call.param("http_method");
    let mut method = resource.resource_methods.get(name).cloned().ok_or_else(no_method)?;
    let printed = change(&mut method, &draft, &resource)?;
    resource.resource_methods.insert(name.to_owned(), method);
    draft.put_resource(&resource);
    draft.commit(answer(printed))
}

/// A method that does not exist.
pub(crate) fn no_method() -> ApiError {
    ApiError::not_found("Invalid Method identifier specified")
}
