//! Traces for OpenTelemetry: a span for each request, job and attempt, and below it one for each statement. They go to a
//! collector by OTLP over HTTP, in the background and in batches; without one in the settings no span is made.
//!
//! No value of a statement and no variable of a request is in them.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, Response};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use tokio::runtime::Handle;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::web;

/// What spans that are traced are made under.
pub const TARGET: &str = "kith::span";

/// Of a statement's text so many characters are told.
const LONGEST: usize = 8_000;

/// How long the collector may take, also at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where traces go, and how many.
pub struct Collector<'a> {
    /// Without the path `/v1/traces`.
    pub endpoint: &'a str,
    /// As `name=value`, separated by commas.
    pub headers: &'a str,
    pub service: &'a str,
    /// Of a thousand traces that begin here, so many are kept.
    pub per_mille: u16,
}

/// What makes spans into traces; ended when the process ends.
#[derive(Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to collect. Needs a runtime, on which the requests to the collector are made.
    pub fn begin(collector: &Collector<'_>) -> Result<Self, String> {
        let client = web::client(PATIENCE).map_err(|e| e.to_string())?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { client, runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", collector.endpoint.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .with_headers(headers(collector.headers)?)
            .build()
            .map_err(|e| e.to_string())?;
        #[expect(clippy::float_arithmetic, reason = "a share, as the sampler wants it")]
        let ratio = f64::from(collector.per_mille) / 1_000.0;
        let resource = Resource::builder()
            .with_service_name(collector.service.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Chosen(Sampler::TraceIdRatioBased(ratio)))
            .with_resource(resource)
            .build();
        Ok(Self { provider })
    }

    /// What a subscriber takes spans with.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("kith"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layer.with_filter(only_spans())
    }

    /// Sends what is left.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(PATIENCE));
        if let Ok(Err(error)) = ended.await {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// Which traces are kept. What is below a span of this process goes with it. A caller with a trace of their own may leave
/// theirs out; of the others the same share is kept, by their ids, as of those that begin here.
#[derive(Clone, Debug)]
struct Chosen(Sampler);

impl ShouldSample for Chosen {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let above = parent.map(|parent| parent.span().span_context().clone()).filter(SpanContext::is_valid);
        match above {
            Some(above) if above.is_remote() && above.is_sampled() => self.0.should_sample(parent, trace, name, kind, attributes, links),
            Some(above) => SamplingResult {
                decision: if above.is_sampled() { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
                attributes: Vec::new(),
                trace_state: above.trace_state().clone(),
            },
            None => self.0.should_sample(parent, trace, name, kind, attributes, links),
        }
    }
}

fn only_spans() -> FilterFn {
    filter_fn(is_traced as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

/// Whether something is for traces, and not for the log.
pub fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TARGET
}

/// The span of a request; the caller's own trace, if they name one (`traceparent`), goes on in it.
pub fn of_request(headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "graphql",
        otel.kind = "server",
        // Of which type it is, which would be a better name, is known only later.
        otel.name = "GraphQL Operation",
        otel.status_code = tracing::field::Empty,
        graphql.operation.type = tracing::field::Empty,
        graphql.operation.name = tracing::field::Empty,
        error.type = tracing::field::Empty,
    );
    if !span.is_disabled() && headers.contains_key("traceparent") {
        // It is set once, before anything is done in the span, so nothing keeps it from being set.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Brought(headers)));
    }
    span
}

/// The span that runs is the one of this operation of a document.
pub fn name_operation(name: Option<&str>) {
    if let Some(name) = name {
        Span::current().record("graphql.operation.name", name);
    }
}

/// The span of a statement, below the one that runs; there is none for what is done for nobody in particular, such as
/// looking whether there is something to do.
pub fn of_statement(system: &'static str, sql: &str) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    let cut = sql.char_indices().nth(LONGEST).map_or(sql.len(), |(at, _)| at);
    tracing::info_span!(
        target: TARGET,
        "statement",
        otel.kind = "client",
        otel.name = sql.split_whitespace().next().unwrap_or_default(),
        db.system.name = system,
        db.query.text = &sql[..cut],
    )
}

/// The span of what is done beside the requests, by its kind: `job REPAIR_SEARCH`, `webhook attempt`.
pub fn of_work(kind: &str) -> Span {
    tracing::info_span!(target: TARGET, parent: None, "work", otel.kind = "consumer", otel.name = kind)
}

struct Brought<'a>(&'a HeaderMap);

impl Extractor for Brought<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

fn headers(text: &str) -> Result<HashMap<String, String>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    pairs.map(|text| pair(text).ok_or_else(|| "headers are written name=value, separated by commas".to_owned())).collect()
}

/// The server's own client, for whoever exports from a thread that knows no runtime.
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), reqwest::Request::try_from(request)?);
        let answer = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let (status, body) = (answer.status(), answer.bytes().await?);
            Ok::<_, reqwest::Error>((status, body))
        });
        let (status, body) = answer.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
