//! Varnish: caches what is to be cached, and passes every other request through, so that it is compared as a proxy there.

use crate::peers::gateway::{Door, GatewayError, Plan, Port, Route, Site, words};

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let http = site.address()?;
    let (ip, port) = (site.origin.ip(), site.origin.port());
    let text = format!(
        r#"vcl 4.1;
backend default {{ .host = "{ip}"; .port = "{port}"; }}
sub vcl_recv {{
  unset req.http.Accept-Encoding;
  if (req.url ~ "^/cached/") {{ return (hash); }}
  return (pass);
}}
"#
    );
    let file = site.write("default.vcl", &text)?;
    let state = site.folder.join("state");
    let mut doors = Door::each(Port::Http1, http, &[Route::Proxy, Route::Cached]);
    doors.push(Door::new(Port::Http2, Route::Proxy, http));
    let address = http.to_string();
    let mut arguments =
        words([&"-F", &"-n", &state, &"-a", &address, &"-f", &file, &"-s", &"malloc,64M", &"-j", &"none"]);
    for setting in ["thread_pools=1", "thread_pool_min=80", "timeout_idle=3600", "feature=+http2"] {
        arguments.extend(words([&"-p", &setting]));
    }
    Ok(Plan { arguments, environment: Vec::new(), doors, provision: None })
}
