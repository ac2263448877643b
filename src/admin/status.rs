//! `/status`: how the gateway is doing, in one small document. Its numbers are
//! those of `/metrics`, at one moment.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::recent::{ATTEMPTS, CALLS, Recent, Source, WAITS};
use super::{Shared, routes};
use crate::VERSION;
use crate::refusal;
use crate::region::Region;
use crate::telemetry::metrics::{Distribution, Figures, Refused};
use crate::telemetry::semconv;

/// The seconds that the present rate is the mean of.
const PRESENT: usize = 10;

/// The document.
pub(super) fn document(shared: &Shared, figures: &Figures) -> Value {
    let admin = &shared.admin;
    let regions: Vec<_> = admin
        .regions
        .iter()
        .enumerate()
        .map(|(place, region)| of_region(figures, &shared.recent, region, &shared.rates.of(place)))
        .collect();
    let checks = admin.readiness.checks();
    let checks: Vec<_> = checks.iter().map(routes::check).collect();
    let refused: Vec<_> = admin.refusals.latest().iter().map(refused).collect();
    json!({
        "version": VERSION,
        "config_digest": &*admin.shown.get().digest,
        "started_at": rfc3339(shared.started_at),
        "uptime_seconds": shared.started.elapsed().as_secs(),
        "ready": admin.readiness.is_ready(),
        "checks": checks,
        "calls": {
            "in_flight": count(figures.sum("face_liveness_calls_in_flight", &[])),
            "by_status": counts(figures.by(
                "rpc_server_call_duration_seconds",
                "rpc_response_status_code",
                &[],
            )),
            "by_method": methods(figures, &shared.recent),
        },
        "refusals": counts(figures.by("face_liveness_refusals_total", "reason", &[])),
        "regions": regions,
        "callers": callers(figures),
        "ledger": counts(figures.by("face_liveness_ledger_lookups_total", "outcome", &[])),
        "last_refusals": refused,
    })
}

/// The calls of each method that was ever called.
fn methods(figures: &Figures, recent: &Recent) -> Vec<Value> {
    let in_flight = figures.by("face_liveness_calls_in_flight", "rpc_method", &[]);
    let ended = figures.distributions(CALLS.0, CALLS.1);
    let called = |method: &String, running: f64| running > 0.0 || ended.contains_key(method);
    in_flight
        .into_iter()
        .filter(|(method, running)| called(method, *running))
        .map(|(method, running)| {
            let own = [("rpc_method", &*method)];
            json!({
                "method": method,
                "in_flight": count(running),
                "by_status": counts(figures.by(CALLS.0, "rpc_response_status_code", &own)),
                "latency": durations(figures, recent, CALLS, &method),
            })
        })
        .collect()
}

fn of_region(figures: &Figures, recent: &Recent, region: &Region, seconds: &[u64]) -> Value {
    let here = [("region", region.as_str())];
    let by = |name, label| figures.by(name, label, &here);
    let sum = |name| count(figures.sum(name, &here));
    let state = by("face_liveness_quota_store_state", "state");
    let state = state.into_iter().find(|(_, is)| *is > 0.0);
    let present = &seconds[seconds.len().saturating_sub(PRESENT)..];
    let permits: u64 = present.iter().sum();
    json!({
        "region": region.as_str(),
        "sessions": sum("face_liveness_sessions_total"),
        "quota": {
            "permits": sum("face_liveness_quota_permits_total"),
            "permits_per_second": permits as f64 / present.len().max(1) as f64,
            "permits_by_second": seconds,
            "configured_per_second": by("face_liveness_quota_rate_configured_per_second", "bound"),
            "effective_per_second": by("face_liveness_quota_rate_effective_per_second", "bound"),
            "denials": counts(by("face_liveness_quota_denials_total", "reason")),
            "wait": durations(figures, recent, WAITS, region.as_str()),
            "store": state.map(|(state, _)| state),
        },
        "queue": {
            "depth": sum("face_liveness_quota_queue_depth"),
            "limit": sum("face_liveness_quota_queue_limit"),
        },
        "upstream": {
            "attempts": counts(by("face_liveness_upstream_duration_seconds", "outcome")),
            "retries": counts(by("face_liveness_upstream_retries_total", "cause")),
            "latency": durations(figures, recent, ATTEMPTS, region.as_str()),
        },
    })
}

/// Each caller's part of all permits.
fn callers(figures: &Figures) -> Vec<Value> {
    let permits = figures.by("face_liveness_quota_permits_total", "caller", &[]);
    let all: f64 = permits.values().sum();
    let share = |permits: f64| if all > 0.0 { permits / all } else { 0.0 };
    permits
        .into_iter()
        .map(|(caller, permits)| {
            json!({ "caller": caller, "permits": count(permits), "share": share(permits) })
        })
        .collect()
}

/// How long it took, of the series with this label, of late and ever.
fn durations(figures: &Figures, recent: &Recent, source: Source, label: &str) -> Value {
    let all = figures.distribution(source.0, &[(source.1, label)]);
    json!({
        "last_minute": distribution(&recent.last_minute(source, label, &all)),
        "since_start": distribution(&all),
    })
}

fn distribution(values: &Distribution) -> Value {
    json!({
        "count": values.count,
        "mean_seconds": values.mean(),
        "p50_seconds": values.quantile(0.5),
        "p95_seconds": values.quantile(0.95),
        "p99_seconds": values.quantile(0.99),
    })
}

fn refused(refused: &Refused) -> Value {
    json!({
        "at": rfc3339(refused.at),
        "method": refused.method,
        "code": semconv::code_name(refused.code),
        "reason": refused.reason,
        "retry_after_seconds": refused.retry_after.map(|after| after.as_secs_f64()),
        "request_id": refused.request_id,
        "remedy": refusal::remedy(refused.reason),
    })
}

fn counts(figures: BTreeMap<String, f64>) -> BTreeMap<String, u64> {
    let counts = figures.into_iter();
    counts.map(|(name, figure)| (name, count(figure))).collect()
}

/// Counts travel as floats, which hold them exactly up to 2^53.
fn count(figure: f64) -> u64 {
    figure as u64
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
