//! Envoy: one worker, no statistics per request, circuit breakers out of the way.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::peers::{
    certificate::Certificate,
    gateway::{Door, GatewayError, LOCAL_BODY, Plan, Port, Route, Site, words},
};

const HTTP: &str = "type.googleapis.com/envoy.extensions.filters";

pub(super) fn plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let (http1, http2, tls) = (site.address()?, site.address()?, site.address()?);
    let (limited, cached) = (site.address()?, site.address()?);
    let document = json!({ "static_resources": {
        "listeners": [
            listener(http1, "HTTP1", None, None),
            listener(http2, "HTTP2", None, None),
            listener(tls, "AUTO", Some(site.certificate), None),
            listener(limited, "HTTP1", None, Some(limit())),
            listener(cached, "HTTP1", None, Some(cache())),
        ],
        "clusters": [cluster(site.origin)],
    }});
    let file = site.write("envoy.json", &format!("{document:#}"))?;
    let mut doors = Door::each(Port::Http1, http1, &[Route::Proxy, Route::Local]);
    doors.push(Door::new(Port::Http1, Route::Limited, limited));
    doors.push(Door::new(Port::Http1, Route::Cached, cached));
    doors.push(Door::new(Port::Http2, Route::Proxy, http2));
    doors.push(Door::new(Port::Tls, Route::Proxy, tls));
    let arguments = words([&"-c", &file, &"--concurrency", &"1", &"-l", &"error", &"--disable-hot-restart"]);
    Ok(Plan { arguments, environment: Vec::new(), doors, provision: None })
}

fn listener(
    address: SocketAddr,
    codec: &str,
    certificate: Option<&Certificate>,
    filter: Option<Value>,
) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": format!("{HTTP}.http.router.v3.Router"),
            "dynamic_stats": false,
            "suppress_envoy_headers": true,
        },
    });
    let filters: Vec<Value> = filter.into_iter().chain([router]).collect();
    let routes = json!([
        { "match": { "path": "/fixed" }, "direct_response": { "status": 200, "body": { "inline_string": LOCAL_BODY } } },
        { "match": { "prefix": "/" }, "route": { "cluster": "origin" } },
    ]);
    let connections = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": format!("{HTTP}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "http",
            "codec_type": codec,
            "use_remote_address": true,
            "generate_request_id": false,
            "http2_protocol_options": { "max_concurrent_streams": 256 },
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] },
            "http_filters": filters,
        },
    });
    let mut chain = json!({ "filters": [connections] });
    if let Some(certificate) = certificate {
        chain["transport_socket"] = tls(certificate);
    }
    json!({
        "name": format!("listener-{}", address.port()),
        "address": socket(address),
        "filter_chains": [chain],
        "enable_reuse_port": false,
    })
}

fn tls(certificate: &Certificate) -> Value {
    json!({
        "name": "tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": { "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3" },
                "tls_certificates": [{
                    "certificate_chain": { "filename": certificate.certificate },
                    "private_key": { "filename": certificate.key },
                }],
            },
        },
    })
}

/// One bucket per API key.
fn limit() -> Value {
    let bucket =
        |tokens: u32| json!({ "max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "1s" });
    let always = json!({ "default_value": { "numerator": 100 } });
    json!({
        "name": "envoy.filters.http.local_ratelimit",
        "typed_config": {
            "@type": format!("{HTTP}.http.local_ratelimit.v3.LocalRateLimit"),
            "stat_prefix": "limit",
            "token_bucket": bucket(4_000_000_000),
            "filter_enabled": always,
            "filter_enforced": always,
            "descriptors": [{ "entries": [{ "key": "api_key" }], "token_bucket": bucket(1_000_000) }],
            "always_consume_default_token_bucket": false,
            "rate_limits": [{
                "actions": [{ "request_headers": { "header_name": "x-api-key", "descriptor_key": "api_key" } }],
            }],
        },
    })
}

/// The one cache that Envoy comes with, in memory; it is not meant for production.
fn cache() -> Value {
    json!({
        "name": "envoy.filters.http.cache",
        "typed_config": {
            "@type": format!("{HTTP}.http.cache.v3.CacheConfig"),
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig",
            },
        },
    })
}

fn cluster(origin: SocketAddr) -> Value {
    let many =
        json!({ "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000 });
    let endpoint = json!({ "endpoint": { "address": socket(origin) } });
    json!({
        "name": "origin",
        "type": "STATIC",
        "circuit_breakers": { "thresholds": [many] },
        "load_assignment": { "cluster_name": "origin", "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
