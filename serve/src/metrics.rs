//! Counters, in the text form that Prometheus reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;

/// The upper bounds of the groups that requests are counted in by how long they took, in seconds.
const BOUNDS: [f64; 10] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];

/// What a server has done since it was started.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    durations: Mutex<Durations>,
    rows: AtomicUsize,
    connections: AtomicUsize,
    prompt_tokens: AtomicU64,
    tokens: AtomicU64,
}

#[derive(Debug, Default)]
struct Durations {
    /// How many requests took at most as long as each bound, and more than the bound before.
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, route: &'static str, status: StatusCode, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route, status.as_u16())).or_default() += 1;
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = took.as_secs_f64();
        if let Some(group) = BOUNDS.iter().position(|&bound| seconds <= bound) {
            durations.counts[group] += 1;
        }
        durations.count += 1;
        durations.sum += seconds;
    }

    /// Says how many rows are open.
    pub(crate) fn set_rows(&self, rows: usize) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// Says how many connections are open.
    pub(crate) fn set_connections(&self, connections: usize) {
        self.connections.store(connections, Ordering::Relaxed);
    }

    /// Counts tokens that were generated.
    pub(crate) fn add_tokens(&self, tokens: usize) {
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    /// Counts tokens of prompts.
    pub(crate) fn add_prompt_tokens(&self, tokens: usize) {
        self.prompt_tokens.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    /// Returns all of it as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut one = |name: &str, kind: &str, help: &str, value: u64| {
            head(&mut text, name, kind, help);
            text.push_str(&format!("{name} {value}\n"));
        };
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let now = |value: &AtomicUsize| value.load(Ordering::Relaxed) as u64;
        one(
            "ratdata_open_answers",
            "gauge",
            "Answers that are generated or wait.",
            now(&self.rows),
        );
        one("ratdata_connections", "gauge", "Open connections.", now(&self.connections));
        let help = "Tokens of prompts.";
        one("ratdata_prompt_tokens_total", "counter", help, of(&self.prompt_tokens));
        let help = "Tokens that were generated.";
        one("ratdata_generated_tokens_total", "counter", help, of(&self.tokens));
        let name = "ratdata_requests_total";
        head(&mut text, name, "counter", "Requests by route and status.");
        for ((route, status), count) in
            &*self.requests.lock().unwrap_or_else(PoisonError::into_inner)
        {
            text.push_str(&format!("{name}{{route=\"{route}\",status=\"{status}\"}} {count}\n"));
        }
        let name = "ratdata_request_seconds";
        head(&mut text, name, "histogram", "How long answers took, to their last byte.");
        let durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().zip(durations.counts) {
            sum += count;
            text.push_str(&format!("{name}_bucket{{le=\"{bound}\"}} {sum}\n"));
        }
        let Durations { count, sum, .. } = *durations;
        text.push_str(&format!("{name}_bucket{{le=\"+Inf\"}} {count}\n"));
        text.push_str(&format!("{name}_sum {sum}\n{name}_count {count}\n"));
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_add_up() {
        let metrics = Metrics::default();
        for millis in [5, 20, 20, 400_000] {
            metrics.answered("/health", StatusCode::OK, Duration::from_millis(millis));
        }
        metrics.add_tokens(7);

        let text = metrics.text();

        for line in [
            "ratdata_generated_tokens_total 7",
            "ratdata_requests_total{route=\"/health\",status=\"200\"} 4",
            "ratdata_request_seconds_bucket{le=\"0.01\"} 1",
            "ratdata_request_seconds_bucket{le=\"0.03\"} 3",
            "ratdata_request_seconds_bucket{le=\"300\"} 3",
            "ratdata_request_seconds_bucket{le=\"+Inf\"} 4",
            "ratdata_request_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
