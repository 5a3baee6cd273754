//! What `ratdata sft --estimate` says of what it would make.

use std::fmt;

use ratdata_console::{grouped, sized};
use ratdata_tokenize::sft::SftEstimate;
use serde::Serialize;

use super::estimate::about;

/// What a job over instruction data would make.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct SftEstimateSummary(pub(crate) SftEstimate);

impl fmt::Display for SftEstimateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(estimate) = self;
        writeln!(
            f,
            "{:<12} {:>12} {:>12} {:>15} {:>10} {:>12} {:>8}",
            "split", "rows", "examples", "tokens", "left out", "on disk", "encoded"
        )?;
        for split in &estimate.splits {
            writeln!(
                f,
                "{:<12} {:>12} {:>12} {:>15} {:>10} {:>12} {:>7.1}%",
                split.name,
                grouped(split.rows),
                grouped(split.examples),
                grouped(split.tokens),
                grouped(split.bad_rows.saturating_add(split.dropped)),
                sized(split.output_bytes),
                split.sampled * 100.0
            )?;
        }
        write!(f, "time {}; nothing was written", about(estimate.seconds))
    }
}
