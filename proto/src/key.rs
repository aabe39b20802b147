//! Keys of replicated records: one builder per kind, and the parser that tells kinds apart again.
//!
//! Keys sort so that everything of one REST API is one contiguous range.

/// Prefix of everything a user configured; wiping it empties a development region.
pub const USER_PREFIX: &str = "restapi/";
/// Prefix of all access keys.
pub const CREDENTIAL_PREFIX: &str = "credential/";
/// Prefix of all certificates of the data plane.
pub const CERTIFICATE_PREFIX: &str = "certificate/";
/// Prefix of unused join tokens.
pub const JOIN_TOKEN_PREFIX: &str = "cluster/token/";
/// Prefix of drained nodes.
pub const DRAIN_PREFIX: &str = "cluster/drain/";
/// The certificate authority of the cluster.
pub const AUTHORITY: &str = "cluster/authority";
/// The secret that keys of TLS session tickets are derived from.
pub const TICKET_SECRET: &str = "cluster/ticket-secret";
/// The counter from which node ids are drawn; an id is never used twice.
pub const NODE_COUNTER: &str = "cluster/node-counter";

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A [`crate::document::RestApi`].
    RestApi {
        /// Id of the REST API.
        api: &'a str,
    },
    /// A [`crate::document::Resource`] with its methods.
    Resource {
        /// Id of the REST API.
        api: &'a str,
        /// Id of the resource.
        resource: &'a str,
    },
    /// A [`crate::document::Model`].
    Model {
        /// Id of the REST API.
        api: &'a str,
        /// Name of the model.
        model: &'a str,
    },
    /// A [`crate::document::Deployment`].
    Deployment {
        /// Id of the REST API.
        api: &'a str,
        /// Id of the deployment.
        deployment: &'a str,
    },
    /// A [`crate::document::Stage`].
    Stage {
        /// Id of the REST API.
        api: &'a str,
        /// Name of the stage.
        stage: &'a str,
    },
    /// A [`crate::document::Credential`].
    Credential {
        /// The access key id.
        access_key_id: &'a str,
    },
    /// A [`crate::document::Certificate`].
    Certificate {
        /// Name of the certificate.
        name: &'a str,
    },
    /// Cluster bookkeeping.
    Cluster,
    /// Written by a newer version: kept, replicated and hashed, not interpreted.
    Unknown,
}

impl<'a> Key<'a> {
    /// Reads a key; never fails, as unknown kinds are kept.
    pub fn parse(key: &'a str) -> Self {
        let mut parts = key.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("restapi"), Some(api), None, None, None) => Self::RestApi { api },
            (Some("restapi"), Some(api), Some(kind), Some(name), None) => match kind {
                "resource" => Self::Resource { api, resource: name },
                "model" => Self::Model { api, model: name },
                "deployment" => Self::Deployment { api, deployment: name },
                "stage" => Self::Stage { api, stage: name },
                _ => Self::Unknown,
            },
            (Some("credential"), Some(access_key_id), None, None, None) => Self::Credential { access_key_id },
            (Some("certificate"), Some(name), None, None, None) => Self::Certificate { name },
            (Some("cluster"), Some(_), ..) => Self::Cluster,
            _ => Self::Unknown,
        }
    }
}

/// Key of a REST API.
pub fn rest_api(api: &str) -> String {
    format!("restapi/{api}")
}

/// Prefix of everything below a REST API; the API's own record is not in it.
pub fn rest_api_prefix(api: &str) -> String {
    format!("restapi/{api}/")
}

/// Key of a resource and its methods.
pub fn resource(api: &str, resource: &str) -> String {
    format!("restapi/{api}/resource/{resource}")
}

/// Prefix of all resources of a REST API.
pub fn resource_prefix(api: &str) -> String {
    format!("restapi/{api}/resource/")
}

/// Key of a model.
pub fn model(api: &str, model: &str) -> String {
    format!("restapi/{api}/model/{model}")
}

/// Prefix of all models of a REST API.
pub fn model_prefix(api: &str) -> String {
    format!("restapi/{api}/model/")
}

/// Key of a deployment.
pub fn deployment(api: &str, deployment: &str) -> String {
    format!("restapi/{api}/deployment/{deployment}")
}

/// Prefix of all deployments of a REST API.
pub fn deployment_prefix(api: &str) -> String {
    format!("restapi/{api}/deployment/")
}

/// Key of a stage.
pub fn stage(api: &str, stage: &str) -> String {
    format!("restapi/{api}/stage/{stage}")
}

/// Prefix of all stages of a REST API.
pub fn stage_prefix(api: &str) -> String {
    format!("restapi/{api}/stage/")
}

/// Key of an access key.
pub fn credential(access_key_id: &str) -> String {
    format!("credential/{access_key_id}")
}

/// Key of a certificate.
pub fn certificate(name: &str) -> String {
    format!("certificate/{name}")
}

/// Key of an unused join token, named by the SHA-256 of its secret so that the log never holds the secret.
pub fn join_token(secret_sha256_hex: &str) -> String {
    format!("cluster/token/{secret_sha256_hex}")
}

/// Key that marks a node as drained.
pub fn drain(node: u64) -> String {
    format!("cluster/drain/{node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_parse_back() {
        let cases: [(String, Key<'_>); 11] = [
            (rest_api("a"), Key::RestApi { api: "a" }),
            (resource("a", "r"), Key::Resource { api: "a", resource: "r" }),
            (model("a", "Empty"), Key::Model { api: "a", model: "Empty" }),
            (deployment("a", "d"), Key::Deployment { api: "a", deployment: "d" }),
            (stage("a", "prod"), Key::Stage { api: "a", stage: "prod" }),
            (credential("AKIA"), Key::Credential { access_key_id: "AKIA" }),
            (certificate("default"), Key::Certificate { name: "default" }),
            (TICKET_SECRET.into(), Key::Cluster),
            (drain(3), Key::Cluster),
            ("restapi/a/later/x".into(), Key::Unknown),
            ("later/x".into(), Key::Unknown),
        ];
        for (key, expect) in cases {
            assert_eq!(Key::parse(&key), expect, "{key}");
        }
    }
}
