//! API keys. Owns their rules and patches; must never print a value that was not asked for.

pub(super) mod import;
pub(super) mod value;

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_proto::{
    document::ApiKey,
    id::api_id,
    key,
    limits::{API_KEY_DESCRIPTION_CHARS_MAX, API_KEY_MARKS_MAX, API_KEY_NAME_CHARS_MAX, API_KEYS_MAX},
    transaction::TransactionV1,
};
use tidegate_state::{State, table::Versioned};

use self::value::Vault;
use super::{stage::no_stage, tags, unsupported::Shape};
use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    page::{self, Page},
    patch::{self, ADD_REMOVE, Kind, REPLACE, Rule, Style, Table},
};

const PATCHES: Table = Table {
    style: Style::Listed,
    rules: &[
        Rule { path: "/name", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/description", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/enabled", ops: REPLACE, kind: Kind::Flag },
        Rule { path: "/customerId", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/labels", ops: ADD_REMOVE, kind: Kind::Element },
        Rule { path: "/stages", ops: ADD_REMOVE, kind: Kind::Element },
    ],
};

/// `CreateApiKey`. As at AWS, a key that nobody asked to be enabled is not. `generateDistinctId` changes nothing: an id is always
/// distinct from the value, which would be readable in every list otherwise.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createApiKeyInput", call.body)?;
    let (name, description) = (input.string("name")?, input.string("description")?);
    let enabled = input.boolean("enabled")?.unwrap_or_default();
    input.boolean("generateDistinctId")?;
    let value = input.string("value")?.filter(|value| !value.is_empty());
    let stage_keys = read_stage_keys(&mut input)?;
    let (customer_id, tags) = (input.string("customerId")?, input.string_map("tags")?);
    input.finish(Shape::ApiKey)?;
    tags::check(&tags)?;
    let value = match value {
        Some(value) => value::check(value)?,
        None => value::generate(call.stamps),
    };
    check_room(call.view)?;
    let key = ApiKey { enabled, stage_keys, tags, ..ApiKey::default() };
    let mut key = new(call, key)?;
    describe(&mut key, name, description, customer_id)?;
    check_stages(call, &key.stage_keys)?;
    let mut transaction = TransactionV1::default();
    let vault = Vault::open_or_make(call, &mut transaction)?;
    vault.enclose(call, &mut key, &value)?;
    if call.view.api_key_by_value(&key.value_sha256)?.is_some() {
        return Err(ApiError::conflict("API Key already exists"));
    }
    insert(&mut transaction, &key);
    Ok((transaction, Answer::created(printed(&key, Some(value), EmptyTags::Omitted))))
}

/// `GetApiKey`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let key = find(call, call.param("api_Key"))?.document;
    let value = match call.query.get("includeValue") {
        Some("true") => Vault::open(call.view)?.value(&key),
        _ => None,
    };
    read(Answer::ok(printed(&key, value, EmptyTags::Printed)))
}

/// `GetApiKeys`, by id.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    let page = Page::read(call.query)?;
    let wanted = Wanted {
        name: call.query.get("name").filter(|name| !name.is_empty()),
        customer_id: call.query.get("customerId").filter(|id| !id.is_empty()),
    };
    let after = page.after().map(key::api_key).unwrap_or_default();
    let records = call.view.after(key::API_KEY_PREFIX, &after);
    let found = records.filter(|(_, record)| wanted.is(&record.bytes));
    let rows = found.map(|(name, _)| {
        let key = call.view.read::<ApiKey>(name)?.ok_or_else(no_key)?.document;
        Ok((key.id.clone(), key))
    });
    let rows = page.take(rows)?;
    let vault = match call.query.get("includeValues") {
        Some("true") => Some(Vault::open(call.view)?),
        _ => None,
    };
    let print = |key: ApiKey| {
        let value = vault.as_ref().and_then(|vault| vault.value(&key));
        printed(&key, value, EmptyTags::Omitted)
    };
    read(Answer::ok(page::printed(rows, print)))
}

