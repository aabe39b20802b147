//! The one place where requests of the short line are metered and logged.

use tidegate_gateway::{Rejection, Route, Shortage, Snapshot, StageTable};
use tidegate_telemetry::{
    access_log::{Facts, Value, Variable},
    metrics::{CacheOutcome, Observation},
};

use super::errand::{Caller, Errand};
use crate::{shard::Shard, upstream::Shelf};

/// Meters and logs a request whose answer has been sent, or could not be; `input` begins with its head if it is still there.
pub(super) fn report(shard: &Shard, caller: &Caller, errand: &Errand, input: &[u8], body_bytes: u64) {
    let Some(view) = &errand.view else { return };
    let latency_us = errand.latency_us.unwrap_or_else(|| shard.us_since(errand.arrived_ns));
    if let Some((stage, method)) = errand.route
        && let Some(meter) = view.meter(stage, method)
        && errand.status > 0
    {
        meter.record(&Observation {
            status: errand.status,
            latency_us,
            integration_us: errand.integrate_us,
            cache: outcome(errand),
        });
    }
    let Some(log) = &shard.log else { return };
    let report = Report {
        caller,
        errand,
        snapshot: view.snapshot(),
        head: errand.head(input),
        latency_us,
        body_bytes,
    };
    log.handle.write(&log.format, &report);
}

/// What the cache did; whatever is not a hit is metered and logged by the pipeline.
fn outcome(errand: &Errand) -> CacheOutcome {
    if errand.is_hit { CacheOutcome::Hit } else { CacheOutcome::Off }
}

/// A request of the short line as its log line sees it: what the line does not ask for is not looked up.
struct Report<'a> {
    caller: &'a Caller,
    errand: &'a Errand,
    snapshot: &'a Snapshot,
    head: &'a [u8],
    latency_us: u64,
    body_bytes: u64,
}

impl<'a> Report<'a> {
    #[inline]
    fn stage(&self) -> Option<&'a StageTable> {
        let (stage, _) = self.errand.route?;
        self.snapshot.stages().get(stage).map(|stage| &**stage)
    }

    #[inline]
    fn method(&self) -> Option<Route<'a>> {
        let (_, method) = self.errand.route?;
        self.stage()?.route(method)
    }

    fn shortage(&self) -> Option<Shortage> {
        self.rejection().and_then(Rejection::shortage)
    }

    fn rejection(&self) -> Option<&'a Rejection> {
        self.errand.rejection.as_ref()
    }

    fn response_type(&self) -> Option<&'static str> {
        self.rejection().map(|rejection| rejection.response_type().name)
    }

    fn respond_us(&self) -> Option<u64> {
        self.errand.integrate_us.and_then(|us| self.latency_us.checked_sub(us))
    }

    /// What there is to say about keys and limits.
    fn limited(&self, variable: Variable) -> Value<'_> {
        let key = || self.errand.known.and_then(|known| self.snapshot.limits().key_id(known));
        match variable {
            Variable::ApiKeyId => Value::text(key()),
            Variable::ThrottleLimit => Value::text(self.shortage().map(|shortage| shortage.level.name())),
            Variable::ThrottleLease => {
                Value::text(self.shortage().and_then(|shortage| shortage.lease_name()))
            }
            Variable::ThrottlePlan => Value::text(self.plan()),
            _ => Value::text(self.shortage().map(|shortage| shortage.reason_name())),
        }
    }

    /// Where the call went.
    fn upstream(&self, variable: Variable) -> Value<'_> {
        match variable {
            Variable::UpstreamAz => Value::text(self.errand.upstream.as_deref().and_then(Shelf::az)),
            _ => Value::number(Some(self.errand.attempts).filter(|count| *count > 0)),
        }
    }

    /// The usage plan whose limit refused.
    fn plan(&self) -> Option<&str> {
        self.shortage().filter(Shortage::is_of_plan)?;
        self.snapshot.limits().plan_id(self.errand.known?)
    }

    fn domain_prefix(&self) -> Option<&'a [u8]> {
        self.errand.host.in_head(self.head).split(|byte| matches!(byte, b'.' | b':')).next()
    }

    fn trace(&self) -> Value<'a> {
        match &self.errand.trace {
            Some(place) => Value::Text(place.in_head(self.head)),
            None => Value::Own(self.errand.identity.root.as_bytes()),
        }
    }
}

