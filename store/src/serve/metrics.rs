//! What has happened so far, as Prometheus reads it (text format 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Upper ends of the classes of durations, in milliseconds.
const CLASSES: [u64; 8] = [1, 5, 25, 100, 500, 2500, 10_000, 60_000];

/// Counters of one server.
#[derive(Debug)]
pub(super) struct Metrics {
    /// What all names begin with after `pith_`.
    prefix: &'static str,
    /// By method and status.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// By class of duration; the last one has no end.
    durations: [AtomicU64; CLASSES.len() + 1],
    duration_us: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    pub(super) stored_files: AtomicU64,
    pub(super) connections: AtomicU64,
    in_flight: AtomicU64,
    pub(super) refused_connections: AtomicU64,
}

/// Counts a request until it is dropped, which it also is when the client leaves.
pub(super) struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    pub(super) fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            requests: Mutex::default(),
            durations: Default::default(),
            duration_us: AtomicU64::default(),
            sent_bytes: AtomicU64::default(),
            received_bytes: AtomicU64::default(),
            stored_files: AtomicU64::default(),
            connections: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            refused_connections: AtomicU64::default(),
        }
    }

    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(&self.in_flight)
    }

    pub(super) fn answered(&self, method: &str, status: u16, took: Duration) {
        let method = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]
            .into_iter()
            .find(|known| *known == method)
            // Clients may make up any number of methods.
            .unwrap_or("other");
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method, status)).or_default() += 1;
        drop(requests);
        let class = CLASSES
            .iter()
            .position(|end| took <= Duration::from_millis(*end))
            .unwrap_or(CLASSES.len());
        if let Some(count) = self.durations.get(class) {
            count.fetch_add(1, Relaxed);
        }
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.duration_us.fetch_add(took, Relaxed);
    }

    /// Prints everything, sorted.
    pub(super) fn render(&self) -> String {
        let mut text = Text::new(self.prefix);
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        text.describe("requests_total", "counter", "Requests that were answered.");
        for ((method, status), count) in requests.iter() {
            text.push(&format!(
                "requests_total{{method=\"{method}\",status=\"{status}\"}} {count}"
            ));
        }
        drop(requests);
        self.render_durations(&mut text);
        for (name, kind, help, value) in [
            (
                "connections",
                "gauge",
                "Connections that are open.",
                &self.connections,
            ),
            (
                "connections_refused_total",
                "counter",
                "Connections beyond the limit of an address.",
                &self.refused_connections,
            ),
            (
                "received_bytes_total",
                "counter",
                "Bytes of files that clients sent.",
                &self.received_bytes,
            ),
            (
                "requests_in_flight",
                "gauge",
                "Requests whose answer has not begun.",
                &self.in_flight,
            ),
            (
                "sent_bytes_total",
                "counter",
                "Bytes of files in answers that were begun.",
                &self.sent_bytes,
            ),
            (
                "stored_files_total",
                "counter",
                "Files that were written.",
                &self.stored_files,
            ),
        ] {
            text.describe(name, kind, help);
            text.push(&format!("{name} {}", value.load(Relaxed)));
        }
        text.lines
    }

    fn render_durations(&self, text: &mut Text) {
        text.describe(
            "request_duration_seconds",
            "histogram",
            "Time until an answer began.",
        );
        let mut sum = 0;
        for (count, class) in self
            .durations
            .iter()
            .zip(CLASSES.iter().map(Some).chain([None]))
        {
            sum += count.load(Relaxed);
            let end = class.map_or_else(
                || "+Inf".to_owned(),
                |ms| format!("{}.{:03}", ms / 1000, ms % 1000),
            );
            text.push(&format!(
                "request_duration_seconds_bucket{{le=\"{end}\"}} {sum}"
            ));
        }
        let us = self.duration_us.load(Relaxed);
        text.push(&format!(
            "request_duration_seconds_sum {}.{:06}",
            us / 1_000_000,
            us % 1_000_000
        ));
        text.push(&format!("request_duration_seconds_count {sum}"));
    }
}

/// The lines so far.
struct Text {
    prefix: &'static str,
    lines: String,
}

impl Text {
    const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            lines: String::new(),
        }
    }

    fn describe(&mut self, name: &str, kind: &str, help: &str) {
        let name = format!("pith_{}_{name}", self.prefix);
        writeln!(self.lines, "# HELP {name} {help}\n# TYPE {name} {kind}")
            .expect("a string takes everything");
    }

    fn push(&mut self, line: &str) {
        writeln!(self.lines, "pith_{}_{line}", self.prefix).expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_one_that_prometheus_reads() {
        let metrics = Metrics::new("cache");
        metrics.answered("GET", 200, Duration::from_millis(3));
        metrics.answered("GET", 200, Duration::from_secs(100));
        metrics.answered("BREW", 405, Duration::from_micros(1));
        metrics.sent_bytes.fetch_add(7, Relaxed);
        let text = metrics.render();
        for line in [
            "pith_cache_requests_total{method=\"GET\",status=\"200\"} 2",
            "pith_cache_requests_total{method=\"other\",status=\"405\"} 1",
            "pith_cache_request_duration_seconds_bucket{le=\"0.001\"} 1",
            "pith_cache_request_duration_seconds_bucket{le=\"0.005\"} 2",
            "pith_cache_request_duration_seconds_bucket{le=\"60.000\"} 2",
            "pith_cache_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "pith_cache_request_duration_seconds_sum 100.003001",
            "pith_cache_request_duration_seconds_count 3",
            "# TYPE pith_cache_sent_bytes_total counter",
            "pith_cache_sent_bytes_total 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(
                name.starts_with("pith_cache_") && value.parse::<f64>().is_ok(),
                "{line}"
            );
        }
    }
}