/// `UpdateApiKey`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateApiKeyInput", call.body, &[])?;
    let Versioned { revision, document: mut key } = find(call, call.param("api_Key"))?;
    let before = key.stage_keys.clone();
    let mut form = json!({
        "name": key.name, "description": key.description, "enabled": key.enabled,
        "customerId": key.customer_id, "labels": key.labels, "stages": key.stage_keys,
    });
    patch::apply(&PATCHES, &mut form, &patches)?;
    let mut text = |field: &str| form[field].take().as_str().map(str::to_owned);
    let (name, description, customer_id) = (text("name"), text("description"), text("customerId"));
    describe(&mut key, name, description, customer_id)?;
    key.enabled = form["enabled"].as_bool().unwrap_or_default();
    (key.labels, key.stage_keys) = (marks(&form, "labels")?, marks(&form, "stages")?);
    let added: Vec<String> = key.stage_keys.iter().filter(|name| !before.contains(name)).cloned().collect();
    check_stages(call, &added)?;
    key.last_updated_date = call.stamps.now_s;
    let mut transaction = TransactionV1::default();
    transaction.compare(key::api_key(&key.id), revision).put(key::api_key(&key.id), &key);
    Ok((transaction, Answer::ok(printed(&key, None, EmptyTags::Printed))))
}

/// `DeleteApiKey`: takes the key out of its usage plans as well.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let Versioned { revision, document: key } = find(call, call.param("api_Key"))?;
    let mut transaction = TransactionV1::default();
    transaction.compare(key::api_key(&key.id), revision).delete(key::api_key(&key.id));
    transaction.delete(key::api_key_value(&key.value_sha256));
    for plan in call.view.usage_plans_of(&key.id)? {
        transaction.delete(key::usage_plan_key(&plan.document.id, &key.id));
    }
    Ok((transaction, Answer::accepted()))
}

/// An API key by id.
pub(super) fn find(call: &Call<'_>, id: &str) -> Result<Versioned<ApiKey>, ApiError> {
    call.view.api_key(id)?.ok_or_else(no_key)
}

/// An API key that does not exist.
pub(super) fn no_key() -> ApiError {
    ApiError::not_found("Invalid API Key identifier specified")
}

/// Gives a new key its id and dates.
fn new(call: &Call<'_>, key: ApiKey) -> Result<ApiKey, ApiError> {
    let id = call.stamps.id(api_id, |id| call.view.get(&key::api_key(id)).is_some())?;
    let now_s = call.stamps.now_s;
    Ok(ApiKey { id, created_date: now_s, last_updated_date: now_s, ..key })
}

/// Writes a new key, and the record that finds it.
fn insert(transaction: &mut TransactionV1, key: &ApiKey) {
    let (record, index) = (key::api_key(&key.id), key::api_key_value(&key.value_sha256));
    transaction.compare(record.clone(), 0).compare(index.clone(), 0);
    transaction.put(record, key).put(index, &value::index(&key.id));
}

/// Sets the texts of a key; an empty one is none.
fn describe(
    key: &mut ApiKey,
    name: Option<String>,
    description: Option<String>,
    customer_id: Option<String>,
) -> Result<(), ApiError> {
    let chars = |text: &Option<String>| text.as_deref().map_or(0, |text| text.chars().count());
    if chars(&name) > API_KEY_NAME_CHARS_MAX {
        return Err(ApiError::bad_request(format!(
            "Invalid API Key name, can be at most {API_KEY_NAME_CHARS_MAX} characters."
        )));
    }
    if chars(&description) > API_KEY_DESCRIPTION_CHARS_MAX {
        return Err(ApiError::bad_request("Invalid API Key description specified."));
    }
    if chars(&customer_id) > API_KEY_NAME_CHARS_MAX {
        return Err(ApiError::bad_request(format!(
            "Invalid customerId of an API Key, can be at most {API_KEY_NAME_CHARS_MAX} characters"
        )));
    }
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    (key.name, key.description, key.customer_id) = (some(name), some(description), some(customer_id));
    Ok(())
}

