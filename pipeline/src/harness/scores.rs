//! What the harness found, as a table and as JSON without a clock or a path.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The scores of all tasks.
#[derive(Debug, Serialize)]
pub(crate) struct HarnessScores {
    /// The harness and its version.
    harness: String,
    scores: Vec<HarnessScore>,
}

/// One metric of a task.
#[derive(Debug, PartialEq, Serialize)]
struct HarnessScore {
    task: String,
    /// The metric, and the filter of answers behind a comma where the task has one.
    metric: String,
    /// As the harness has it: a share, or for `perplexity` and the like a number.
    value: f64,
    /// Its standard error, where the harness computes one.
    stderr: Option<f64>,
    /// How many rows were asked.
    rows: Option<u64>,
}

/// The file of results that the harness writes, as far as it is read.
#[derive(Debug, Deserialize)]
struct Results {
    results: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default, rename = "n-samples")]
    samples: BTreeMap<String, Counts>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Counts {
    effective: u64,
}

/// What the harness writes for a length that it did not try.
const NO_VALUE: f64 = -1.0;

impl HarnessScores {
    /// Reads the harness's file of results.
    pub(super) fn read(harness: String, bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let found: Results = serde_json::from_slice(bytes)?;
        let mut scores = Vec::new();
        for (task, metrics) in &found.results {
            for (key, value) in metrics {
                // `acc,none`, with its error in `acc_stderr,none`.
                let Some((name, filter)) = key.split_once(',') else { continue };
                let Some(value) =
                    value.as_f64().filter(|value| value.to_bits() != NO_VALUE.to_bits())
                else {
                    continue;
                };
                if name.ends_with("_stderr") {
                    continue;
                }
                let stderr =
                    metrics.get(&format!("{name}_stderr,{filter}")).and_then(Value::as_f64);
                let metric =
                    if filter == "none" { name.to_owned() } else { format!("{name},{filter}") };
                let rows = found.samples.get(task).map(|counts| counts.effective);
                scores.push(HarnessScore { task: task.clone(), metric, value, stderr, rows });
            }
        }
        Ok(Self { harness, scores })
    }

    /// Returns whether there is no score.
    pub(super) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }
}

impl fmt::Display for HarnessScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:28} {:>6}  {:20} {:>10} {:>8}", "task", "rows", "metric", "value", "± error")?;
        for HarnessScore { task, metric, value, stderr, rows } in &self.scores {
            let rows = rows.map(|rows| rows.to_string()).unwrap_or_default();
            let stderr = stderr.map(shown).unwrap_or_default();
            write!(f, "\n{task:28} {rows:>6}  {metric:20} {:>10} {stderr:>8}", shown(*value))?;
        }
        Ok(())
    }
}

/// Writes a number; a perplexity may be too large for digits.
fn shown(value: f64) -> String {
    if value.abs() < 1e5 { format!("{value:.4}") } else { format!("{value:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_errors_and_rows() {
        let file = br#"{
            "results": {
                "piqa": {"alias": "piqa", "acc,none": 0.5, "acc_stderr,none": 0.1, "acc_norm,none": 0.25,
                         "acc_norm_stderr,none": "N/A"},
                "niah_single_1": {"4096,none": -1, "512,none": 1.0, "512_stderr,none": "N/A"}
            },
            "n-samples": {"piqa": {"original": 9, "effective": 4}},
            "date": 1.0
        }"#;

        let found = HarnessScores::read("lm-eval 0.4.13".into(), file).unwrap();

        let score = |task: &str, metric: &str, value, stderr, rows| HarnessScore {
            task: task.into(),
            metric: metric.into(),
            value,
            stderr,
            rows,
        };
        assert_eq!(
            found.scores,
            [
                score("niah_single_1", "512", 1.0, None, None),
                score("piqa", "acc", 0.5, Some(0.1), Some(4)),
                score("piqa", "acc_norm", 0.25, None, Some(4)),
            ]
        );
        assert!(found.to_string().contains("acc                      0.5000   0.1000"), "{found}");
        assert!(HarnessScores::read(String::new(), b"{}").is_err());
    }
}
