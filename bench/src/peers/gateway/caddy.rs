//! Caddy: one processor for Go, no administration, no automatic certificates.

use crate::peers::gateway::{Door, GatewayError, LOCAL_BODY, Plan, Port, Route, Site, words};

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let (http, tls) = (site.address()?, site.address()?);
    let (http_port, tls_port) = (http.port(), tls.port());
    let (certificate, key) = (site.certificate.certificate.display(), site.certificate.key.display());
    let origin = site.origin;
    let proxy = format!(
        "reverse_proxy {origin} {{
    transport http {{
      keepalive_idle_conns_per_host 1024
    }}
  }}"
    );
    let text = format!(
        "{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
  servers {{
    protocols h1 h2 h2c
  }}
}}
http://:{http_port} {{
  bind 127.0.0.1
  respond /fixed `{LOCAL_BODY}` 200
  {proxy}
}}
https://localhost:{tls_port} {{
  bind 127.0.0.1
  tls {certificate} {key}
  {proxy}
}}
"
    );
    let file = site.write("Caddyfile", &text)?;
    let mut doors = Door::each(Port::Http1, http, &[Route::Proxy, Route::Local]);
    doors.push(Door::new(Port::Http2, Route::Proxy, http));
    doors.push(Door::new(Port::Tls, Route::Proxy, tls).below("localhost", ""));
    let home = site.folder.as_os_str().to_owned();
    let environment = vec![
        ("GOMAXPROCS".to_owned(), "1".into()),
        ("HOME".to_owned(), home.clone()),
        ("XDG_DATA_HOME".to_owned(), home.clone()),
        ("XDG_CONFIG_HOME".to_owned(), home),
    ];
    let arguments = words([&"run", &"--config", &file, &"--adapter", &"caddyfile"]);
    Ok(Plan { arguments, environment, doors, provision: None })
}