/// Requires that one more key fits. Hashes are spread evenly, so those that begin with two given digits are a 256th of all: counting
/// a million keys would cost every create milliseconds, and the bound needs no better than a few percent.
fn check_room(view: &State) -> Result<(), ApiError> {
    let is_large = view.len() / 2 >= API_KEYS_MAX;
    let sample = format!("{}00", key::API_KEY_VALUE_PREFIX);
    match is_large && view.prefix(&sample).count() * 256 >= API_KEYS_MAX {
        true => Err(ApiError::limit_exceeded(format!(
            "Maximum number of API keys for this cluster has been reached: {API_KEYS_MAX}"
        ))),
        false => Ok(()),
    }
}

/// What a list is restricted to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    /// What a name begins with.
    pub name: Option<&'a str>,
    /// The customer.
    pub customer_id: Option<&'a str>,
}

/// The fields that lists are restricted by; reading only these keeps a search through many keys short.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Searched {
    name: String,
    customer_id: String,
}

impl Wanted<'_> {
    /// Whether the record of a key is in the list.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        if self.name.is_none() && self.customer_id.is_none() {
            return true;
        }
        // A damaged record is kept, so that reading it says what is wrong.
        let Ok(found) = serde_json::from_slice::<Searched>(bytes) else { return true };
        self.name.is_none_or(|name| found.name.starts_with(name))
            && self.customer_id.is_none_or(|id| found.customer_id == id)
    }
}

/// Whether tags are printed where there are none: AWS does it for single keys that are read or updated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyTags {
    Printed,
    Omitted,
}

fn printed(key: &ApiKey, value: Option<String>, empty_tags: EmptyTags) -> Value {
    let mut form = json!({
        "id": key.id, "enabled": key.enabled, "createdDate": key.created_date,
        "lastUpdatedDate": key.last_updated_date, "stageKeys": key.stage_keys,
    });
    let texts = [
        ("value", value.as_ref()),
        ("name", key.name.as_ref()),
        ("description", key.description.as_ref()),
        ("customerId", key.customer_id.as_ref()),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            form[field] = json!(text);
        }
    }
    if !key.tags.is_empty() || empty_tags == EmptyTags::Printed {
        form["tags"] = json!(key.tags);
    }
    form
}

fn read_stage_keys(input: &mut Input) -> Result<Vec<String>, ApiError> {
    let mut names = Vec::new();
    for mut inner in input.objects("stageKeys")? {
        let api = inner.string("restApiId")?.unwrap_or_default();
        let stage = inner.string("stageName")?.unwrap_or_default();
        input.absorb(inner, Shape::ApiKey)?;
        names.push(format!("{api}/{stage}"));
    }
    match names.len() > API_KEY_MARKS_MAX {
        true => Err(too_many("stageKeys", names.len())),
        false => Ok(names),
    }
}

fn check_stages(call: &Call<'_>, names: &[String]) -> Result<(), ApiError> {
    let exists = |name: &String| {
        let parts = name.split_once('/').filter(|(_, stage)| !stage.contains('/'));
        parts.is_some_and(|(api, stage)| call.view.get(&key::stage(api, stage)).is_some())
    };
    if names.iter().all(exists) { Ok(()) } else { Err(no_stage()) }
}

fn marks(form: &Value, field: &str) -> Result<Vec<String>, ApiError> {
    let values = form[field].as_array().map(Vec::as_slice).unwrap_or_default();
    if values.len() > API_KEY_MARKS_MAX {
        return Err(too_many(field, values.len()));
    }
    let long = values.iter().filter_map(Value::as_str).find(|text| text.len() > API_KEY_NAME_CHARS_MAX);
    if let Some(text) = long {
        return Err(ApiError::bad_request(format!(
            "A value of {field} has {} bytes, at most {API_KEY_NAME_CHARS_MAX} are taken",
            text.len()
        )));
    }
    Ok(values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
}

fn too_many(field: &str, found: usize) -> ApiError {
    ApiError::bad_request(format!("An API key can have {API_KEY_MARKS_MAX} {field}, not {found}"))
}
