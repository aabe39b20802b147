//! nginx: one worker, no access log, keep-alive to the origin, cached answers in files in memory that stay open.

use crate::peers::gateway::{Door, GatewayError, LOCAL_BODY, Plan, Port, Route, Site, words};

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let (http1, http2, tls) = (site.address()?, site.address()?, site.address()?);
    let (origin, folder) = (site.origin, site.folder.display());
    let (certificate, key) = (site.certificate.certificate.display(), site.certificate.key.display());
    let text = format!(
        r#"worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  default_type application/json;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  client_body_temp_path {folder}/client;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  limit_req_zone $http_x_api_key zone=keys:10m rate=1000000r/s;
  proxy_cache_path {folder}/cache keys_zone=cached:10m inactive=1h;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.3;
  ssl_session_cache off;
  ssl_session_tickets on;
  upstream origin {{ server {origin}; keepalive 1024; keepalive_requests 100000000; keepalive_timeout 3600s; }}
  server {{
    listen {http1};
    listen {http2} http2;
    listen {tls} ssl http2;
    location / {{ proxy_pass http://origin; }}
    location = /fixed {{ return 200 '{LOCAL_BODY}'; }}
    location = /limited {{ limit_req zone=keys burst=100000 nodelay; proxy_pass http://origin; }}
    location /cached/ {{
      proxy_cache cached;
      proxy_cache_lock on;
      open_file_cache max=1000 inactive=1h;
      proxy_pass http://origin;
    }}
  }}
}}
"#
    );
    let file = site.write("nginx.conf", &text)?;
    let mut doors =
        Door::each(Port::Http1, http1, &[Route::Proxy, Route::Local, Route::Limited, Route::Cached]);
    doors.push(Door::new(Port::Http2, Route::Proxy, http2));
    doors.push(Door::new(Port::Tls, Route::Proxy, tls));
    let arguments = words([&"-p", &site.folder, &"-e", &"stderr", &"-c", &file]);
    Ok(Plan { arguments, environment: Vec::new(), doors, provision: None })
}
