//! From the replicated documents to what the data plane caches by. Owns which methods of a stage are cached and by what their answers
//! are told apart; must never look at a request.

use std::collections::BTreeMap;

use tidegate_proto::{
    compiled::caches::{
        CacheModeV1, CachesV1, KeyParameterV1, MethodCacheV1, PurgeV1, RefreshV1, StageCacheV1,
    },
    document::{
        ApiDefinition, CacheGeneration, CacheMode, CachePolicy, CachePurge, Document, Integration, Method,
        MethodPath, MethodSetting, Stage,
        cache::{CACHE_SIZE_DEFAULT, cache_bytes},
    },
    key::{self, Key},
};
use tidegate_state::State;

/// Compiles the caches of all stages that have one, as they are served in an availability zone. What cannot be read caches nothing and is
/// named in the log.
pub(crate) fn compile(state: &State, region: &str, az: &str) -> CachesV1 {
    let mut stages = Vec::new();
    for (name, record) in state.prefix(key::REST_API_PREFIX) {
        let Key::Stage { api, .. } = Key::parse(name) else { continue };
        let Some(stage) = readable(name, Stage::decode(&record.bytes)) else { continue };
        let stage = stage.served_in(region, az);
        let Some(policy) = readable(name, CachePolicy::from_tags(&stage.tags)) else { continue };
        if policy.mode == Some(CacheMode::Off) {
            continue;
        }
        let deployment = readable(name, state.deployment(api, &stage.deployment_id)).flatten();
        let Some(deployment) = deployment else { continue };
        stages.extend(stage_cache(api, &stage, &policy, &deployment.document.definition));
    }
    CachesV1 { stages }
}

/// Whether a change of this record can change a cache: deployments never change, a stage points to another one.
pub(crate) fn concerns(name: &str) -> bool {
    matches!(Key::parse(name), Key::Stage { .. })
}

fn readable<T, E: std::fmt::Display>(what: &str, read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(what, %error, "not readable here; it caches nothing")).ok()
}

fn stage_cache(
    api: &str,
    stage: &Stage,
    policy: &CachePolicy,
    definition: &ApiDefinition,
) -> Option<StageCacheV1> {
    let settings = Settings::of(stage);
    let mut methods = Vec::new();
    for resource in &definition.resources {
        for (verb, method) in &resource.resource_methods {
            let site = Site { stage, policy, path: &resource.path, verb, resource: &resource.id };
            match site.cache(method, &settings) {
                Ok(found) => methods.extend(found),
                Err(parameter) => tracing::error!(
                    api,
                    stage = stage.stage_name,
                    path = resource.path,
                    verb,
                    parameter,
                    "a cache key parameter that is not supported here; the method is not cached"
                ),
            }
        }
    }
    if methods.is_empty() {
        return None;
    }
    methods.sort_by(|a, b| (&a.path, &a.verb).cmp(&(&b.path, &b.verb)));
    let CacheGeneration { epoch, sequence, purges } = &stage.tidegate_cache;
    let size = stage.cache_cluster_size.as_deref().unwrap_or(CACHE_SIZE_DEFAULT);
    Some(StageCacheV1 {
        api: api.to_owned(),
        stage: stage.stage_name.clone(),
        bytes_max: cache_bytes(size).or_else(|| cache_bytes(CACHE_SIZE_DEFAULT)).unwrap_or_default(),
        epoch: *epoch,
        sequence: *sequence,
        purges: purges.iter().map(purge).collect(),
        serves_isolated: policy.serves_isolated,
        tells_always: policy.tells_always,
        shares_cookies: policy.shares_cookies,
        unkeyed_headers: policy.unkeyed_headers.clone(),
        methods,
    })
}

fn purge(purge: &CachePurge) -> PurgeV1 {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    PurgeV1 {
        sequence: purge.sequence,
        verb: text(&purge.verb),
        resource: text(&purge.resource),
        prefix: text(&purge.prefix),
        tag: text(&purge.tag),
    }
}

/// Settings of a stage's methods, by what they are for.
struct Settings<'a> {
    all: Option<&'a MethodSetting>,
    own: BTreeMap<MethodPath, &'a MethodSetting>,
}

impl<'a> Settings<'a> {
    fn of(stage: &'a Stage) -> Self {
        let named = stage.method_settings.iter();
        let mut own: BTreeMap<_, _> =
            named.filter_map(|(name, setting)| Some((MethodPath::parse(name)?, setting))).collect();
        Self { all: own.remove(&MethodPath::All), own }
    }

    /// The setting of a method, and whether it is for this method alone.
    fn find(&self, path: &str, verb: &str) -> Option<(&'a MethodSetting, bool)> {
        let one = MethodPath::One { path: path.to_owned(), verb: verb.to_owned() };
        let own = self.own.get(&one).map(|setting| (*setting, true));
        own.or_else(|| self.all.map(|setting| (setting, false)))
    }
}

