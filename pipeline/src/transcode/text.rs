//! Exports text: a line of JSON for each document or row, decoded by the tokenizer.

use ratdata_schemas::{Shard, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{ExportJob, ExportedFile, TranscodeError};

/// How many documents are decoded at a time, on all threads.
const BATCH: usize = 4096;

/// Writes the documents of one shard as `{"text": …}`, without the EOS that ends them.
pub(super) fn export_text(
    job: &ExportJob<'_>,
    split: &str,
    stem: &str,
    shard: &Shard,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let documents = shard.index().map_or(0, ratdata_schemas::DocIndex::len);
    let document = |number: usize| -> Value {
        let range = shard.index().and_then(|index| index.range(number)).unwrap_or(0..0);
        let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
        let ids = shard.bin().tokens().slice(at(range.start)..at(range.end));
        let mut ids = ids.map_or_else(Vec::new, |ids| ids.to_vec());
        if ids.last().copied() == job.eos {
            ids.pop();
        }
        json!({ "text": decode(job.tokenizer, &ids) })
    };
    write_lines(job, split, &format!("{stem}.jsonl"), documents, document, files)
}

/// Writes one line for each number below `lines`, in order.
pub(super) fn write_lines(
    job: &ExportJob<'_>,
    split: &str,
    name: &str,
    lines: usize,
    line: impl Fn(usize) -> Value + Sync,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let mut file = job.create(split, name)?;
    for first in (0..lines).step_by(BATCH) {
        job.check_stop()?;
        let batch: Vec<String> = (first..lines.min(first + BATCH))
            .into_par_iter()
            .map(|number| format!("{}\n", line(number)))
            .collect();
        for text in batch {
            file.write(text.as_bytes())?;
        }
    }
    file.commit(None, files)
}

/// Returns the text of ids; the command has made sure that there is a tokenizer.
pub(super) fn decode(tokenizer: Option<&Tokenizer>, ids: &[TokenId]) -> String {
    tokenizer.map_or_else(String::new, |tokenizer| tokenizer.decode(ids))
}
