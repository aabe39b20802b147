//! Owns the names of headers that are known to change answers although no key holds them, and of those that are known not to.
//! Collected from what is public about poisoned caches, and from what frameworks, servers and proxies document. Must be sorted.

/// Headers that something behind a gateway is known to obey.
#[rustfmt::skip]
pub(super) const NAMED: [&str; 246] = [
    "accept-version", "ali-cdn-real-ip", "api-version", "base-url", "cdn-real-ip", "cdn-src-ip",
    "client-ip", "cluster-client-ip", "destination", "disguised-host", "fastly-host", "fastly-orig-host",
    "forwarded", "front-end-https", "front-end-proto", "host-override", "http-client-ip", "http-forwarded",
    "http-host", "http-host-override", "http-method-override", "http-referer", "http-url", "http-via",
    "http-x-forwarded-for", "http-x-forwarded-host", "https", "hx-boosted", "hx-current-url",
    "hx-history-restore-request", "hx-prompt", "hx-request", "hx-target", "hx-trigger", "hx-trigger-name",
    "method-override", "next-action", "next-hmr-refresh", "next-router-prefetch",
    "next-router-segment-prefetch", "next-router-state-tree", "next-url", "profile", "proxy", "proxy-host",
    "proxy-url", "real-ip", "redirect", "remote-addr", "remote-host", "request-uri", "rsc", "scheme",
    "source-ip", "ssl-https", "ssl-offloaded", "surrogate-capability", "translate", "turbo-frame", "uri",
    "url", "wap-profile", "was-default-hostname", "x-ab-test", "x-accel-internal", "x-accel-mapping",
    "x-accel-redirect", "x-admin", "x-api-version", "x-appservice-proto", "x-arr-log-id", "x-arr-ssl",
    "x-auth-user", "x-authenticated-user", "x-backend-host", "x-backend-server", "x-base-url",
    "x-client-cert", "x-client-dn", "x-client-verify", "x-cluster-client-ip", "x-context-path", "x-country",
    "x-country-code", "x-currency", "x-custom-ip-authorization", "x-debug", "x-dest", "x-destination",
    "x-device", "x-device-type", "x-drupal-cache", "x-env", "x-environment", "x-envoy-original-host",
    "x-envoy-original-method", "x-envoy-original-path", "x-envoy-upstream-alt-stat-name", "x-esi",
    "x-feature-flags", "x-forward", "x-forward-for", "x-forward-proto", "x-forwarded",
    "x-forwarded-access-token", "x-forwarded-by", "x-forwarded-client-cert", "x-forwarded-context",
    "x-forwarded-email", "x-forwarded-for-original", "x-forwarded-groups", "x-forwarded-host",
    "x-forwarded-host-original", "x-forwarded-method", "x-forwarded-path", "x-forwarded-preferred-username",
    "x-forwarded-prefix", "x-forwarded-protocol", "x-forwarded-query", "x-forwarded-remote-user",
    "x-forwarded-scheme", "x-forwarded-server", "x-forwarded-ssl", "x-forwarded-uri", "x-forwarded-url",
    "x-forwarded-user", "x-forwarder-for", "x-gateway-host", "x-geo-country", "x-geoip-country", "x-host",
    "x-host-name", "x-host-override", "x-http-host-override", "x-http-method", "x-http-method-override",
    "x-https", "x-inertia", "x-inertia-partial-data", "x-inertia-version", "x-ingress-path",
    "x-invoke-output", "x-invoke-path", "x-invoke-query", "x-invoke-status", "x-ip", "x-ip-access",
    "x-ip-address", "x-ip-trail", "x-lang", "x-language", "x-lfs-host", "x-livewire", "x-locale",
    "x-magento-vary", "x-matched-path", "x-method", "x-method-override", "x-middleware-invoke",
    "x-middleware-prefetch", "x-middleware-rewrite", "x-middleware-subrequest", "x-mobile",
    "x-ms-forwarded-host", "x-nextjs-data", "x-nextjs-rewrite", "x-now-route-matches", "x-nuxt-no-ssr",
    "x-operamini-phone", "x-operamini-phone-ua", "x-original-forwarded-host", "x-original-host",
    "x-original-method", "x-original-proto", "x-original-remote-addr", "x-original-scheme",
    "x-original-uri", "x-original-url", "x-originating-ip", "x-path", "x-path-info", "x-pjax",
    "x-pjax-container", "x-prerender-revalidate", "x-preview", "x-prop-ip", "x-protocol", "x-proxy-host",
    "x-proxy-url", "x-proxyuser-ip", "x-rack-override", "x-real-host", "x-redirect", "x-referer",
    "x-referrer", "x-remix-data", "x-remote-addr", "x-remote-host", "x-remote-ip", "x-remote-user",
    "x-remoteip", "x-replaced-path", "x-request-uri", "x-request-url", "x-requested-path", "x-rewrite-path",
    "x-rewrite-uri", "x-rewrite-url", "x-role", "x-roles", "x-root-path", "x-scheme", "x-script-name",
    "x-sendfile-type", "x-server-name", "x-servlet-path", "x-site-deployment-id", "x-source-ip", "x-ssl",
    "x-ssl-client-cert", "x-ssl-client-dn", "x-ssl-client-verify", "x-target-host", "x-target-path",
    "x-target-url", "x-tenant", "x-tenant-id", "x-timezone", "x-true-client-ip", "x-true-ip",
    "x-trusted-ip", "x-turbo-frame", "x-ua-device", "x-up-target", "x-uri", "x-url", "x-url-scheme",
    "x-user", "x-user-agent", "x-user-id", "x-username", "x-variant", "x-version", "x-wap-profile",
    "x-webauth-user", "x-wp-nonce",
];

/// Headers with `x-` that clients, meshes and other networks send with requests of every kind, and that answers do not depend on.
#[rustfmt::skip]
pub(super) const HARMLESS: [&str; 48] = [
    "x-akamai-config-log-detail", "x-api-key", "x-azure-clientip", "x-azure-fdid", "x-azure-ref",
    "x-azure-socketip", "x-cloud-trace-context", "x-correlation-id", "x-correlationid", "x-csrf-token",
    "x-csrftoken", "x-dynatrace", "x-envoy-attempt-count", "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms", "x-envoy-external-address", "x-envoy-internal",
    "x-envoy-peer-metadata", "x-envoy-peer-metadata-id", "x-forwarded-for", "x-forwarded-port",
    "x-forwarded-proto", "x-goog-api-client", "x-honeycomb-trace", "x-instana-l", "x-instana-s",
    "x-instana-t", "x-moz", "x-ms-client-request-id", "x-newrelic-id", "x-newrelic-transaction",
    "x-ot-span-context", "x-purpose", "x-queue-start", "x-real-ip", "x-request-id", "x-request-start",
    "x-requested-with", "x-requestid", "x-session-trace", "x-span-id", "x-start-time",
    "x-tidegate-cache-status", "x-trace-id",
    "x-traceid", "x-transaction-id", "x-varnish", "x-xsrf-token",
];

/// What such headers begin with.
pub(super) const HARMLESS_STARTS: [&str; 8] =
    ["x-amz-", "x-amzn-", "x-b3-", "x-client-", "x-datadog-", "x-dd-", "x-sdk-", "x-stainless-"];
