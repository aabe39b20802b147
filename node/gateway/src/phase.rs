//! The phases up to admission. Each takes the evidence of the one before, so a wrong order does not compile.

use std::fmt;

use tidegate_proto::compiled::ArchivedMethodV1;
use tidegate_throttle::Bucket;

use crate::{Address, PathRanges, Rejection, Snapshot, StageTable, router};

/// Evidence that a request has a method.
#[derive(Clone, Copy)]
pub struct Routed<'s> {
    snapshot: &'s Snapshot,
    stage: &'s StageTable,
    stage_index: usize,
    method: &'s ArchivedMethodV1,
    method_index: u32,
    parameters: PathRanges,
}

/// Evidence that the caller may call the method.
#[derive(Clone, Copy, Debug)]
pub struct Authorized<'s>(Routed<'s>);

/// Evidence that the call fits into every limit: what an upstream call needs.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'s>(Routed<'s>);

impl Snapshot {
    /// Finds the method of a request.
    ///
    /// # Errors
    /// `Forbidden` without such an API or stage, `MissingAuthenticationToken` without such a resource or verb.
    pub fn route(&self, address: Option<Address<'_>>, verb: &str) -> Result<Routed<'_>, Rejection> {
        let address = address.ok_or(Rejection::Forbidden)?;
        let mut label = [0; 63];
        let api = lower(address.api, &mut label).ok_or(Rejection::Forbidden)?;
        let (stage_index, stage) = self.stage(api, address.stage).ok_or(Rejection::Forbidden)?;
        if address.by_host && stage.stage().execute_api_disabled {
            return Err(Rejection::Forbidden);
        }
        let verb = router::verb_index(verb).ok_or(Rejection::MissingAuthenticationToken)?;
        let (method_index, parameters) =
            router::find(stage.stage(), address.rest, verb).ok_or(Rejection::MissingAuthenticationToken)?;
        let method = stage.method(method_index).ok_or(Rejection::ApiConfigurationError)?;
        Ok(Routed { snapshot: self, stage, stage_index, method, method_index, parameters })
    }
}

impl<'s> Routed<'s> {
    /// The snapshot that serves the request.
    pub fn snapshot(&self) -> &'s Snapshot {
        self.snapshot
    }

    /// The stage.
    pub fn stage(&self) -> &'s StageTable {
        self.stage
    }

    /// Place of the stage in [`Snapshot::stages`].
    pub fn stage_index(&self) -> usize {
        self.stage_index
    }

    /// Place of the method in [`StageTable::routes`].
    pub fn method_index(&self) -> usize {
        self.method_index as usize
    }

    /// Path of the resource, with braces.
    pub fn resource_path(&self) -> &'s str {
        &self.method.resource_path
    }

    /// Id of the resource.
    pub fn resource_id(&self) -> &'s str {
        &self.method.resource
    }

    /// Value of a path parameter: its name and its bytes in `rest`, the part of the path after the stage.
    pub fn path_parameters<'r>(&self, rest: &'r str) -> impl Iterator<Item = (&'s str, &'r str)> {
        let ranges = self.parameters;
        let names = self.method.path_parameters.iter();
        names.enumerate().filter_map(move |(at, name)| Some((name.as_str(), rest.get(ranges.get(at)?)?)))
    }

    /// Value of the path parameter at `index`.
    pub(crate) fn path_parameter<'r>(&self, rest: &'r str, index: u32) -> Option<&'r str> {
        rest.get(self.parameters.get(index as usize)?)
    }

    pub(crate) fn method(&self) -> &'s ArchivedMethodV1 {
        self.method
    }
}

impl fmt::Debug for Routed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed")
            .field("stage", &self.stage)
            .field("resource", &self.resource_path())
            .finish_non_exhaustive()
    }
}

/// The API keys a stage accepts. This version has none, so a method that requires one is always refused.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyTable {
    values: Box<[Box<str>]>,
}

impl ApiKeyTable {
    fn contains(&self, value: &str) -> bool {
        self.values.binary_search_by(|known| (**known).cmp(value)).is_ok()
    }
}

/// Decides whether the caller may call the method; `key` reads the request's `x-api-key`, where it matters.
///
/// # Errors
/// `InvalidApiKey`.
pub fn authorize<'s, 'k>(
    routed: Routed<'s>,
    keys: &ApiKeyTable,
    key: impl FnOnce() -> Option<&'k str>,
) -> Result<Authorized<'s>, Rejection> {
    if routed.method.api_key_required && !key().is_some_and(|key| keys.contains(key)) {
        return Err(Rejection::InvalidApiKey);
    }
    Ok(Authorized(routed))
}

/// Takes one request from `ceiling`, the node's own limit, at `now_ns` of a monotonic clock.
///
/// # Errors
/// `Throttled`.
pub fn throttle<'s>(
    authorized: Authorized<'s>,
    ceiling: Option<&Bucket>,
    now_ns: u64,
) -> Result<Admitted<'s>, Rejection> {
    match ceiling {
        Some(bucket) if !bucket.take(now_ns) => Err(Rejection::Throttled),
        _ => Ok(Admitted(authorized.0)),
    }
}

impl<'s> Authorized<'s> {
    /// What was routed.
    pub fn routed(&self) -> &Routed<'s> {
        &self.0
    }
}

impl<'s> Admitted<'s> {
    /// A method as if it had been asked for, to find out beforehand what it will answer.
    pub(crate) fn presumed(snapshot: &'s Snapshot, stage: &'s StageTable, method_index: u32) -> Option<Self> {
        let method = stage.method(method_index)?;
        let parameters = PathRanges::none();
        Some(Self(Routed { snapshot, stage, stage_index: 0, method, method_index, parameters }))
    }

    /// What was routed.
    pub fn routed(&self) -> &Routed<'s> {
        &self.0
    }
}

/// API ids are lower-case, host labels are not always.
fn lower<'b>(api: &[u8], buffer: &'b mut [u8; 63]) -> Option<&'b [u8]> {
    let out = buffer.get_mut(..api.len())?;
    out.copy_from_slice(api);
    out.make_ascii_lowercase();
    Some(out)
}
