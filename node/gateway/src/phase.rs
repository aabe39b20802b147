//! The phases up to admission. Each takes the evidence of the one before, so a wrong order does not compile.

use std::{fmt, sync::Arc};

use tidegate_proto::compiled::ArchivedMethodV1;
use tidegate_throttle::{Bank, Bucket, Verdict};

use crate::{Address, Known, Level, Parameters, Rejection, Shortage, Snapshot, StageTable, router};

/// Longest label of a host name, in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Evidence that a request has a method.
#[derive(Clone, Copy)]
pub struct Routed<'s> {
    snapshot: &'s Snapshot,
    stage: &'s StageTable,
    stage_index: usize,
    method: &'s ArchivedMethodV1,
    method_index: u32,
    parameters: Parameters,
}

/// Evidence that the caller may call the method.
#[derive(Clone, Copy, Debug)]
pub struct Authorized<'s> {
    routed: Routed<'s>,
    /// The API key that let it in.
    known: Option<Known>,
}

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
        let (stage_index, stage) = self.stage_of(&address).ok_or(Rejection::Forbidden)?;
        if address.by_host && stage.stage().execute_api_disabled {
            return Err(Rejection::Forbidden);
        }
        let verb = router::verb_index(verb).ok_or(Rejection::MissingAuthenticationToken)?;
        let (method_index, parameters) =
            router::find(stage.stage(), address.rest, verb).ok_or(Rejection::MissingAuthenticationToken)?;
        let method = stage.method(method_index).ok_or(Rejection::ApiConfigurationError)?;
        Ok(Routed { snapshot: self, stage, stage_index, method, method_index, parameters })
    }

    /// API ids are in lower case, host labels are not always.
    fn stage_of(&self, address: &Address<'_>) -> Option<(usize, &Arc<StageTable>)> {
        if !address.api.iter().any(u8::is_ascii_uppercase) {
            return self.stage(address.api, address.stage);
        }
        let mut label = [0; LABEL_BYTES_MAX];
        let api = label.get_mut(..address.api.len())?;
        api.copy_from_slice(address.api);
        api.make_ascii_lowercase();
        self.stage(api, address.stage)
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
        let (parameters, names) = (self.parameters, self.method.path_parameters.iter());
        names.enumerate().filter_map(move |(at, name)| Some((name.as_str(), parameters.value(rest, at)?)))
    }

    /// Value of the path parameter at `index`.
    pub(crate) fn path_parameter<'r>(&self, rest: &'r str, index: u32) -> Option<&'r str> {
        self.parameters.value(rest, index as usize)
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

/// Decides whether the caller may call the method; `key` reads the request's `x-api-key`, where it matters. A stage that takes
/// its keys from authorizers finds none there.
///
/// # Errors
/// `InvalidApiKey`.
pub fn authorize<'s, 'k>(
    routed: Routed<'s>,
    key: impl FnOnce() -> Option<&'k str>,
) -> Result<Authorized<'s>, Rejection> {
    if !routed.method.api_key_required {
        return Ok(Authorized { routed, known: None });
    }
    authorize_key(routed, key())
}

fn authorize_key<'s>(routed: Routed<'s>, header: Option<&str>) -> Result<Authorized<'s>, Rejection> {
    let limits = routed.snapshot.limits();
    let key = header.filter(|_| !limits.key_from_authorizer(routed.stage_index));
    let known = key.and_then(|key| limits.admit(routed.stage_index, key.as_bytes()));
    known.map(|known| Authorized { routed, known: Some(known) }).ok_or(Rejection::InvalidApiKey)
}

/// The evidence of an admission without what it borrows: for a call that outlives the request it is made for.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    revision: u64,
    applied: u64,
    stage_index: usize,
    method_index: u32,
    parameters: Parameters,
}

impl Snapshot {
    /// The admission that a pass stands for; `None` in another snapshot.
    pub fn readmit(&self, pass: Pass) -> Option<Admitted<'_>> {
        let Pass { revision, applied, stage_index, method_index, parameters } = pass;
        if (revision, applied) != (self.revision(), self.applied()) {
            return None;
        }
        let stage = self.stages().get(stage_index)?;
        let method = stage.method(method_index)?;
        Some(Admitted(Routed { snapshot: self, stage, stage_index, method, method_index, parameters }))
    }
}

