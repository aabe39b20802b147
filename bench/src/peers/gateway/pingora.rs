//! Pingora, as the small proxy that `bench/pingora` builds from its crates: one thread, a pool of 1024 connections.

use crate::peers::gateway::{Door, GatewayError, LOCAL_BODY, Plan, Port, Route, Site, words};

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let http = site.address()?;
    let body = site.write("body.json", LOCAL_BODY)?;
    let mut doors = Door::each(Port::Http1, http, &[Route::Proxy, Route::Local, Route::Limited]);
    doors.push(Door::new(Port::Http2, Route::Proxy, http));
    let arguments = words([&http.to_string(), &site.origin.to_string(), &body]);
    Ok(Plan { arguments, environment: Vec::new(), doors, provision: None })
}