/// A method where it stands.
struct Site<'a> {
    stage: &'a Stage,
    policy: &'a CachePolicy,
    path: &'a str,
    verb: &'a str,
    /// Id of the resource.
    resource: &'a str,
}

impl Site<'_> {
    /// How the method is cached, if it is; an error names the parameter by which its answers cannot be told apart.
    fn cache(&self, method: &Method, settings: &Settings<'_>) -> Result<Option<MethodCacheV1>, String> {
        let Some(integration) = &method.method_integration else { return Ok(None) };
        let Some(mode) = self.mode(method) else { return Ok(None) };
        let found = settings.find(self.path, self.verb);
        let setting = found.map_or_else(MethodSetting::default, |(setting, _)| setting.clone());
        let (ttl_s, parameters) = match mode {
            CacheModeV1::Aws => {
                let ttl_s = u32::try_from(setting.cache_ttl_in_seconds).unwrap_or_default();
                let is_own = found.is_some_and(|(_, is_own)| is_own);
                if !setting.caching_enabled || ttl_s == 0 || !is_cacheable(self.verb, is_own) {
                    return Ok(None);
                }
                (ttl_s, parameters(integration)?)
            }
            CacheModeV1::Http => (0, Vec::new()),
        };
        let namespace = match integration.cache_namespace.as_str() {
            "" => self.resource,
            given => given,
        };
        Ok(Some(MethodCacheV1 {
            path: self.path.to_owned(),
            verb: self.verb.to_owned(),
            mode,
            ttl_s,
            is_encrypted: setting.cache_data_encrypted,
            namespace: namespace.to_owned(),
            parameters,
            refresh: refresh(&setting),
        }))
    }

    /// By which rules: those of the method, else those of the stage, else API Gateway's where there is a cluster.
    fn mode(&self, method: &Method) -> Option<CacheModeV1> {
        match method.tidegate_cache.or(self.policy.mode).unwrap_or(CacheMode::Aws) {
            CacheMode::Off => None,
            CacheMode::Aws => self.stage.cache_cluster_enabled.then_some(CacheModeV1::Aws),
            CacheMode::Rfc9111 => ["GET", "HEAD", "ANY"].contains(&self.verb).then_some(CacheModeV1::Http),
        }
    }
}

/// Verbs that API Gateway caches: by a setting for all methods only GET, and PUT, PATCH and DELETE never. `ANY` stands for its GET
/// requests.
fn is_cacheable(verb: &str, is_own: bool) -> bool {
    match verb {
        "GET" | "ANY" => true,
        "HEAD" | "OPTIONS" | "POST" => is_own,
        _ => false,
    }
}

fn refresh(setting: &MethodSetting) -> RefreshV1 {
    if !setting.require_authorization_for_cache_control {
        return RefreshV1::Anyone;
    }
    match setting.unauthorized_cache_control_header_strategy.as_str() {
        "FAIL_WITH_403" => RefreshV1::SignedOrRefused,
        "SUCCEED_WITHOUT_RESPONSE_HEADER" => RefreshV1::SignedOrIgnored,
        _ => RefreshV1::SignedOrWarned,
    }
}

/// What of a request tells answers apart, besides the path; an error names a parameter that is none of it.
fn parameters(integration: &Integration) -> Result<Vec<KeyParameterV1>, String> {
    let mut parameters = Vec::with_capacity(integration.cache_key_parameters.len());
    for parameter in &integration.cache_key_parameters {
        let source = match parameter.starts_with("integration.request.") {
            true => integration.request_parameters.get(parameter),
            false => Some(parameter),
        };
        let part = source.and_then(|source| part_of_request(source)).ok_or_else(|| parameter.clone())?;
        parameters.extend(part.filter(|part| !parameters.contains(part)));
    }
    Ok(parameters)
}

/// What a source reads: `Some(None)` for paths, which are in every key, and for what is the same in all requests of a stage; `None`
/// for anything else.
fn part_of_request(source: &str) -> Option<Option<KeyParameterV1>> {
    let is_fixed = source.starts_with("stageVariables.")
        || (source.len() >= 2 && source.starts_with('\'') && source.ends_with('\''));
    if is_fixed {
        return Some(None);
    }
    let (location, name) = source.strip_prefix("method.request.")?.split_once('.')?;
    match location {
        "path" => Some(None),
        "querystring" | "multivaluequerystring" => Some(Some(KeyParameterV1::Query(name.to_owned()))),
        "header" | "multivalueheader" => Some(Some(KeyParameterV1::Header(name.to_ascii_lowercase()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
