//! Typed reads over records: documents of the AWS model with the revision that a compare needs.

use std::ops::Bound;

use tidegate_proto::{
    document::{
        Account, ApiDefinition, ApiKey, ApiKeyValue, Credential, Deployment, Document, Map, Model, Resource,
        RestApi, Stage, UsagePlan, UsagePlanKey,
    },
    key::{self, Key},
};

use crate::{Record, State};

/// A document and the revision of its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// Revision of the record.
    pub revision: u64,
    /// What it holds.
    pub document: T,
}

/// A record that cannot be read as its document.
#[derive(Debug, thiserror::Error)]
#[error("record {key} is not a {noun}: {source}")]
pub struct Corrupt {
    /// Record key.
    pub key: String,
    /// Noun of the document.
    pub noun: &'static str,
    /// What the parser said.
    pub source: serde_json::Error,
}

impl State {
    /// Reads one document.
    pub fn read<T: Document>(&self, key: &str) -> Result<Option<Versioned<T>>, Corrupt> {
        let Some(record) = self.get(key) else { return Ok(None) };
        match T::decode(&record.bytes) {
            Ok(document) => Ok(Some(Versioned { revision: record.revision, document })),
            Err(source) => Err(Corrupt { key: key.to_owned(), noun: T::NOUN, source }),
        }
    }

    /// Reads all documents below a prefix, in key order.
    pub fn scan<T: Document>(&self, prefix: &str) -> Result<Vec<Versioned<T>>, Corrupt> {
        let read = |(key, record): (&str, &Record)| match T::decode(&record.bytes) {
            Ok(document) => Ok(Versioned { revision: record.revision, document }),
            Err(source) => Err(Corrupt { key: key.to_owned(), noun: T::NOUN, source }),
        };
        self.prefix(prefix).map(read).collect()
    }

