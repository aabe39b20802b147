//! HAProxy: one thread, connections to the origin reused always.

use crate::peers::gateway::{Door, GatewayError, LOCAL_BODY, Plan, Port, Route, Site, words};

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let (http1, http2, tls) = (site.address()?, site.address()?, site.address()?);
    let (origin, pem) = (site.origin, site.certificate.both.display().to_string());
    let body = site.write("body.json", LOCAL_BODY)?;
    let body = body.display();
    let text = format!(
        "global
  nbthread 1
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout client 3600s
  timeout server 3600s
  timeout connect 5s
  timeout http-keep-alive 3600s
  option http-keep-alive
  option forwardfor
  http-reuse always
frontend front
  bind {http1}
  bind {http2} proto h2
  bind {tls} ssl crt {pem} alpn h2,http/1.1
  http-request return status 200 content-type application/json file {body} if {{ path /fixed }}
  use_backend limited if {{ path /limited }}
  use_backend cached if {{ path_beg /cached/ }}
  default_backend plain
backend plain
  server origin {origin} pool-max-conn 1000
backend limited
  stick-table type string len 32 size 100k expire 60s store http_req_rate(1s)
  http-request track-sc0 hdr(x-api-key)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000 }}
  server origin {origin} pool-max-conn 1000
cache answers
  total-max-size 64
  max-object-size 2000000
  max-age 3600
backend cached
  http-request cache-use answers
  http-response cache-store answers
  server origin {origin} pool-max-conn 1000
"
    );
    let file = site.write("haproxy.cfg", &text)?;
    let mut doors =
        Door::each(Port::Http1, http1, &[Route::Proxy, Route::Local, Route::Limited, Route::Cached]);
    doors.push(Door::new(Port::Http2, Route::Proxy, http2));
    doors.push(Door::new(Port::Tls, Route::Proxy, tls));
    Ok(Plan { arguments: words([&"-db", &"-f", &file]), environment: Vec::new(), doors, provision: None })
}
