//! The `$context` variables a format may use, and what a value of one can be. Knows nothing of requests and of lines.

use super::record::Record;

/// One value, not yet rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing is known; renders as `-`.
    Missing,
    /// Text from elsewhere, escaped for its place.
    Text(&'a [u8]),
    /// Text that the gateway itself made of letters, digits and signs that no style escapes.
    Own(&'a [u8]),
    /// Text that brings its own quotes, as `$context.error.messageString` does.
    Quoted(&'a [u8]),
    /// A number, never quoted.
    Number(u64),
    /// Milliseconds since 1970, shown in Common Log Format.
    Time(u64),
}

impl<'a> Value<'a> {
    /// Text from elsewhere, if there is any.
    #[inline]
    pub fn text<T: AsRef<[u8]> + ?Sized>(value: Option<&'a T>) -> Self {
        value.map_or(Self::Missing, |value| Self::Text(value.as_ref()))
    }

    /// Text that the gateway itself made, if there is any.
    #[inline]
    pub fn own<T: AsRef<[u8]> + ?Sized>(value: Option<&'a T>) -> Self {
        value.map_or(Self::Missing, |value| Self::Own(value.as_ref()))
    }

    /// Text with quotes of its own, if there is any.
    #[inline]
    pub fn quoted<T: AsRef<[u8]> + ?Sized>(value: Option<&'a T>) -> Self {
        value.map_or(Self::Missing, |value| Self::Quoted(value.as_ref()))
    }

    /// A number, if it is known.
    #[inline]
    pub fn number(value: Option<impl Into<u64>>) -> Self {
        value.map_or(Self::Missing, |value| Self::Number(value.into()))
    }
}

/// What is known about one answered request. A line asks for the values that its format shows, and for no others.
pub trait Facts {
    /// The value of a variable.
    fn value(&self, variable: Variable) -> Value<'_>;

    /// The value of `$context.authorizer.NAME` for a name that is no [`Variable`].
    fn authorizer(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }
}

macro_rules! variables {
    ($($variable:ident = $name:literal $(or $other:literal)*,)*) => {
        /// A variable, by what it shows: names that show the same are one variable.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Variable {
            $(#[doc = concat!("`$context.", $name, "`.")] $variable,)*
        }

        impl Variable {
            /// The variable of a name after `$context.`.
            pub(super) fn find(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $other)* => Some(Self::$variable),)*
                    _ => None,
                }
            }

            /// All of them, with their names.
            #[cfg(test)]
            pub(super) const ALL: &[(&'static str, Self)] =
                &[$(($name, Self::$variable), $(($other, Self::$variable),)*)*];
        }
    };
}

variables! {
    RequestId = "requestId",
    ExtendedRequestId = "extendedRequestId",
    SourceIp = "identity.sourceIp",
    UserAgent = "identity.userAgent",
    Caller = "identity.caller",
    User = "identity.user",
    UserArn = "identity.userArn",
    IdentityAccountId = "identity.accountId",
    AccessKey = "identity.accessKey",
    ApiKeyId = "identity.apiKeyId",
    ClientCertSubject = "identity.clientCert.subjectDN",
    RequestTime = "requestTime",
    RequestTimeEpoch = "requestTimeEpoch",
    HttpMethod = "httpMethod",
    Path = "path",
    ResourcePath = "resourcePath",
    ResourceId = "resourceId",
    RouteKey = "routeKey",
    Status = "status",
    Protocol = "protocol",
    ResponseLength = "responseLength" or "dataProcessed",
    ResponseLatency = "responseLatency",
    IntegrationLatency = "integrationLatency" or "integration.latency",
    IntegrationStatus = "integrationStatus" or "integration.status" or "integration.integrationStatus",
    IntegrationError = "integrationErrorMessage" or "integration.error",
    IntegrationRequestId = "integration.requestId",
    ApiId = "apiId",
    AccountId = "accountId",
    Stage = "stage",
    DeploymentId = "deploymentId",
    DomainName = "domainName",
    DomainPrefix = "domainPrefix",
    BasePathMatched = "customDomain.basePathMatched",
    ErrorMessage = "error.message",
    ErrorMessageString = "error.messageString",
    ErrorResponseType = "error.responseType",
    ErrorValidation = "error.validationErrorString",
    AuthorizerPrincipalId = "authorizer.principalId",
    AuthorizerError = "authorizer.error",
    AuthorizerStatus = "authorizer.status",
    AuthorizerLatency = "authorizer.latency",
    WafResponseCode = "wafResponseCode",
    XrayTraceId = "xrayTraceId",
    ConnectionId = "connectionId",
    EventType = "eventType",
    MessageId = "messageId",
    Region = "tidegate.region",
    Az = "tidegate.az",
    Node = "tidegate.node",
    Cache = "tidegate.cache",
    UpstreamAz = "tidegate.upstream.az",
    UpstreamAttempts = "tidegate.upstream.attempts",
    ThrottleLimit = "tidegate.throttle.limit",
    ThrottleReason = "tidegate.throttle.reason",
    ThrottleLease = "tidegate.throttle.lease",
    ThrottlePlan = "tidegate.throttle.plan",
    RouteUs = "tidegate.phase.route_us",
    AuthorizeUs = "tidegate.phase.authorize_us",
    ThrottleUs = "tidegate.phase.throttle_us",
    CacheUs = "tidegate.phase.cache_us",
    RequestTransformUs = "tidegate.phase.request_transform_us",
    IntegrateUs = "tidegate.phase.integrate_us",
    ResponseTransformUs = "tidegate.phase.response_transform_us",
    RespondUs = "tidegate.phase.respond_us",
}

impl Variable {
    /// Whether it has the same value for all requests of a node.
    pub(super) fn is_constant(self) -> bool {
        matches!(self, Self::Region | Self::Az | Self::Node)
    }

    /// Whether it shows bytes of the request's head. The method is not one: it is one of seven.
    pub(super) fn is_of_head(self) -> bool {
        matches!(
            self,
            Self::UserAgent | Self::Path | Self::DomainName | Self::DomainPrefix | Self::XrayTraceId
        )
    }
}

impl Facts for Record<'_> {
    fn value(&self, variable: Variable) -> Value<'_> {
        match variable {
            Variable::RequestId => Value::own(self.request_id),
            Variable::ExtendedRequestId => Value::own(self.extended_request_id),
            Variable::SourceIp => Value::own(self.source_ip),
            Variable::UserAgent => Value::text(self.user_agent),
            Variable::Caller => Value::text(self.caller),
            Variable::User => Value::text(self.user),
            Variable::UserArn => Value::text(self.user_arn),
            Variable::IdentityAccountId => Value::text(self.identity_account_id),
            Variable::AccessKey => Value::text(self.access_key),
            Variable::ApiKeyId => Value::text(self.api_key_id),
            Variable::ClientCertSubject => Value::text(self.client_cert_subject),
            Variable::RequestTime => self.request_time_ms.map_or(Value::Missing, Value::Time),
            Variable::RequestTimeEpoch => Value::number(self.request_time_ms),
            Variable::HttpMethod => Value::text(self.http_method),
            Variable::Path => Value::text(self.path),
            Variable::ResourcePath => Value::text(self.resource_path),
            Variable::ResourceId => Value::text(self.resource_id),
            Variable::RouteKey => Value::text(self.route_key),
            Variable::Status => Value::number(self.status),
            Variable::Protocol => Value::own(self.protocol),
            Variable::ResponseLength => Value::number(self.response_bytes),
            Variable::ResponseLatency => Value::number(self.response_latency_ms),
            Variable::IntegrationLatency => Value::number(self.integration_latency_ms),
            Variable::IntegrationStatus => Value::number(self.integration_status),
            Variable::IntegrationError => Value::text(self.integration_error),
            Variable::IntegrationRequestId => Value::text(self.integration_request_id),
            Variable::ApiId => Value::text(self.api_id),
            Variable::AccountId => Value::text(self.account_id),
            Variable::Stage => Value::text(self.stage),
            Variable::DeploymentId => Value::text(self.deployment_id),
            Variable::DomainName => Value::text(self.domain_name),
            Variable::DomainPrefix => Value::text(self.domain_prefix),
            Variable::BasePathMatched => Value::text(self.base_path_matched),
            Variable::ErrorMessage => Value::text(self.error_message),
            Variable::ErrorMessageString => Value::quoted(self.error_message),
            Variable::ErrorResponseType => Value::text(self.error_response_type),
            Variable::ErrorValidation => Value::text(self.error_validation),
            Variable::AuthorizerPrincipalId => Value::text(self.authorizer_principal_id),
            Variable::AuthorizerError => Value::text(self.authorizer_error),
            Variable::AuthorizerStatus => Value::number(self.authorizer_status),
            Variable::AuthorizerLatency => Value::number(self.authorizer_latency_ms),
            Variable::WafResponseCode => Value::text(self.waf_response_code),
            Variable::XrayTraceId => Value::text(self.xray_trace_id),
            Variable::ConnectionId => Value::text(self.connection_id),
            Variable::EventType => Value::text(self.event_type),
            Variable::MessageId => Value::text(self.message_id),
            Variable::Region => Value::text(self.region),
            Variable::Az => Value::text(self.az),
            Variable::Node => Value::text(self.node),
            Variable::Cache => Value::text(self.cache),
            Variable::UpstreamAz => Value::text(self.upstream_az),
            Variable::UpstreamAttempts => Value::number(self.upstream_attempts),
            Variable::RouteUs => Value::number(self.phases.route_us),
            Variable::AuthorizeUs => Value::number(self.phases.authorize_us),
            Variable::ThrottleLimit => Value::text(self.throttle_limit),
            Variable::ThrottleReason => Value::text(self.throttle_reason),
            Variable::ThrottleLease => Value::text(self.throttle_lease),
            Variable::ThrottlePlan => Value::text(self.throttle_plan),
            Variable::ThrottleUs => Value::number(self.phases.throttle_us),
            Variable::CacheUs => Value::number(self.phases.cache_us),
            Variable::RequestTransformUs => Value::number(self.phases.request_transform_us),
            Variable::IntegrateUs => Value::number(self.phases.integrate_us),
            Variable::ResponseTransformUs => Value::number(self.phases.response_transform_us),
            Variable::RespondUs => Value::number(self.phases.respond_us),
        }
    }

    fn authorizer(&self, name: &str) -> Option<&str> {
        self.authorizer.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}
