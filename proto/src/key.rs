//! Keys of replicated records: one builder per kind, and the parser that tells kinds apart again.
//!
//! Keys sort so that everything of one REST API is one contiguous range.

/// Prefixes of everything a user configured; wiping them empties a development region.
pub const USER_PREFIXES: [&str; 6] =
    [REST_API_PREFIX, API_KEY_PREFIX, API_KEY_VALUE_PREFIX, USAGE_PLAN_PREFIX, VPC_LINK_PREFIX, ACCOUNT];
/// Prefix of all REST APIs with everything below them.
pub const REST_API_PREFIX: &str = "restapi/";
/// Prefix of all API keys.
pub const API_KEY_PREFIX: &str = "apikey/";
/// Prefix of the records that find API keys by their values.
pub const API_KEY_VALUE_PREFIX: &str = "apikey-value/";
/// Prefix of all usage plans and their keys.
pub const USAGE_PLAN_PREFIX: &str = "usageplan/";
/// Prefix of all VPC links.
pub const VPC_LINK_PREFIX: &str = "vpclink/";
/// Settings of the whole account.
pub const ACCOUNT: &str = "account";
/// Prefix of all access keys.
pub const CREDENTIAL_PREFIX: &str = "credential/";
/// Prefix of all certificates of the data plane.
pub const CERTIFICATE_PREFIX: &str = "certificate/";
/// Prefix of unused join tokens.
pub const JOIN_TOKEN_PREFIX: &str = "cluster/token/";
/// Prefix of drained nodes.
pub const DRAIN_PREFIX: &str = "cluster/drain/";
/// Prefix of shifted availability zones.
pub const ZONAL_SHIFT_PREFIX: &str = "cluster/zonal-shift/";
/// The certificate authority of the cluster.
pub const AUTHORITY: &str = "cluster/authority";
/// The secret that keys of TLS session tickets are derived from.
pub const TICKET_SECRET: &str = "cluster/ticket-secret";
/// The secret that the values of API keys are sealed under.
pub const SEAL_SECRET: &str = "cluster/seal-secret";
/// The counter from which node ids are drawn; an id is never used twice.
pub const NODE_COUNTER: &str = "cluster/node-counter";
/// Key that names the node which starts the ledger group of limits that span regions.
pub const GLOBAL_LEDGER_FOUNDER: &str = "cluster/global-ledger";

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
    /// A [`crate::document::ApiKey`].
    ApiKey {
        /// Id of the API key.
        key: &'a str,
    },
    /// A [`crate::document::ApiKeyValue`].
    ApiKeyValue {
        /// SHA-256 of the value, 64 lower-case hexadecimal digits.
        value_sha256: &'a str,
    },
    /// A [`crate::document::UsagePlan`].
    UsagePlan {
        /// Id of the usage plan.
        plan: &'a str,
    },
    /// A [`crate::document::UsagePlanKey`].
    UsagePlanKey {
        /// Id of the usage plan.
        plan: &'a str,
        /// Id of the API key.
        key: &'a str,
    },
    /// A [`crate::document::VpcLink`].
    VpcLink {
        /// Id of the VPC link.
        link: &'a str,
    },
    /// The [`crate::document::Account`].
    Account,
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
            (Some("apikey"), Some(key), None, None, None) => Self::ApiKey { key },
            (Some("apikey-value"), Some(value_sha256), None, None, None) => {
                Self::ApiKeyValue { value_sha256 }
            }
            (Some("usageplan"), Some(plan), None, None, None) => Self::UsagePlan { plan },
            (Some("usageplan"), Some(plan), Some("key"), Some(key), None) => Self::UsagePlanKey { plan, key },
            (Some("vpclink"), Some(link), None, None, None) => Self::VpcLink { link },
            (Some("account"), None, None, None, None) => Self::Account,
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

/// Key of an API key.
pub fn api_key(key: &str) -> String {
    format!("apikey/{key}")
}

/// Key of the record that finds an API key by the SHA-256 of its value.
pub fn api_key_value(value_sha256: &str) -> String {
    format!("apikey-value/{value_sha256}")
}

/// Key of a usage plan.
pub fn usage_plan(plan: &str) -> String {
    format!("usageplan/{plan}")
}

/// Key of the membership of an API key in a usage plan.
pub fn usage_plan_key(plan: &str, key: &str) -> String {
    format!("usageplan/{plan}/key/{key}")
}

/// Prefix of the memberships of all API keys in a usage plan.
pub fn usage_plan_key_prefix(plan: &str) -> String {
    format!("usageplan/{plan}/key/")
}

/// Key of a VPC link.
pub fn vpc_link(link: &str) -> String {
    format!("vpclink/{link}")
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

/// Key that names the node which starts the ledger groups of a region.
pub fn ledger_founder(region: &str) -> String {
    format!("cluster/ledger/{region}")
}

/// Key that marks a node as drained.
pub fn drain(node: u64) -> String {
    format!("cluster/drain/{node}")
}

/// Key that marks an availability zone as shifted.
pub fn zonal_shift(region: &str, az: &str) -> String {
    format!("{ZONAL_SHIFT_PREFIX}{region}/{az}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_parse_back() {
        let cases: [(String, Key<'_>); 20] = [
            (rest_api("a"), Key::RestApi { api: "a" }),
            (resource("a", "r"), Key::Resource { api: "a", resource: "r" }),
            (model("a", "Empty"), Key::Model { api: "a", model: "Empty" }),
            (deployment("a", "d"), Key::Deployment { api: "a", deployment: "d" }),
            (stage("a", "prod"), Key::Stage { api: "a", stage: "prod" }),
            (api_key("k"), Key::ApiKey { key: "k" }),
            (api_key_value("00ff"), Key::ApiKeyValue { value_sha256: "00ff" }),
            (usage_plan("p"), Key::UsagePlan { plan: "p" }),
            (usage_plan_key("p", "k"), Key::UsagePlanKey { plan: "p", key: "k" }),
            (vpc_link("l"), Key::VpcLink { link: "l" }),
            (ACCOUNT.into(), Key::Account),
            (SEAL_SECRET.into(), Key::Cluster),
            ("apikey/k/later".into(), Key::Unknown),
            ("usageplan/p/later/k".into(), Key::Unknown),
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
