//! Puts the subscriber together: a log layer with a filter that can be changed, and a span layer when spans are exported.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::client::{Client, ExportCounters, Outcomes};
use super::options::{Error, LogFormat, Options};
use super::propagation::TraceParent;
use crate::limits::{EXPORT_SHUTDOWN_TIMEOUT_MS, SPAN_BATCH_MAX, SPAN_QUEUE_MAX};

/// Keeps logs and traces going; dropping it sends the last spans. Drop it outside of asynchronous code.
pub struct Guard {
    filter: reload::Handle<EnvFilter, Registry>,
    provider: Option<SdkTracerProvider>,
    outcomes: Arc<Outcomes>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Guard")
            .field("is_exporting", &self.provider.is_some())
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// Changes what is logged, for example when the node's settings are read again.
    ///
    /// # Errors
    /// [`Error::Option`] when the filter cannot be parsed; the old one stays. [`Error::Gone`] when the subscriber was dropped.
    pub fn set_log_filter(&self, filter: &str) -> Result<(), Error> {
        let parsed = parse_filter("log_filter", filter)?;
        self.filter.reload(parsed).map_err(|_| Error::Gone)
    }

    /// Sends the spans that are waiting; blocks the calling thread.
    pub fn flush(&self) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.force_flush()
        {
            tracing::debug!(%error, "spans cannot be flushed");
        }
    }

    /// How exporting has gone.
    pub fn export_counters(&self) -> ExportCounters {
        self.outcomes.counters()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            let bound = Duration::from_millis(EXPORT_SHUTDOWN_TIMEOUT_MS);
            if let Err(error) = provider.shutdown_with_timeout(bound) {
                tracing::warn!(%error, "the last spans may be lost");
            }
        }
    }
}

/// Sets up logs and traces for the whole process; to be called once, first thing in `main`.
///
/// # Errors
/// [`Error`] for broken options, and when the process already has a subscriber.
pub fn init(options: &Options) -> Result<Guard, Error> {
    let (dispatch, guard) = prepare(options)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| Error::AlreadySet)?;
    Ok(guard)
}

/// Like [`init`] without touching the process: the caller decides where the subscriber applies.
///
/// # Errors
/// [`Error`] for broken options.
pub fn prepare(options: &Options) -> Result<(Dispatch, Guard), Error> {
    options.check()?;
    let (filter, handle) = reload::Layer::new(parse_filter("log_filter", &options.log_filter)?);
    let logs = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let logs = match options.log_format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    let outcomes = Arc::new(Outcomes::default());
    let provider = provider(options, &outcomes)?;
    let spans = match &provider {
        Some(provider) => {
            let filter = parse_filter("otlp_filter", &options.otlp_filter)?;
            let tracer = provider.tracer("tidegate");
            Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter))
        }
        None => None,
    };
    let subscriber = Registry::default().with(logs.with_filter(filter)).with(spans);
    Ok((Dispatch::new(subscriber), Guard { filter: handle, provider, outcomes }))
}

/// Makes a span the child of the caller's span.
pub fn adopt(span: &Span, parent: &TraceParent) {
    let context = SpanContext::new(
        TraceId::from(parent.trace_id),
        SpanId::from(parent.parent_id),
        if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
        true,
        TraceState::default(),
    );
    if let Err(error) = span.set_parent(Context::new().with_remote_span_context(context)) {
        tracing::trace!(%error, "span has no parent to take");
    }
}

/// The position of a span, to be sent to an upstream; `None` when spans are not exported.
pub fn current(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| TraceParent {
        trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
        parent_id: u64::from_be_bytes(context.span_id().to_bytes()),
        is_sampled: context.is_sampled(),
    })
}

fn parse_filter(field: &'static str, filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(filter).map_err(|_| Error::Option {
        field,
        value: filter.to_owned(),
        rule: "a list of [target=]level",
    })
}

fn provider(options: &Options, outcomes: &Arc<Outcomes>) -> Result<Option<SdkTracerProvider>, Error> {
    let Some(endpoint) = options.traces_endpoint()? else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::start(Arc::clone(outcomes))?)
        .with_endpoint(endpoint)
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(SPAN_QUEUE_MAX)
        .with_max_export_batch_size(SPAN_BATCH_MAX)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(options.sample_ratio))))
        .with_resource(resource(options))
        .build();
    Ok(Some(provider))
}

/// Who sends the spans, in OpenTelemetry's names.
fn resource(options: &Options) -> Resource {
    let facts = [
        ("service.version", &options.service_version),
        ("service.instance.id", &options.service_instance),
        ("cloud.region", &options.region),
        ("cloud.availability_zone", &options.az),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    Resource::builder_empty()
        .with_service_name("tidegate")
        .with_attributes(known.map(|(name, value)| KeyValue::new(name, value.clone())))
        .build()
}
