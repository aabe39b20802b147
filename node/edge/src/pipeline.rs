//! The request line: one function, one error path. The evidence types of the gateway fix the order of the phases.

use std::rc::Rc;

use http::Response;
use http_body::Body as _;
use tidegate_gateway::{
    Admitted, CallBody, Fault, Intake, Plan, RawHead, Rejection, Request, Sender, Step, authorize,
};
use tidegate_listener::{Body, Connection};
use tidegate_telemetry::panics;

use crate::{
    budget::Budget,
    cache,
    integrate::{self, Answer, Taken},
    limiter::is_starved,
    respond::{self, Outgoing},
    shard::Shard,
    upstream::Wired,
    visit::{Trail, Visit},
};

/// Answers one request.
pub(crate) fn serve(
    shard: Rc<Shard>,
    request: http::Request<Body>,
    connection: Connection,
) -> impl Future<Output = Response<Outgoing>> {
    let (visit, body) = Visit::begin(&shard, request, connection);
    async move {
        let mut trail = Trail::begin(visit.arrived);
        let answer = panics::caught(answer(&shard, &visit, body, &mut trail));
        // A configuration that meets a defect must not take other requests with it.
        let outcome = answer.await.unwrap_or(Err(Rejection::ApiConfigurationError));
        respond::respond(&shard, visit, trail, outcome)
    }
}

/// What is rare or slow anyway has its memory apart: every request under way pays for this future's size.
async fn answer(
    shard: &Rc<Shard>,
    visit: &Visit,
    body: Body,
    trail: &mut Trail,
) -> Result<Answer, Rejection> {
    let request = visit.request();
    let admitted = match admit(shard, visit, &request, trail).await {
        Ok(admitted) => admitted,
        Err(rejection) => {
            if integrate::is_in_the_way(&body, &visit.head) {
                Box::pin(integrate::pass_over(body)).await;
            }
            return Err(rejection);
        }
    };
    if admitted.cache_rule().is_some_and(|rule| rule.answers(request.verb)) && body.is_end_stream() {
        return Box::pin(cache::serve(shard, visit, &request, &admitted, trail)).await;
    }
    let intake = admitted.intake(&request)?;
    let mut taken = match intake {
        // What is empty can be sent again as well.
        Intake::Nothing | Intake::Stream if body.is_end_stream() => Taken::nothing(),
        intake => Box::pin(Taken::take(intake, body)).await?,
    };
    let answer = call(shard, visit, &request, &admitted, &mut taken, trail).await?;
    if cache::may_invalidate(&visit.view, admitted.routed().stage_index(), request.verb) {
        visit.invalidate(shard, answer.response.status, &answer.response.headers);
    }
    Ok(answer)
}

/// Makes the call of an admitted request.
pub(crate) async fn call(
    shard: &Shard,
    visit: &Visit,
    request: &Request<'_>,
    admitted: &Admitted<'_>,
    taken: &mut Taken,
    trail: &mut Trail,
) -> Result<Answer, Rejection> {
    let Some(wired) = forward(shard, visit, request, admitted) else {
        return Box::pin(map(shard, request, admitted, taken, trail)).await;
    };
    let body = if taken.is_stream() { CallBody::Stream } else { CallBody::Empty };
    // Everything before the call is one decision, and timed as one.
    trail.phases.route_us = trail.lap_us();
    let reply = integrate::integrate(&shard.upstream, wired, body, taken, trail).await;
    trail.phases.integrate_us = trail.lap_us();
    Ok(Answer::forwarded(reply?))
}

/// Answers a request whose call or whose answer is made of more than heads.
async fn map(
    shard: &Shard,
    request: &Request<'_>,
    admitted: &Admitted<'_>,
    taken: &mut Taken,
    trail: &mut Trail,
) -> Result<Answer, Rejection> {
    let (call, carry) = match admitted.call(request, taken.whole.as_deref())? {
        Step::Respond(response) => return Ok(Answer::local(response)),
        Step::Call(call, carry) => (call, carry),
    };
    let routed = admitted.routed();
    let link = routed.snapshot().links().of(routed.stage_index(), routed.method_index());
    let wired = Wired::of(&call, link.map(|link| &*link.id), &shard.upstream);
    trail.phases.request_transform_us = trail.lap_us();
    let reply = integrate::integrate(&shard.upstream, wired, call.body, taken, trail).await;
    trail.phases.integrate_us = trail.lap_us();
    let mut reply = reply?;
    let selected = admitted.select(reply.status, carry)?;
    if selected.needs_body(request) {
        let whole = reply.collect(trail).await;
        let waited = trail.lap_us();
        trail.phases.integrate_us = trail.phases.integrate_us.zip(waited).map(|(head, body)| head + body);
        let response = selected.respond(request, &reply.headers, Some(whole?))?;
        trail.phases.response_transform_us = trail.lap_us();
        return Ok(Answer::from_upstream(response, reply));
    }
    let response = selected.respond(request, &reply.headers, None)?;
    trail.phases.response_transform_us = trail.lap_us();
    Ok(Answer::from_upstream(response, reply))
}

/// The phases that need the head only.
async fn admit<'s>(
    shard: &Shard,
    visit: &'s Visit,
    request: &Request<'s>,
    trail: &mut Trail,
) -> Result<Admitted<'s>, Rejection> {
    let routed = visit.snapshot().route(request.address, request.verb)?;
    trail.routed(&routed);
    if visit.is_loop {
        return Err(Rejection::IntegrationFailure(Fault::Loop));
    }
    let is_forwarded = matches!(routed.plan(), Plan::Forward { .. });
    if !is_forwarded {
        trail.phases.route_us = trail.lap_us();
    }
    let authorized = authorize(routed, || request.api_key())?;
    trail.known = authorized.known();
    let arrived_ns = shard.monotonic_ns(visit.arrived);
    let mut passed = shard.admission.pass(authorized, arrived_ns);
    if passed.as_ref().is_err_and(is_starved) {
        passed = Box::pin(shard.admission.wait(authorized, arrived_ns)).await;
    }
    if authorized.has_limit_headers() {
        trail.quota = Some(Box::new(Budget::of(shard, &authorized)));
    }
    let admitted = passed?;
    if !is_forwarded {
        trail.phases.throttle_us = trail.lap_us();
    }
    Ok(admitted)
}

/// The call of a method that needs nothing but the request's head, written without a detour.
fn forward(shard: &Shard, visit: &Visit, request: &Request<'_>, admitted: &Admitted<'_>) -> Option<Wired> {
    let routed = admitted.routed();
    let Plan::Forward { target } = routed.plan() else { return None };
    let forward = admitted.forward()?;
    let place = (routed.stage_index(), routed.method_index());
    let pool = visit.view.pool(place, target, &shard.upstream)?;
    let (verb, facts) = (request.verb, &request.facts);
    let head = RawHead { verb, rest: request.rest(), query: request.query, fields: &[], raw: &[] };
    let sender = Sender {
        source_ip: facts.source_ip,
        scheme: facts.scheme,
        port: facts.port,
        trace_id: facts.trace_id.as_bytes(),
    };
    let mut lines = Vec::with_capacity(1_024);
    forward.write_map(&head, request.headers, &sender, &mut lines).ok()?;
    Some(Wired::new(pool, lines, forward.verb(verb), forward.timeout_ms(), true))
}
