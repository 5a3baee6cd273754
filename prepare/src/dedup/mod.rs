//! `dedup`: leaves out what was there before, exactly or nearly.
//!
//! ```text
//! text -> keys                      here         a checksum of each part, or the bands of a signature
//!      -> sorted runs on disk       spill.rs     from here on a file was looked at
//! all runs -> groups of one key     resolve.rs   the first in the order of the input is kept
//!          -> drops, by file        resolve.rs
//! rows -> Verdict                   here         which of its parts a row loses
//! ```
//!
//! Memory is that of one run, and for near duplicates four bytes a row of all files together.

mod minhash;
mod normal;
mod resolve;
mod settings;
mod spill;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;

use ratdata_schemas::Checksum;
use ratdata_tokenize::tokenizer::EncodeError;
use serde_json::{Value, json};

pub use minhash::MinHash;
pub(crate) use minhash::mix;
pub use normal::{Normalize, Unit};
pub use settings::Dedup;

use crate::decide::Decide;
use crate::error::PrepareError;
use crate::job::Job;
use crate::progress::Progress;
use crate::rows::{OpenFile, Reason, RowView, Verdict};
use crate::scan::{FileSink, Scan};
use crate::text_sizes::TextSizes;
use minhash::Signer;
use normal::normalize;
use resolve::{Drops, Resolved};
use settings::{MOST_PARTS, PART_BITS};
use spill::{Entry, RunWriter};

impl Dedup {
    /// Runs all passes: looks at the wanted files; then, unless only a share is wanted, finds the
    /// duplicates and writes the rest. `memory` bounds what the sorting takes. Returns what is recorded.
    ///
    /// # Errors
    ///
    /// An input cannot be read, the system refuses a write, or `stop` was set.
    pub fn run(
        &self,
        job: &Job,
        wanted: impl Fn(usize) -> bool,
        is_share: bool,
        (threads, memory): (usize, u64),
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Result<Value, PrepareError> {
        let folder = job.kept_folder();
        // Half is for the entries; a vector that grows holds its old content as well.
        let sink = |number: usize| Runs {
            writer: RunWriter::new(&folder, &format!("{number}"), memory / 2),
        };
        job.scan(self, sink, wanted, threads, progress, stop)?;
        if is_share {
            return Ok(Value::Null);
        }
        let resolved = Resolved::of(self, job, memory, progress, stop)?;
        let remover = Remover { dedup: self, job, resolved: &resolved };
        job.write(&remover, |_| true, threads, progress, stop)?;
        Ok(json!({ "duplicates": resolved.duplicates }))
    }
}

/// What a thread needs for itself.
pub(crate) struct Looking {
    signer: Option<Signer>,
    text: String,
}

impl Scan for Dedup {
    type Worker = Looking;
    type Found = Vec<Entry>;

    fn worker(&self) -> Looking {
        let signer = match self {
            Self::Exact { .. } => None,
            Self::Near(settings) => Some(Signer::new(*settings)),
        };
        Looking { signer, text: String::new() }
    }

    fn look(
        &self,
        worker: &mut Looking,
        row: u64,
        text: &str,
        found: &mut Vec<Entry>,
    ) -> Result<(), EncodeError> {
        let place = row << PART_BITS;
        match (self, &mut worker.signer) {
            (Self::Exact { unit, normalize: with, min_words }, _) => {
                for (number, part) in (0..MOST_PARTS).zip(unit.parts(text)) {
                    let words = normalize(&text[part], *with, &mut worker.text);
                    // Blank parts are the same as all others, and say nothing.
                    if words >= (*min_words).max(1) {
                        found.push(Entry { key: key_of(&worker.text), at: place | number });
                    }
                }
            }
            (Self::Near(_), Some(signer)) => {
                signer.bands(text, |key| found.push(Entry { key, at: place }));
            }
            (Self::Near(_), None) => {}
        }
        Ok(())
    }
}

/// Returns 128 bits of the checksum of a text.
fn key_of(text: &str) -> u128 {
    let checksum = Checksum::of(text.as_bytes());
    // It is written in hexadecimal digits.
    checksum.as_str().get(..32).and_then(|half| u128::from_str_radix(half, 16).ok()).unwrap_or(0)
}

/// The sorted runs of a file.
struct Runs {
    writer: RunWriter,
}

impl FileSink for Runs {
    type Found = Vec<Entry>;
    type Record = Vec<String>;

    fn take(&mut self, found: Vec<Entry>) -> Result<(), PrepareError> {
        found.into_iter().try_for_each(|entry| self.writer.push(entry))
    }

    fn finish(self) -> Result<Vec<String>, PrepareError> {
        self.writer.finish()
    }
}

/// Takes the duplicates out of the rows.
struct Remover<'a> {
    dedup: &'a Dedup,
    job: &'a Job,
    resolved: &'a Resolved,
}

/// What is known of a file's rows.
struct Looked {
    drops: Drops,
    sizes: Option<TextSizes>,
}

impl Decide for Remover<'_> {
    type Worker = ();
    type File = Looked;

    fn worker(&self) {}

    fn open(&self, number: usize, _: &OpenFile) -> Result<Looked, PrepareError> {
        let drops = Resolved::drops(self.job, number)?;
        Ok(Looked { drops, sizes: self.job.text_sizes(number)? })
    }

    fn sizes(&self, file: &Looked, first: u64, count: usize) -> Option<Vec<Option<u32>>> {
        file.sizes.as_ref()?.of_rows(first, count)
    }

    fn decide(&self, (): &mut (), file: &Looked, row: &RowView<'_>) -> Result<Verdict, String> {
        let dropped = file.drops.of_row(row.row);
        let Some(&(_, first)) = dropped.first() else { return Ok(Verdict::Keep) };
        let of = self.resolved.spot(self.job, first >> PART_BITS);
        let unit = match self.dedup {
            Dedup::Near(_) => {
                return Ok(Verdict::Drop(Reason::with("near_duplicate", json!({"of": of}))));
            }
            Dedup::Exact { unit: Unit::Document, .. } => {
                return Ok(Verdict::Drop(Reason::with("duplicate", json!({"of": of}))));
            }
            Dedup::Exact { unit, .. } => *unit,
        };
        let mut text = String::with_capacity(row.text.len());
        let mut next = dropped.iter().peekable();
        for (number, part) in (0_u64..).zip(unit.parts(row.text)) {
            let is_dropped = next.next_if(|(at, _)| at & (MOST_PARTS - 1) == number).is_some();
            if !is_dropped {
                text.push_str(&row.text[part]);
            }
        }
        let name = format!("duplicate_{}s", unit.name());
        let detail = json!({"parts": dropped.len(), "first_of": of});
        if text.trim().is_empty() {
            return Ok(Verdict::Drop(Reason::with(format!("only_{name}"), detail)));
        }
        Ok(Verdict::Rewrite(text, Reason::with(name, detail)))
    }
}
