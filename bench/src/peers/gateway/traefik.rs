//! Traefik: one processor for Go, its fast proxy, no metrics, no log.

use crate::peers::gateway::{Door, GatewayError, Plan, Port, Route, Site, words};

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let (http, tls) = (site.address()?, site.address()?);
    let origin = site.origin;
    let (certificate, key) = (site.certificate.certificate.display(), site.certificate.key.display());
    let dynamic = format!(
        "http:
  routers:
    plain: {{rule: 'PathPrefix(`/`)', service: origin, entryPoints: [web]}}
    secure: {{rule: 'PathPrefix(`/`)', service: origin, entryPoints: [secure], tls: {{}}}}
    limited: {{rule: 'Path(`/limited`)', service: origin, entryPoints: [web], middlewares: [limit]}}
  middlewares:
    limit: {{rateLimit: {{average: 1000000, burst: 100000, sourceCriterion: {{requestHeaderName: X-Api-Key}}}}}}
  services:
    origin: {{loadBalancer: {{servers: [{{url: 'http://{origin}'}}]}}}}
tls:
  certificates: [{{certFile: {certificate}, keyFile: {key}}}]
  stores: {{default: {{defaultCertificate: {{certFile: {certificate}, keyFile: {key}}}}}}}
"
    );
    let dynamic = site.write("dynamic.yml", &dynamic)?;
    let dynamic = dynamic.display();
    let fixed = format!(
        "global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
entryPoints:
  web: {{address: '{http}', http2: {{maxConcurrentStreams: 256}}, transport: {{keepAliveMaxRequests: 0}}}}
  secure: {{address: '{tls}'}}
providers: {{file: {{filename: {dynamic}, watch: false}}}}
serversTransport: {{maxIdleConnsPerHost: 1024}}
experimental: {{fastProxy: {{}}}}
"
    );
    let file = site.write("traefik.yml", &fixed)?;
    let mut doors = Door::each(Port::Http1, http, &[Route::Proxy, Route::Limited]);
    doors.push(Door::new(Port::Http2, Route::Proxy, http));
    doors.push(Door::new(Port::Tls, Route::Proxy, tls).below("localhost", ""));
    let arguments = words([&format!("--configFile={}", file.display())]);
    let environment = vec![("GOMAXPROCS".to_owned(), "1".into())];
    Ok(Plan { arguments, environment, doors, provision: None })
}