    /// The records below a prefix whose keys come after `after`, in key order: a page of a long list without what is before it.
    pub fn after<'a>(
        &'a self,
        prefix: &'a str,
        after: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Record)> + use<'a> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        self.records
            .range::<_, str>((from, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, record)| (&**key, record))
    }

    /// A REST API.
    pub fn rest_api(&self, api: &str) -> Result<Option<Versioned<RestApi>>, Corrupt> {
        self.read(&key::rest_api(api))
    }

    /// All REST APIs, by id.
    pub fn rest_apis(&self) -> Result<Vec<Versioned<RestApi>>, Corrupt> {
        let mut apis = Vec::new();
        for (key, _) in self.prefix(key::REST_API_PREFIX) {
            if matches!(Key::parse(key), Key::RestApi { .. }) {
                apis.extend(self.read(key)?);
            }
        }
        Ok(apis)
    }

    /// A resource with its methods.
    pub fn resource(&self, api: &str, resource: &str) -> Result<Option<Versioned<Resource>>, Corrupt> {
        self.read(&key::resource(api, resource))
    }

    /// All resources of an API, by id.
    pub fn resources(&self, api: &str) -> Result<Vec<Versioned<Resource>>, Corrupt> {
        self.scan(&key::resource_prefix(api))
    }

    /// All models of an API, by name.
    pub fn models(&self, api: &str) -> Result<Vec<Versioned<Model>>, Corrupt> {
        self.scan(&key::model_prefix(api))
    }

    /// A deployment.
    pub fn deployment(&self, api: &str, deployment: &str) -> Result<Option<Versioned<Deployment>>, Corrupt> {
        self.read(&key::deployment(api, deployment))
    }

    /// A stage.
    pub fn stage(&self, api: &str, stage: &str) -> Result<Option<Versioned<Stage>>, Corrupt> {
        self.read(&key::stage(api, stage))
    }

    /// All stages of an API, by name.
    pub fn stages(&self, api: &str) -> Result<Vec<Versioned<Stage>>, Corrupt> {
        self.scan(&key::stage_prefix(api))
    }

    /// An API key.
    pub fn api_key(&self, key: &str) -> Result<Option<Versioned<ApiKey>>, Corrupt> {
        self.read(&key::api_key(key))
    }

    /// The id of the API key whose value has a SHA-256, in 64 lower-case hexadecimal digits.
    pub fn api_key_by_value(&self, value_sha256: &str) -> Result<Option<String>, Corrupt> {
        let found = self.read::<ApiKeyValue>(&key::api_key_value(value_sha256))?;
        Ok(found.map(|found| found.document.key_id))
    }

    /// A usage plan.
    pub fn usage_plan(&self, plan: &str) -> Result<Option<Versioned<UsagePlan>>, Corrupt> {
        self.read(&key::usage_plan(plan))
    }

    /// The ids of all usage plans, in order. Costs what there are plans, not what there are keys in them.
    pub fn usage_plan_ids(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        let mut from = key::USAGE_PLAN_PREFIX.to_owned();
        loop {
            let mut records = self.records.range::<_, str>((Bound::Included(&*from), Bound::Unbounded));
            let next = loop {
                let Some((key, _)) = records.next() else { return ids };
                match Key::parse(key) {
                    Key::UsagePlan { plan } => ids.push(plan),
                    // The zero is the character after the slash, so this is behind everything below the plan.
                    Key::UsagePlanKey { plan, .. } => break format!("{}0", key::usage_plan(plan)),
                    _ if key.starts_with(key::USAGE_PLAN_PREFIX) => {}
                    _ => return ids,
                }
            };
            from = next;
        }
    }

    /// All usage plans, by id.
    pub fn usage_plans(&self) -> Result<Vec<Versioned<UsagePlan>>, Corrupt> {
        let mut plans = Vec::new();
        for plan in self.usage_plan_ids() {
            plans.extend(self.usage_plan(plan)?);
        }
        Ok(plans)
    }

    /// The usage plans that an API key is in, by id.
    pub fn usage_plans_of(&self, key: &str) -> Result<Vec<Versioned<UsagePlan>>, Corrupt> {
        let mut plans = Vec::new();
        for plan in self.usage_plan_ids() {
            if self.get(&key::usage_plan_key(plan, key)).is_some() {
                plans.extend(self.usage_plan(plan)?);
            }
        }
        Ok(plans)
    }

    /// The membership of an API key in a usage plan.
    pub fn usage_plan_key(&self, plan: &str, key: &str) -> Result<Option<Versioned<UsagePlanKey>>, Corrupt> {
        self.read(&key::usage_plan_key(plan, key))
    }

    /// Settings of the whole account.
    pub fn account(&self) -> Result<Option<Versioned<Account>>, Corrupt> {
        self.read(key::ACCOUNT)
    }

    /// An access key.
    pub fn credential(&self, access_key_id: &str) -> Result<Option<Versioned<Credential>>, Corrupt> {
        self.read(&key::credential(access_key_id))
    }

    /// The draft of an API as a deployment would freeze it now.
    pub fn definition(&self, api: &RestApi) -> Result<ApiDefinition, Corrupt> {
        let resources = self.resources(&api.id)?.into_iter().map(|v| v.document).collect();
        let named = |v: Versioned<Model>| (v.document.name.clone(), v.document);
        let models: Map<Model> = self.models(&api.id)?.into_iter().map(named).collect();
        Ok(ApiDefinition { api: api.clone(), resources, models })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::transaction::TransactionV1;

    #[test]
    fn documents_are_found_by_kind() {
        let mut state = State::default();
        let api = RestApi { id: "abc".into(), name: "pets".into(), ..Default::default() };
        let mut transaction = TransactionV1::default();
        transaction.put(key::rest_api("abc"), &api);
        transaction.put(
            key::resource("abc", "root"),
            &Resource { id: "root".into(), path: "/".into(), ..Default::default() },
        );
        transaction
            .put(key::stage("abc", "prod"), &Stage { stage_name: "prod".into(), ..Default::default() });
        state.apply(transaction);
        assert_eq!(state.rest_apis().unwrap(), [Versioned { revision: 1, document: api.clone() }]);
        assert_eq!(state.resources("abc").unwrap().len(), 1);
        assert_eq!(state.definition(&api).unwrap().resources[0].path, "/");
        assert!(state.stage("abc", "test").unwrap().is_none());
        let mut broken = TransactionV1::default();
        broken
            .puts
            .push(tidegate_proto::transaction::PutV1 { key: key::rest_api("bad"), bytes: b"[".to_vec() });
        state.apply(broken);
        assert!(
            state.rest_apis().unwrap_err().to_string().starts_with("record restapi/bad is not a RestApi")
        );
    }

    fn membership(transaction: &mut TransactionV1, plan: &str, key: &str) {
        let document = UsagePlanKey { key_id: key.into(), plan_id: plan.into(), ..Default::default() };
        transaction.put(key::usage_plan_key(plan, key), &document);
    }

    #[test]
    fn plans_are_found_without_their_keys() {
        let mut state = State::default();
        assert!(state.usage_plan_ids().is_empty());
        let mut transaction = TransactionV1::default();
        // Ids that sort around each other's memberships.
        for plan in ["a", "a-", "a0", "ab", "b"] {
            transaction.put(key::usage_plan(plan), &UsagePlan { id: plan.into(), ..Default::default() });
        }
        for (plan, key) in [("a", "k1"), ("a", "k2"), ("a-", "k1"), ("b", "k2"), ("gone", "k3")] {
            membership(&mut transaction, plan, key);
        }
        transaction.put("usageplan/ab/later/x", &Account::default()).put("usagezlast", &Account::default());
        state.apply(transaction);
        assert_eq!(state.usage_plan_ids(), ["a", "a-", "a0", "ab", "b"]);
        let of = |key: &str| -> Vec<String> {
            state.usage_plans_of(key).unwrap().into_iter().map(|plan| plan.document.id).collect()
        };
        assert_eq!(of("k1"), ["a", "a-"]);
        assert_eq!(of("k2"), ["a", "b"]);
        assert!(of("k3").is_empty());
        assert_eq!(state.usage_plans().unwrap().len(), 5);
        assert_eq!(state.usage_plan_key("a", "k1").unwrap().unwrap().document.key_id, "k1");
        assert!(state.usage_plan_key("ab", "k1").unwrap().is_none());
    }

    #[test]
    fn a_page_begins_behind_a_key() {
        let mut state = State::default();
        let mut transaction = TransactionV1::default();
        for key in ["apikey/a", "apikey/b", "apikey/c", "apikey-value/a", "b"] {
            transaction.put(key, &Account::default());
        }
        state.apply(transaction);
        let keys = |after: &str| -> Vec<&str> {
            state.after(key::API_KEY_PREFIX, after).map(|(key, _)| key).collect()
        };
        assert_eq!(keys(""), ["apikey/a", "apikey/b", "apikey/c"]);
        assert_eq!(keys("apikey/a"), ["apikey/b", "apikey/c"]);
        assert_eq!(keys("apikey/bb"), ["apikey/c"]);
        assert!(keys("apikey/c").is_empty());
        assert!(keys("zzz").is_empty());
    }
}
