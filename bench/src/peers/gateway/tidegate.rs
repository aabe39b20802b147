//! Tidegate: the real binary as a single-node cluster, set up through its own control plane.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::peers::gateway::{
    CACHED_PATH, Door, GatewayError, LIMITED_PATH, LOCAL_BODY, LOCAL_PATH, PROXY_PATH, Plan, Port, Route,
    Site, provision::Provision, words,
};

/// The Common Log Format as AWS's console offers it: what the peers write where they log.
const ACCESS_LOG_FORMAT: &str = concat!(
    "$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] ",
    r#""$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength "#,
    "$context.requestId $context.extendedRequestId",
);

/// How much of Tidegate is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// 200 routes, access log, a ceiling on requests per second; metrics and request ids cannot be switched off.
    Full,
    /// As few routes as the scenarios need, no access log, no ceiling.
    Bare,
}

/// Routes of the full extent.
const ROUTES: usize = 200;
/// Never reached, but counted for each request.
const REQUESTS_PER_SECOND_MAX: u32 = 4_000_000;
/// Where the access log goes, in the gateway's folder.
pub(crate) const ACCESS_LOG: &str = "access.log";
const ACCESS_KEY_ID: &str = "AKIABENCHBENCHBENCH2";
const SECRET_ACCESS_KEY: &str = "bench-bench-bench-bench-bench-bench-2222";
const REGION: &str = "local-1";
const STAGE: &str = "prod";

pub(super) fn plan(site: &mut Site<'_>, extent: Extent) -> Result<Plan, GatewayError> {
    let (gateway, tls, control, admin) = (site.address()?, site.address()?, site.address()?, site.address()?);
    let secret = site.write("secret", SECRET_ACCESS_KEY)?;
    let (data, secret) = (site.folder.join("data"), secret.display());
    let (data, log) = (data.display(), site.folder.join(ACCESS_LOG));
    let (ceiling, log) = match extent {
        Extent::Full => (
            REQUESTS_PER_SECOND_MAX,
            format!("access_log = \"{}\"\naccess_log_format = '{ACCESS_LOG_FORMAT}'", log.display()),
        ),
        Extent::Bare => (0, String::new()),
    };
    let text = format!(
        r#"[node]
region = "{REGION}"
az = "{REGION}a"
data_dir = "{data}"
[cluster]
listen = "{control}"
bootstrap = true
[control]
listen = "{control}"
root_access_key_id = "{ACCESS_KEY_ID}"
root_secret_access_key_file = "{secret}"
[gateway]
listen = "{gateway}"
tls_listen = "{tls}"
shards = 1
requests_per_second_max = {ceiling}
[admin]
listen = "{admin}"
[telemetry]
log = "warn"
{log}
"#
    );
    let file = site.write("node.toml", &text)?;
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|reason| GatewayError::File { path: path.to_owned(), reason })
    };
    let provision = Provision {
        gateway,
        tls,
        chain_pem: read(&site.certificate.certificate)?,
        key_pem: read(&site.certificate.key)?,
        endpoint: tidegate_cli::Endpoint {
            url: format!("http://{control}"),
            region: REGION.into(),
            access_key_id: ACCESS_KEY_ID.into(),
            secret_access_key: SECRET_ACCESS_KEY.into(),
        },
        document: document(&format!("http://{}", site.origin), extent),
        stage: STAGE,
        routes: match extent {
            Extent::Full => &[Route::Proxy, Route::Local, Route::Limited, Route::Cached],
            Extent::Bare => &[Route::Proxy, Route::Local, Route::Cached],
        },
        settings: settings(),
    };
    let arguments = words([&"node", &"--config", &file]);
    Ok(Plan { arguments, environment: Vec::new(), doors: Vec::new(), provision: Some(provision) })
}

/// Ways in: the plain listener and the one for TLS both speak HTTP/1.1 and HTTP/2.
pub(super) fn doors(provision: &Provision, api: &str) -> Vec<Door> {
    let (host, prefix) = (format!("{api}.execute-api.localhost"), format!("/{}", provision.stage));
    let http1 = Door::each(Port::Http1, provision.gateway, provision.routes);
    let http2 = Door::each(Port::Http2, provision.gateway, &[Route::Proxy]);
    let tls = Door::each(Port::Tls, provision.tls, &[Route::Proxy]);
    http1.into_iter().chain(http2).chain(tls).map(|door| door.below(&host, &prefix)).collect()
}

/// The API as OpenAPI with the extensions of Amazon API Gateway.
fn document(origin: &str, extent: Extent) -> Value {
    let mut paths = Map::new();
    let item = PROXY_PATH.split("42").next().unwrap_or_default();
    paths.insert(format!("{item}{{id}}"), proxy(&format!("{origin}{item}{{id}}"), true));
    paths.insert(LOCAL_PATH.into(), json!({ "get": mock() }));
    let mut cached = proxy(&format!("{origin}{}", cached_resource()), true);
    let method = cached["x-amazon-apigateway-any-method"].take();
    paths.insert(cached_resource(), json!({ "get": method }));
    if extent == Extent::Full {
        paths.insert(LIMITED_PATH.into(), proxy(&format!("{origin}{LIMITED_PATH}"), false));
        for number in paths.len()..ROUTES {
            let path = format!("/api/v1/collection-{number:03}/{{id}}");
            paths.insert(path.clone(), proxy(&format!("{origin}{path}"), true));
        }
    }
    json!({ "openapi": "3.0.1", "info": { "title": "bench", "version": "1" }, "paths": paths })
}

/// Settings of the stage: a cache of the smallest size, for one method alone.
fn settings() -> Vec<(String, &'static str)> {
    let method = format!("/{}/GET", cached_resource().replace('/', "~1"));
    vec![
        ("/cacheClusterSize".into(), "0.5"),
        ("/cacheClusterEnabled".into(), "true"),
        (format!("{method}/caching/ttlInSeconds"), "3600"),
        (format!("{method}/caching/enabled"), "true"),
        // Any setting of a method brings AWS's rate of 10,000 per second with it.
        (format!("{method}/throttling/rateLimit"), "-1"),
        (format!("{method}/throttling/burstLimit"), "-1"),
    ]
}

/// The resource whose answers are cached.
fn cached_resource() -> String {
    CACHED_PATH.replace('0', "{id}")
}

fn proxy(uri: &str, has_id: bool) -> Value {
    let mut integration = json!({ "type": "http_proxy", "httpMethod": "ANY", "uri": uri });
    let mut method = json!({ "responses": {} });
    if has_id {
        integration["requestParameters"] = json!({ "integration.request.path.id": "method.request.path.id" });
        method["parameters"] =
            json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    }
    method["x-amazon-apigateway-integration"] = integration;
    json!({ "x-amazon-apigateway-any-method": method })
}

fn mock() -> Value {
    json!({
        "responses": { "200": { "description": "ok" } },
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": { "application/json": r#"{"statusCode": 200}"# },
            "responses": {
                "default": { "statusCode": "200", "responseTemplates": { "application/json": LOCAL_BODY } },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_extent_has_200_routes() {
        let paths = |extent| document("http://127.0.0.1:1", extent)["paths"].as_object().unwrap().len();
        assert_eq!((paths(Extent::Full), paths(Extent::Bare)), (ROUTES, 3));
        let text = document("http://127.0.0.1:1", Extent::Full).to_string();
        assert!(text.contains("\"http://127.0.0.1:1/api/v1/items/{id}\""), "{text}");
    }
}
