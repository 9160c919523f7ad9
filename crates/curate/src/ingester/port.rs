//! `/metrics` (Prometheus text format 0.0.4) and `/healthz`, on loopback unless configured otherwise.

use super::connections;
use super::state::{IngesterStatus, Shared};
use crate::{config, log};
use anyhow::Context;
use std::fmt::Write as _;
use std::net::TcpListener;

/// Serves in a thread of its own for as long as the process lives.
pub(super) fn serve(config: &config::Ingest, shared: &Shared) -> anyhow::Result<()> {
    if config.listen.is_empty() {
        return Ok(());
    }
    let listener = TcpListener::bind(&config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let (shared, poll) = (shared.clone(), config.poll_seconds);
    let answer = move |request: &[u8]| answer(request, &shared, poll);
    let subscriber = log::current();
    std::thread::spawn(move || log::under(&subscriber, || connections::serve(&listener, answer)));
    Ok(())
}

/// Returns the whole response to a request.
fn answer(request: &[u8], shared: &Shared, poll_seconds: u64) -> Vec<u8> {
    let request = String::from_utf8_lossy(request);
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", shared.get(metrics)),
        ("GET" | "HEAD", "/healthz") => shared.get(|state| health(state, poll_seconds)),
        ("GET" | "HEAD", _) => ("404 Not Found", "there are /metrics and /healthz\n".to_owned()),
        ("", _) => ("400 Bad Request", "no request\n".to_owned()),
        _ => ("405 Method Not Allowed", "GET and HEAD only\n".to_owned()),
    };
    let kind = if path == "/metrics" { "text/plain; version=0.0.4" } else { "text/plain" };
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != "HEAD" {
        response += &body;
    }
    response.into_bytes()
}

/// Returns 200 unless the archive cannot be used or no pass has finished for a long time.
fn health(state: &IngesterStatus, poll_seconds: u64) -> (&'static str, String) {
    const UNWELL: &str = "503 Service Unavailable";
    if let Some(fault) = &state.fault {
        return (UNWELL, format!("the archive cannot be used: {fault}\n"));
    }
    let last = state.last_pass.unwrap_or(state.began).get();
    let age = (crate::site::now() - last).num_seconds();
    // A large load may take this long.
    let max_age = i64::try_from(poll_seconds).unwrap_or(i64::MAX).saturating_mul(3).max(3600);
    if age > max_age {
        return (UNWELL, format!("no pass succeeded since {}\n", crate::site::iso(last)));
    }
    ("200 OK", "ok\n".to_owned())
}

fn metrics(state: &IngesterStatus) -> String {
    let mut text = String::new();
    let mut add = |name: &str, kind: &str, help: &str, samples: &[(String, String)]| {
        let _ = writeln!(text, "# HELP almagest_{name} {help}\n# TYPE almagest_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "almagest_{name}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value.to_string())];
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    add("build_info", "gauge", "Version of the program.", &[(version, "1".to_owned())]);
    add("ingest_passes_total", "counter", "Successful passes.", &one(state.passes));
    add("ingest_failures_total", "counter", "Failures to use the archive.", &one(state.failures));
    add("ingest_published_batches_total", "counter", "Batches published.", &one(state.published));
    let rows: Vec<(String, String)> = state
        .rows
        .iter()
        .map(|(table, rows)| (format!("{{table=\"{table}\"}}"), rows.to_string()))
        .collect();
    add("ingest_published_rows_total", "counter", "Rows published.", &rows);
    add(
        "ingest_refused_batches_total",
        "counter",
        "Batches refused by a check.",
        &one(state.refused),
    );
    let postponed = state.postponed.len() as u64;
    add(
        "ingest_postponed_batches",
        "gauge",
        "Batches postponed by a temporary failure.",
        &one(postponed),
    );
    add(
        "ingest_blocked_batches",
        "gauge",
        "Batches blocked by another batch.",
        &one(state.blocked),
    );
    add("ingest_staged_batches", "gauge", "Batches not ingested yet.", &one(state.staged));
    let up = u64::from(state.fault.is_none());
    add("database_up", "gauge", "1 when the archive can be used, else 0.", &one(up));
    let last = state.last_pass.map_or(0, |last| last.get().timestamp().unsigned_abs());
    add("ingest_last_pass_timestamp_seconds", "gauge", "End of the last pass.", &one(last));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_prometheus_text() {
        let mut state = IngesterStatus { passes: 3, ..IngesterStatus::default() };
        state.rows.insert("detection".to_owned(), 7);
        let text = metrics(&state);
        assert!(text.contains("\nalmagest_ingest_published_rows_total{table=\"detection\"} 7\n"));
        let samples = text.lines().filter(|l| !l.starts_with('#'));
        for line in samples {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("almagest_") && value.parse::<f64>().is_ok(), "{line}");
        }
    }

    #[test]
    fn an_unreachable_archive_is_unhealthy() {
        let mut state = IngesterStatus::begin(crate::site::now());
        assert_eq!(health(&state, 10).0, "200 OK");
        state.failed("no server", crate::site::now());
        assert!(health(&state, 10).0.starts_with("503"));
        let long_ago: archive::Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        let long_ago = IngesterStatus { began: long_ago.into(), ..IngesterStatus::default() };
        assert!(health(&long_ago, 10).0.starts_with("503"));
    }
}
