//! Typed reads over records: documents of the AWS model with the revision that a compare needs.

use tidegate_proto::{
    document::{ApiDefinition, Credential, Deployment, Document, Map, Model, Resource, RestApi, Stage},
    key,
};

use crate::State;

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
        let read = |(key, record): (&str, &crate::Record)| match T::decode(&record.bytes) {
            Ok(document) => Ok(Versioned { revision: record.revision, document }),
            Err(source) => Err(Corrupt { key: key.to_owned(), noun: T::NOUN, source }),
        };
        self.prefix(prefix).map(read).collect()
    }

    /// A REST API.
    pub fn rest_api(&self, api: &str) -> Result<Option<Versioned<RestApi>>, Corrupt> {
        self.read(&key::rest_api(api))
    }

    /// All REST APIs, by id.
    pub fn rest_apis(&self) -> Result<Vec<Versioned<RestApi>>, Corrupt> {
        let mut apis = Vec::new();
        for (key, _) in self.prefix(key::USER_PREFIX) {
            if matches!(key::Key::parse(key), key::Key::RestApi { .. }) {
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
}
