//! `ImportApiKeys`: keys out of a CSV file, in one transaction. Owns the columns and what is wrong with a row; must never import half
//! a row.

mod csv;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tidegate_proto::{
    document::{ApiKey, UsagePlan},
    key,
    limits::API_KEYS_PER_IMPORT_MAX,
    transaction::TransactionV1,
};

use super::{check_room, describe, insert, new, value, value::Vault};
use crate::{
    answer::Answer,
    call::{Call, Outcome},
    error::ApiError,
    input::{enumeration, violation},
    rest::usage_plan_key::{self, clash},
};

/// `ImportApiKeys`. A row whose value is known already changes that key, as at AWS. With `failonwarnings` nothing is imported when
/// anything is wrong; without, what is wrong is left out and reported.
pub(crate) fn run(call: &Call<'_>) -> Outcome {
    match call.query.get("format") {
        Some("csv") => {}
        found => {
            let found = found.unwrap_or("null");
            let text = violation(found, "importApiKeysInput.format", &enumeration(&["csv"]));
            return Err(ApiError::validation(&[text]));
        }
    }
    let rows = read_rows(call.body)?;
    check_room(call.view)?;
    let mut import = Import::new(call)?;
    let mut warnings = Vec::new();
    for row in rows {
        let line = row.line;
        match import.add(row) {
            Ok(notes) => {
                warnings.extend(notes.into_iter().map(|note| format!("Line {line}: {note}")));
            }
            Err(fault) if fault.status < 500 => warnings.push(format!("Line {line}: {}", fault.message)),
            Err(fault) => return Err(fault),
        }
    }
    if !warnings.is_empty() && call.query.get("failonwarnings") == Some("true") {
        return Err(ApiError::bad_request(format!("Nothing was imported. {}", warnings.join(". "))));
    }
    let (transaction, ids) = import.finish();
    Ok((transaction, Answer::created(json!({ "ids": ids, "warnings": warnings }))))
}

/// One row of the file.
struct Row {
    line: usize,
    name: String,
    value: String,
    description: String,
    enabled: String,
    plans: Vec<String>,
}

/// A key of the file with what it becomes.
struct Entry {
    key: ApiKey,
    /// Revision of the record that it changes; 0 for a new key.
    revision: u64,
    plans: Vec<UsagePlan>,
}

struct Import<'a> {
    call: &'a Call<'a>,
    vault: Vault,
    transaction: TransactionV1,
    entries: Vec<Entry>,
    /// Where a value is in `entries`, by its hash.
    places: BTreeMap<String, usize>,
    ids: BTreeSet<String>,
    /// Memberships that are new.
    joined: BTreeSet<(String, String)>,
}

impl<'a> Import<'a> {
    fn new(call: &'a Call<'a>) -> Result<Self, ApiError> {
        let mut transaction = TransactionV1::default();
        let vault = Vault::open_or_make(call, &mut transaction)?;
        Ok(Self {
            call,
            vault,
            transaction,
            entries: Vec::new(),
            places: BTreeMap::new(),
            ids: BTreeSet::new(),
            joined: BTreeSet::new(),
        })
    }

    /// Takes a row in; answers with what had to be left out of it.
    fn add(&mut self, row: Row) -> Result<Vec<String>, ApiError> {
        let enabled = match row.enabled.to_ascii_lowercase().as_str() {
            "" | "true" => true,
            "false" => false,
            other => {
                let text = format!("Invalid value '{other}' of Enabled, must be TRUE or FALSE");
                return Err(ApiError::bad_request(text));
            }
        };
        let value = value::check(row.value)?;
        let mut fresh = ApiKey::default();
        describe(&mut fresh, Some(row.name), Some(row.description), None)?;
        let place = self.place(&value)?;
        let Some(entry) = self.entries.get_mut(place) else { return Ok(Vec::new()) };
        (entry.key.name, entry.key.description) = (fresh.name, fresh.description);
        entry.key.enabled = enabled;
        entry.key.last_updated_date = self.call.stamps.now_s;
        let mut notes = Vec::new();
        for id in row.plans {
            let Some(plan) = self.call.view.usage_plan(&id)? else {
                notes.push(format!("Invalid Usage Plan ID specified: {id}"));
                continue;
            };
            if entry.plans.iter().any(|member| member.id == id) {
                continue;
            }
            match clash(&entry.key.id, &plan.document, entry.plans.iter()) {
                Err(refused) => notes.push(refused.message),
                Ok(()) => {
                    self.joined.insert((id, entry.key.id.clone()));
                    entry.plans.push(plan.document);
                }
            }
        }
        Ok(notes)
    }

