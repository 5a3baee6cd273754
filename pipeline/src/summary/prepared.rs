//! What commands that take rows and give rows report.

use std::fmt;
use std::path::{Path, PathBuf};

use super::estimate::about;
use ratdata_console::{grouped, sized, sized_f};
use ratdata_prepare::{Estimate, Prepared, Totals};
use serde::Serialize;
use serde_json::Value;

/// What a folder of prepared rows holds.
#[derive(Debug, Serialize)]
pub(crate) struct PreparedSummary {
    out: PathBuf,
    kind: String,
    files: usize,
    #[serde(flatten)]
    totals: Totals,
    bytes: u64,
    #[serde(skip_serializing_if = "Value::is_null")]
    more: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl PreparedSummary {
    pub(crate) fn of(out: &Path, prepared: &Prepared, seconds: Option<f64>) -> Self {
        Self {
            out: out.to_owned(),
            kind: prepared.kind.clone(),
            files: prepared.files.len(),
            totals: prepared.totals.clone(),
            bytes: prepared.files.iter().map(|file| file.data.bytes).sum(),
            more: summed(&prepared.more),
            seconds,
        }
    }
}

/// Returns what a record says of all files together.
fn summed(more: &Value) -> Value {
    let mut more = more.clone();
    if let Some(fields) = more.as_object_mut() {
        fields.remove("passes");
    }
    more
}

impl fmt::Display for PreparedSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        let percent = |of: u64| of as f64 * 100.0 / totals.rows.max(1) as f64;
        writeln!(
            f,
            "{} of {} rows kept ({:.2}%), {} of {} of text",
            grouped(totals.kept),
            grouped(totals.rows),
            percent(totals.kept),
            sized(totals.kept_text_bytes),
            sized(totals.text_bytes)
        )?;
        let mut reasons: Vec<_> = totals.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            writeln!(f, "  {:<32} {:>14}  {:>6.2}%", reason, grouped(*count), percent(*count))?;
        }
        if totals.rewritten > 0 {
            writeln!(f, "{} rows have another text", grouped(totals.rewritten))?;
        }
        for (name, value) in self.more.as_object().into_iter().flatten() {
            if let Some(count) = value.as_u64() {
                writeln!(f, "{}: {}", name.replace('_', " "), grouped(count))?;
            }
        }
        if let Some(seconds) = self.seconds {
            let rate = totals.text_bytes as f64 / seconds.max(1e-9);
            writeln!(f, "{seconds:.2} s, {}/s of text", sized_f(rate))?;
        }
        write!(f, "{}, {} in {} files", self.out.display(), sized(self.bytes), self.files)
    }
}

/// What a job would keep.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct RowsEstimate(pub(crate) Estimate);

impl fmt::Display for RowsEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(estimate) = self;
        let (files, bytes) = (grouped(estimate.files as u64), sized(estimate.input_bytes));
        writeln!(f, "files      {files} ({bytes})")?;
        writeln!(f, "rows       about {}", grouped(estimate.rows))?;
        let share = estimate.kept as f64 * 100.0 / estimate.rows.max(1) as f64;
        writeln!(f, "kept       about {} ({share:.1}%)", grouped(estimate.kept))?;
        for (reason, count) in &estimate.reasons {
            writeln!(f, "  {reason:<32} {:>10} of the sample", grouped(*count))?;
        }
        writeln!(f, "time       {}", about(estimate.seconds))?;
        write!(f, "from {:.1}% of the input; nothing was written", estimate.sampled * 100.0)
    }
}
