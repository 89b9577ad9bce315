//! What a process that stays says of itself: its log on standard error, and its traces.

use kith::app::StartError;
use kith::config::{Config, LogFormat};
use kith::infra::traces::{Collector, Traces, is_traced};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Begins to log, and to trace if there is a collector. Spans are for traces alone: lines of the log stand by themselves.
pub fn start_log(config: &Config) -> Result<Option<Traces>, StartError> {
    let filter = config.log.filter.parse::<EnvFilter>();
    let filter = filter.map_err(|e| StartError(format!("log.filter (KITH_LOG): `{}` is not right: {e}", config.log.filter)))?;
    // Without this hint a filter would have everything formatted, to leave it out then.
    let lines = filter.and(filter_fn(|metadata| !is_traced(metadata)).with_max_level_hint(LevelFilter::TRACE));
    let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match config.log.format {
        LogFormat::Text => plain.with_filter(lines).boxed(),
        LogFormat::Json => plain.json().with_filter(lines).boxed(),
    };
    let traces = collect(config)?;
    // No layer in place of none: it would have the spans made that nobody takes.
    match &traces {
        Some(traces) => tracing_subscriber::registry().with(log).with(traces.layer()).init(),
        None => tracing_subscriber::registry().with(log).init(),
    }
    Ok(traces)
}

fn collect(config: &Config) -> Result<Option<Traces>, StartError> {
    let telemetry = &config.telemetry;
    if telemetry.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let collector = Collector {
        endpoint: &telemetry.otlp_endpoint,
        headers: &telemetry.otlp_headers,
        service: &telemetry.service_name,
        per_mille: telemetry.traces_per_mille,
    };
    let begun = Traces::begin(&collector);
    begun.map(Some).map_err(|e| StartError(format!("telemetry.otlp_endpoint (OTEL_EXPORTER_OTLP_ENDPOINT): {e}")))
}