    /// Where the key with a value is: one of the file, one of the configuration, or a new one.
    fn place(&mut self, value: &str) -> Result<usize, ApiError> {
        let (view, hash) = (self.call.view, value::sha256_hex(value));
        if let Some(place) = self.places.get(&hash) {
            return Ok(*place);
        }
        let known = match view.api_key_by_value(&hash)? {
            Some(id) => view.api_key(&id)?,
            None => None,
        };
        let entry = match known {
            Some(found) => Entry {
                plans: view.usage_plans_of(&found.document.id)?.into_iter().map(|p| p.document).collect(),
                key: found.document,
                revision: found.revision,
            },
            None => {
                let mut key = new(self.call, ApiKey::default())?;
                self.vault.enclose(self.call, &mut key, value)?;
                Entry { key, revision: 0, plans: Vec::new() }
            }
        };
        if !self.ids.insert(entry.key.id.clone()) {
            return Err(ApiError::internal("the same identifier was drawn twice"));
        }
        self.places.insert(hash, self.entries.len());
        self.entries.push(entry);
        Ok(self.entries.len() - 1)
    }

    /// The transaction, and the ids in the order of the file.
    fn finish(mut self) -> (TransactionV1, Vec<String>) {
        for entry in &self.entries {
            match entry.revision {
                0 => insert(&mut self.transaction, &entry.key),
                revision => {
                    let record = key::api_key(&entry.key.id);
                    self.transaction.compare(record.clone(), revision).put(record, &entry.key);
                }
            }
        }
        let mut compared: BTreeSet<&str> = BTreeSet::new();
        for (plan, key) in &self.joined {
            usage_plan_key::insert(&mut self.transaction, plan, key);
        }
        // A plan that changes meanwhile may admit to other stages than those that were compared.
        for plan in self.entries.iter().flat_map(|entry| &entry.plans) {
            if compared.insert(&plan.id) {
                let record = key::usage_plan(&plan.id);
                let revision = self.call.view.revision_of(&record);
                self.transaction.compare(record, revision);
            }
        }
        let ids = self.entries.iter().map(|entry| entry.key.id.clone()).collect();
        (self.transaction, ids)
    }
}

fn read_rows(body: &[u8]) -> Result<Vec<Row>, ApiError> {
    let refuse = |text: String| ApiError::bad_request(format!("Invalid CSV file of API keys: {text}"));
    let text = std::str::from_utf8(body).map_err(|_| refuse("it is not UTF-8".into()))?;
    let mut records = csv::read(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(refuse)?.into_iter();
    let Some(header) = records.next() else { return Err(refuse("it is empty".into())) };
    let column = |name: &str| -> Result<Option<usize>, ApiError> {
        let is_it = |field: &&String| field.trim().eq_ignore_ascii_case(name);
        match header.fields.iter().filter(is_it).count() {
            0 => Ok(None),
            1 => Ok(header.fields.iter().position(|field| is_it(&field))),
            _ => Err(refuse(format!("column {name} is there more than once"))),
        }
    };
    let required = |name: &str| column(name)?.ok_or_else(|| refuse(format!("column {name} is missing")));
    let (name, value) = (required("Name")?, required("Key")?);
    let (description, enabled) = (column("Description")?, column("Enabled")?);
    let plans = column("UsagePlanIds")?;
    let mut rows = Vec::new();
    for record in records {
        if record.fields.len() != header.fields.len() {
            let (found, expected) = (record.fields.len(), header.fields.len());
            let line = record.line;
            return Err(refuse(format!("line {line} has {found} fields, the first line has {expected}")));
        }
        if rows.len() == API_KEYS_PER_IMPORT_MAX {
            return Err(refuse(format!("it has more than {API_KEYS_PER_IMPORT_MAX} keys")));
        }
        let field = |at: Option<usize>| at.and_then(|at| record.fields.get(at)).cloned().unwrap_or_default();
        let trimmed = |at: Option<usize>| field(at).trim().to_owned();
        let ids = field(plans);
        let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        rows.push(Row {
            line: record.line,
            name: trimmed(Some(name)),
            value: trimmed(Some(value)),
            description: trimmed(description),
            enabled: trimmed(enabled),
            plans: ids.collect(),
        });
    }
    Ok(rows)
}
