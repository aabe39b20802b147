//! The one place where requests of the short line are metered and logged.

use tidegate_gateway::Rejection;
use tidegate_telemetry::{
    access_log::{PhaseTimes, Record},
    metrics::Observation,
};

use super::errand::{Caller, Errand};
use crate::shard::Shard;

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
            ..Observation::default()
        });
    }
    let Some(log) = &shard.log else { return };
    let head = errand.head(input);
    let snapshot = view.snapshot();
    let stage = errand.route.and_then(|(stage, _)| snapshot.stages().get(stage));
    let method = stage.zip(errand.route).and_then(|(stage, (_, method))| stage.route(method));
    let response_type = errand.rejection.as_ref().map(Rejection::response_type);
    let host = errand.host.in_head(head);
    let record = Record {
        request_id: Some(errand.identity.request()),
        extended_request_id: Some(errand.identity.extended()),
        source_ip: Some(caller.address.as_bytes()),
        user_agent: errand.user_agent.map(|place| place.in_head(head)),
        request_time_ms: Some(errand.time_ms),
        http_method: Some(errand.method.as_bytes()),
        path: Some(errand.path.in_head(head)),
        resource_path: method.map(|method| method.resource_path),
        resource_id: method.map(|method| method.resource_id),
        status: Some(errand.status).filter(|status| *status > 0),
        protocol: Some("HTTP/1.1"),
        response_bytes: Some(body_bytes),
        response_latency_ms: Some(latency_us / 1_000),
        integration_latency_ms: errand.integrate_us.map(|us| us / 1_000),
        integration_status: errand.integration_status,
        integration_error: errand.integration_error.as_deref(),
        api_id: stage.map(|stage| stage.api()),
        account_id: Some(snapshot.account()),
        stage: stage.map(|stage| stage.name()),
        deployment_id: stage.map(|stage| stage.deployment()),
        domain_name: Some(host),
        domain_prefix: host.split(|byte| matches!(byte, b'.' | b':')).next(),
        error_message: errand.rejection.as_ref().map(Rejection::message),
        error_response_type: response_type.map(|row| row.name),
        xray_trace_id: Some(errand.trace(head)),
        phases: PhaseTimes {
            // The decision is made in one go, and timed as one.
            route_us: errand.decide_us,
            integrate_us: errand.integrate_us,
            respond_us: errand.integrate_us.and_then(|us| latency_us.checked_sub(us)),
            ..PhaseTimes::default()
        },
        ..Record::default()
    };
    log.handle.write(&log.format, &record);
}