/// What a node decides about limits with.
#[derive(Clone, Copy, Debug)]
pub struct Turnstile<'a> {
    /// The state of all limits.
    pub bank: &'a Bank,
    /// The node's own limit.
    pub ceiling: Option<&'a Bucket>,
    /// Now, on the monotonic clock of all decisions of this node, in nanoseconds.
    pub now_ns: u64,
    /// Reads the clock of leases, in nanoseconds; asked only where a lease matters.
    pub boot_ns: fn() -> u64,
}

/// Holds a request against every limit that applies to it: it fits into all and is counted in all, or in none.
///
/// # Errors
/// `Throttled` or `QuotaExceeded` with the limit that refused. Where its reason is that this node's share ran out and more is
/// on its way ([`tidegate_throttle::Reason::Starved`]), trying again in some milliseconds makes sense.
#[inline]
pub fn throttle<'s>(
    authorized: Authorized<'s>,
    turnstile: &Turnstile<'_>,
) -> Result<Admitted<'s>, Rejection> {
    let Authorized { routed, known } = authorized;
    if turnstile.ceiling.is_some_and(|bucket| !bucket.take(turnstile.now_ns)) {
        return Err(Rejection::Throttled(Shortage::of(Level::Node)));
    }
    let refs = routed.snapshot.limits().refs(routed.stage_index, routed.method_index(), known);
    if refs.as_slice().is_empty() {
        return Ok(Admitted(routed));
    }
    match turnstile.bank.decide(refs.as_slice(), turnstile.now_ns, turnstile.boot_ns) {
        Verdict::Admitted => Ok(Admitted(routed)),
        Verdict::Refused(refusal) => {
            let gates = routed.snapshot.limits().gates(routed.stage_index, routed.method_index(), known);
            let level = gates.get(refusal.at).map_or(Level::Node, |gate| gate.level);
            let reason = refusal.reason;
            let limit = refs.as_slice().get(refusal.at);
            let lease =
                limit.map(|limit| turnstile.bank.lease(*limit, refusal.is_quota, (turnstile.boot_ns)()));
            Err(match refusal.is_quota {
                true => Rejection::QuotaExceeded(Shortage { level: Level::Quota, reason, lease }),
                false => Rejection::Throttled(Shortage { level, reason, lease }),
            })
        }
    }
}

impl<'s> Authorized<'s> {
    /// What was routed.
    pub fn routed(&self) -> &Routed<'s> {
        &self.routed
    }

    /// The API key that let the request in.
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// Id of the API key that let the request in.
    pub fn api_key_id(&self) -> Option<&'s str> {
        self.known.and_then(|known| self.routed.snapshot.limits().key_id(known))
    }

    /// The limits that the request is held against.
    pub fn gates(&self) -> Vec<crate::Gate> {
        let routed = &self.routed;
        routed.snapshot.limits().gates(routed.stage_index, routed.method_index(), self.known)
    }

    /// Whether answers say how much is left.
    pub fn has_limit_headers(&self) -> bool {
        self.routed.snapshot.limits().has_headers(self.routed.stage_index)
    }
}

impl<'s> Admitted<'s> {
    /// A method as if it had been asked for, to find out beforehand what it will answer.
    pub(crate) fn presumed(snapshot: &'s Snapshot, stage: &'s StageTable, method_index: u32) -> Option<Self> {
        let method = stage.method(method_index)?;
        let parameters = Parameters::default();
        Some(Self(Routed { snapshot, stage, stage_index: 0, method, method_index, parameters }))
    }

    /// What was routed.
    pub fn routed(&self) -> &Routed<'s> {
        &self.0
    }

    /// The same evidence without what it borrows.
    pub fn pass(&self) -> Pass {
        let Routed { snapshot, stage_index, method_index, parameters, .. } = self.0;
        let (revision, applied) = (snapshot.revision(), snapshot.applied());
        Pass { revision, applied, stage_index, method_index, parameters }
    }
}