impl Facts for Report<'_> {
    #[inline]
    fn value(&self, variable: Variable) -> Value<'_> {
        let errand = self.errand;
        match variable {
            Variable::RequestId => Value::Own(errand.identity.request()),
            Variable::ExtendedRequestId => Value::Own(errand.identity.extended()),
            Variable::SourceIp => Value::Own(self.caller.address.as_bytes()),
            Variable::UserAgent => Value::text(errand.user_agent.map(|place| place.in_head(self.head))),
            Variable::RequestTime => Value::Time(errand.time_ms),
            Variable::RequestTimeEpoch => Value::Number(errand.time_ms),
            Variable::HttpMethod => Value::Own(errand.method.as_bytes()),
            Variable::Path => Value::Text(errand.path.in_head(self.head)),
            Variable::ResourcePath => Value::text(self.method().map(|method| method.resource_path)),
            Variable::ResourceId => Value::text(self.method().map(|method| method.resource_id)),
            Variable::Status => Value::number(Some(errand.status).filter(|status| *status > 0)),
            Variable::Protocol => Value::Own(b"HTTP/1.1"),
            Variable::ResponseLength => Value::Number(self.body_bytes),
            Variable::ResponseLatency => Value::Number(self.latency_us / 1_000),
            Variable::IntegrationLatency => Value::number(errand.integrate_us.map(|us| us / 1_000)),
            Variable::IntegrationStatus => Value::number(errand.integration_status),
            Variable::IntegrationError => Value::text(errand.integration_error.as_deref()),
            Variable::UpstreamAz | Variable::UpstreamAttempts => self.upstream(variable),
            Variable::ApiId => Value::text(self.stage().map(StageTable::api)),
            Variable::AccountId => Value::Text(self.snapshot.account().as_bytes()),
            Variable::Stage => Value::text(self.stage().map(StageTable::name)),
            Variable::DeploymentId => Value::text(self.stage().map(StageTable::deployment)),
            Variable::DomainName => Value::Text(errand.host.in_head(self.head)),
            Variable::DomainPrefix => Value::text(self.domain_prefix()),
            Variable::ApiKeyId
            | Variable::ThrottleLimit
            | Variable::ThrottleReason
            | Variable::ThrottleLease
            | Variable::ThrottlePlan => self.limited(variable),
            Variable::ErrorMessage => Value::text(self.rejection().map(Rejection::message)),
            Variable::ErrorMessageString => Value::quoted(self.rejection().map(Rejection::message)),
            Variable::ErrorResponseType => Value::text(self.response_type()),
            Variable::XrayTraceId => self.trace(),
            // The decision is made in one go, and timed as one.
            Variable::Cache => Value::text(outcome(errand).name()),
            Variable::RouteUs => Value::number(errand.decide_us),
            Variable::IntegrateUs => Value::number(errand.integrate_us),
            Variable::RespondUs => Value::number(self.respond_us()),
            // Nothing of the short line is authorized or mapped, and what is the node's is in the format already.
            Variable::Caller
            | Variable::User
            | Variable::UserArn
            | Variable::IdentityAccountId
            | Variable::AccessKey
            | Variable::ClientCertSubject
            | Variable::RouteKey
            | Variable::IntegrationRequestId
            | Variable::BasePathMatched
            | Variable::ErrorValidation
            | Variable::AuthorizerPrincipalId
            | Variable::AuthorizerError
            | Variable::AuthorizerStatus
            | Variable::AuthorizerLatency
            | Variable::WafResponseCode
            | Variable::ConnectionId
            | Variable::EventType
            | Variable::MessageId
            | Variable::Region
            | Variable::Az
            | Variable::Node
            | Variable::AuthorizeUs
            | Variable::ThrottleUs
            | Variable::CacheUs
            | Variable::RequestTransformUs
            | Variable::ResponseTransformUs => Value::Missing,
        }
    }
}
