//! Which answers may come from a cache, and under which keys. Owns the keys: whatever makes an answer another answer is in them.
//! Never holds an answer.

mod asked;
mod key;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_proto::compiled::caches::{
    CacheModeV1, CachesV1, KeyParameterV1, MethodCacheV1, PurgeV1, RefreshV1, StageCacheV1,
};

pub use asked::{Asked, Plainness};
pub use key::KeyParts;

use crate::{Admitted, Routed, Snapshot, StageTable};

/// The caches of the stages of a snapshot, by place.
#[derive(Debug, Default)]
pub struct Caches {
    compiled: Arc<CachesV1>,
    stages: Box<[Option<StageCache>]>,
}

/// The cache of one stage.
#[derive(Debug)]
pub struct StageCache {
    /// Bytes that the nodes of an availability zone may hold of it together.
    pub bytes_max: u64,
    /// Names everything that a flush makes another cache: the API, the stage, the deployment and the number of flushes.
    pub scope: Arc<[u8]>,
    /// Number of the newest purge.
    pub sequence: u64,
    /// Purges of a part, oldest first.
    pub purges: Box<[PurgeV1]>,
    /// Whether some of it is cached as HTTP defines it.
    pub has_http: bool,
    /// By method.
    rules: Box<[Option<Rule>]>,
}

/// How the answers of one method are cached.
#[derive(Debug)]
pub struct Rule {
    /// By which rules.
    pub mode: CacheModeV1,
    /// Life of an answer in [`CacheModeV1::Aws`], in seconds.
    pub ttl_s: u32,
    /// Whether stored answers are encrypted on disk.
    pub is_encrypted: bool,
    /// Who may have a stored answer replaced.
    pub refresh: RefreshV1,
    /// Number of the newest purge of the stage.
    pub sequence: u64,
    /// Whether stored answers are served while the node cannot know whether they were flushed.
    pub serves_isolated: bool,
    /// Whether every answer says what the cache did.
    pub tells_always: bool,
    /// Whether answers that set cookies are shared.
    pub shares_cookies: bool,
    /// Headers of requests that no answer depends on, in lower case.
    unkeyed_headers: Box<[String]>,
    /// The verb that is cached; `ANY` stands for GET.
    verb: Box<str>,
    /// What every key of the method begins with.
    prefix: Box<[u8]>,
    parameters: Box<[KeyParameterV1]>,
}

impl Caches {
    /// Resolves caches for `stages`, the stages of a snapshot in its order.
    pub fn build(compiled: Arc<CachesV1>, stages: &[Arc<StageTable>]) -> Self {
        if compiled.is_empty() {
            return Self { compiled, stages: Box::default() };
        }
        let own = |table: &Arc<StageTable>| {
            let is_it = |one: &&StageCacheV1| one.api == table.api() && one.stage == table.name();
            compiled.stages.iter().find(is_it).map(|own| StageCache::build(own, table))
        };
        let stages = stages.iter().map(own).collect();
        Self { compiled, stages }
    }

    /// What it was made from.
    pub fn compiled(&self) -> &Arc<CachesV1> {
        &self.compiled
    }

    /// The cache of the stage at a place.
    pub fn stage(&self, place: usize) -> Option<&StageCache> {
        self.stages.get(place)?.as_ref()
    }

    /// Whether anything is cached.
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(Option::is_none)
    }

    /// The rule of a method, by the places of its stage and itself.
    #[inline]
    pub fn rule(&self, stage: usize, method: usize) -> Option<&Rule> {
        self.stages.get(stage)?.as_ref()?.rules.get(method)?.as_ref()
    }
}

impl StageCache {
    fn build(own: &StageCacheV1, table: &StageTable) -> Self {
        let scope: Arc<[u8]> = key::scope(own, table.deployment()).into();
        let rule = |(path, verb): (&str, &str)| {
            let method = own.methods.iter().find(|one| one.path == path && one.verb == verb)?;
            Some(Rule::build(own, method, &scope))
        };
        Self {
            bytes_max: own.bytes_max,
            sequence: own.sequence,
            purges: own.purges.clone().into(),
            has_http: own.methods.iter().any(|method| method.mode == CacheModeV1::Http),
            rules: table.routes().map(rule).collect(),
            scope,
        }
    }
}

impl Rule {
    fn build(own: &StageCacheV1, method: &MethodCacheV1, scope: &[u8]) -> Self {
        let verb = if method.verb == "ANY" { "GET" } else { &method.verb };
        Self {
            mode: method.mode,
            ttl_s: method.ttl_s,
            is_encrypted: method.is_encrypted,
            refresh: method.refresh,
            sequence: own.sequence,
            serves_isolated: own.serves_isolated,
            tells_always: own.tells_always,
            shares_cookies: own.shares_cookies,
            unkeyed_headers: own.unkeyed_headers.clone().into(),
            verb: verb.into(),
            prefix: key::prefix(scope, method, verb),
            parameters: method.parameters.clone().into(),
        }
    }

    /// Whether answers are cached as HTTP defines it.
    pub fn is_http(&self) -> bool {
        self.mode == CacheModeV1::Http
    }

    /// Whether a request of this verb may be answered from the cache. HTTP answers HEAD with what GET left (RFC 9110 §9.3.2).
    pub fn answers(&self, verb: &str) -> bool {
        *self.verb == *verb || (self.is_http() && verb == "HEAD" && *self.verb == *"GET")
    }

    /// Whether a header of this name, in lower case, cannot make one answer of a key another: it belongs to the keys, or the stage says
    /// that no answer depends on it.
    pub fn knows_header(&self, name: &str) -> bool {
        self.has_header(name) || self.unkeyed_headers.iter().any(|unkeyed| unkeyed == name)
    }

    /// Whether a parameter of this name, in lower case, belongs to the keys.
    fn has_header(&self, name: &str) -> bool {
        self.parameters.iter().any(|one| matches!(one, KeyParameterV1::Header(header) if header == name))
    }
}

impl Snapshot {
    /// The cache that a key is of, and the place of its stage; `None` when it is of none that is served, as before a flush.
    pub fn cache_of(&self, key: &[u8]) -> Option<(usize, &StageCache)> {
        let (api, stage) = key::named(key)?;
        let (place, _) = self.stage(api, stage)?;
        let cache = self.caches().stage(place)?;
        key.starts_with(&cache.scope).then_some((place, cache))
    }
}

impl<'s> Routed<'s> {
    /// How answers of the method are cached, where they are.
    #[inline]
    pub fn cache_rule(&self) -> Option<&'s Rule> {
        self.snapshot().caches().rule(self.stage_index(), self.method_index())
    }
}

impl<'s> Admitted<'s> {
    /// How answers of the method are cached, where they are.
    pub fn cache_rule(&self) -> Option<&'s Rule> {
        self.routed().cache_rule()
    }
}
