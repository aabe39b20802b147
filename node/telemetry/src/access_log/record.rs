//! What is known about one answered request. A plain struct of borrowed values: filling it allocates nothing, and what a client
//! sent is taken as the bytes it sent.

/// Durations of the phases of the request line, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct PhaseTimes {
    /// Finding the route.
    pub route_us: Option<u64>,
    /// Authorization, calls to authorizers included.
    pub authorize_us: Option<u64>,
    /// Rate limits and quotas.
    pub throttle_us: Option<u64>,
    /// Cache lookup.
    pub cache_us: Option<u64>,
    /// Mapping the request.
    pub request_transform_us: Option<u64>,
    /// Waiting for the integration.
    pub integrate_us: Option<u64>,
    /// Mapping the response.
    pub response_transform_us: Option<u64>,
    /// Rendering the answer.
    pub respond_us: Option<u64>,
}

/// One line's worth of facts, named after AWS's `$context` variables. `None` renders as `-`.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    /// `$context.requestId`; made by the gateway, so it is not escaped.
    pub request_id: Option<&'a [u8]>,
    /// `$context.extendedRequestId`; made by the gateway, so it is not escaped.
    pub extended_request_id: Option<&'a [u8]>,
    /// `$context.identity.sourceIp`: an address as text, so it is not escaped.
    pub source_ip: Option<&'a [u8]>,
    /// `$context.identity.userAgent`.
    pub user_agent: Option<&'a [u8]>,
    /// `$context.identity.caller`.
    pub caller: Option<&'a str>,
    /// `$context.identity.user`.
    pub user: Option<&'a str>,
    /// `$context.identity.userArn`.
    pub user_arn: Option<&'a str>,
    /// `$context.identity.accountId`.
    pub identity_account_id: Option<&'a str>,
    /// `$context.identity.accessKey`.
    pub access_key: Option<&'a str>,
    /// `$context.identity.apiKeyId`; the key itself is never logged.
    pub api_key_id: Option<&'a str>,
    /// `$context.identity.clientCert.subjectDN`.
    pub client_cert_subject: Option<&'a str>,
    /// Arrival in milliseconds since 1970, for `$context.requestTime` and `$context.requestTimeEpoch`.
    pub request_time_ms: Option<u64>,
    /// `$context.httpMethod`.
    pub http_method: Option<&'a [u8]>,
    /// `$context.path`: the requested path, stage included.
    pub path: Option<&'a [u8]>,
    /// `$context.resourcePath`.
    pub resource_path: Option<&'a str>,
    /// `$context.resourceId`.
    pub resource_id: Option<&'a str>,
    /// `$context.routeKey`.
    pub route_key: Option<&'a str>,
    /// `$context.status`.
    pub status: Option<u16>,
    /// `$context.protocol`, such as `HTTP/1.1`; made by the gateway, so it is not escaped.
    pub protocol: Option<&'a str>,
    /// `$context.responseLength`, in bytes.
    pub response_bytes: Option<u64>,
    /// `$context.responseLatency`, in milliseconds.
    pub response_latency_ms: Option<u64>,
    /// `$context.integrationLatency`, in milliseconds.
    pub integration_latency_ms: Option<u64>,
    /// `$context.integration.status` and `$context.integrationStatus`.
    pub integration_status: Option<u16>,
    /// `$context.integration.error` and `$context.integrationErrorMessage`.
    pub integration_error: Option<&'a str>,
    /// `$context.integration.requestId`.
    pub integration_request_id: Option<&'a str>,
    /// `$context.apiId`.
    pub api_id: Option<&'a str>,
    /// `$context.accountId`.
    pub account_id: Option<&'a str>,
    /// `$context.stage`.
    pub stage: Option<&'a str>,
    /// `$context.deploymentId`.
    pub deployment_id: Option<&'a str>,
    /// `$context.domainName`.
    pub domain_name: Option<&'a [u8]>,
    /// `$context.domainPrefix`.
    pub domain_prefix: Option<&'a [u8]>,
    /// `$context.customDomain.basePathMatched`.
    pub base_path_matched: Option<&'a str>,
    /// `$context.error.message` and, quoted, `$context.error.messageString`.
    pub error_message: Option<&'a str>,
    /// `$context.error.responseType`.
    pub error_response_type: Option<&'a str>,
    /// `$context.error.validationErrorString`.
    pub error_validation: Option<&'a str>,
    /// `$context.authorizer.principalId`.
    pub authorizer_principal_id: Option<&'a str>,
    /// `$context.authorizer.error`.
    pub authorizer_error: Option<&'a str>,
    /// `$context.authorizer.status`.
    pub authorizer_status: Option<u16>,
    /// `$context.authorizer.latency`, in milliseconds.
    pub authorizer_latency_ms: Option<u64>,
    /// Other `$context.authorizer.*` values, `claims.*` included, by the name after `authorizer.`.
    pub authorizer: &'a [(&'a str, &'a str)],
    /// `$context.wafResponseCode`.
    pub waf_response_code: Option<&'a str>,
    /// `$context.xrayTraceId`.
    pub xray_trace_id: Option<&'a [u8]>,
    /// `$context.connectionId` (WebSocket).
    pub connection_id: Option<&'a str>,
    /// `$context.eventType` (WebSocket).
    pub event_type: Option<&'a str>,
    /// `$context.messageId` (WebSocket).
    pub message_id: Option<&'a str>,
    /// `$context.tidegate.region`.
    pub region: Option<&'a str>,
    /// `$context.tidegate.az`.
    pub az: Option<&'a str>,
    /// `$context.tidegate.node`.
    pub node: Option<&'a str>,
    /// `$context.tidegate.throttle.limit`: what the limit that refused is on.
    pub throttle_limit: Option<&'a str>,
    /// `$context.tidegate.throttle.reason`: why it refused.
    pub throttle_reason: Option<&'a str>,
    /// `$context.tidegate.throttle.lease`: the node's session with the ledger of that limit.
    pub throttle_lease: Option<&'a str>,
    /// `$context.tidegate.throttle.plan`: the usage plan of that limit; with the API key, the stage and the method it is named.
    pub throttle_plan: Option<&'a str>,
    /// `$context.tidegate.cache`: `hit`, `miss`, `stale`, `coalesced`, `bypass`, or nothing where caching is off.
    pub cache: Option<&'a str>,
    /// `$context.tidegate.upstream.az`: the availability zone of the target that the call was tried at last, where that is known.
    pub upstream_az: Option<&'a str>,
    /// `$context.tidegate.upstream.attempts`: how often the call was tried.
    pub upstream_attempts: Option<u16>,
    /// `$context.tidegate.phase.*`.
    pub phases: PhaseTimes,
}
