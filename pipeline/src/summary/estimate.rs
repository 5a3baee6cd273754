//! What `ratdata tokenize --estimate` says of what it would make.

use std::fmt;

use ratdata_tokenize::corpus::Estimate;
use serde::Serialize;

use ratdata_console::{grouped, lasting, sized};

/// What a job would make.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct EstimateSummary(pub(crate) Estimate);

impl fmt::Display for EstimateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(estimate) = self;
        writeln!(
            f,
            "files      {} ({})",
            grouped(estimate.files as u64),
            sized(estimate.input_bytes)
        )?;
        writeln!(f, "documents  about {}", grouped(estimate.documents))?;
        writeln!(f, "tokens     about {}", grouped(estimate.tokens))?;
        writeln!(f, "on disk    about {} as {}", sized(estimate.output_bytes), estimate.dtype)?;
        writeln!(f, "time       {}", about(estimate.seconds))?;
        write!(f, "from {:.1}% of the text", estimate.sampled * 100.0)?;
        if estimate.sampled_files < estimate.files {
            write!(
                f,
                ", in {} of {} files",
                estimate.sampled_files,
                grouped(estimate.files as u64)
            )?;
        }
        write!(f, "; nothing was written")
    }
}

/// Returns what an estimate says of a time.
pub(super) fn about(seconds: f64) -> String {
    let time = lasting(seconds);
    if seconds < 1.0 { time } else { format!("about {time}") }
}
