//! Writes the shards of one file: its documents, split and ordered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{ArtifactError, ShardFiles, ShardRecord, ShardWriter, SourceRecord, narrow};

use super::context::JobContext;
use super::error::JobError;
use super::split::split_rows;
use super::state::Receipt;
use crate::staging::Staging;
use crate::tokenizer::IdWidth;

/// How many ids are gathered before they are written: what a core has close by.
const GATHERED: usize = 1 << 16;

/// A file whose documents are all staged.
pub(crate) struct StagedSource<W> {
    pub(crate) staging: Staging<W>,
    /// Its place among the inputs.
    pub(crate) number: usize,
    /// Rows read, rows left out, rows with U+FFFD put in, and bytes of text.
    pub(crate) rows: u64,
    pub(crate) bad_rows: u64,
    pub(crate) replaced_rows: u64,
    pub(crate) text_bytes: u64,
}

/// Writes the shards of a file and records it as done.
///
/// Only now the file's checksum is made: the system has just read it, and holds much of it.
///
/// # Errors
///
/// The system refuses a write, the file was changed while it was read, or the user stopped the job.
pub(crate) fn finish<W: IdWidth>(
    job: &JobContext,
    staged: StagedSource<W>,
    interrupted: &AtomicBool,
) -> Result<Receipt, JobError> {
    let StagedSource { staging, number, rows, bad_rows, replaced_rows, text_bytes } = staged;
    let (config, file) = (&job.config, &job.files()[number]);
    let documents = narrow(staging.documents());
    let split = split_rows(documents, config.val_fraction, config.split_seed, config.order);
    let mut shards = BTreeMap::new();
    for (name, rows) in [("train", &split.train), ("val", &split.val)] {
        if name == "val" && config.val_fraction <= 0.0 {
            continue;
        }
        let stem = format!("shards/{}-{name}-{}", config.name, file.stem);
        let place = narrow(number);
        let shard = write_shard(&job.out, &stem, place, &staging, rows, interrupted)?;
        shards.insert(name.to_owned(), shard);
    }
    drop(staging);
    let (fingerprint, known) = job.inputs.content(number, interrupted)?;
    let source = SourceRecord {
        name: file.name.clone(),
        bytes: file.bytes,
        rows,
        bad_rows,
        replaced_rows,
        text_bytes,
        fingerprint,
    };
    let receipt = Receipt { source, shards, documents: documents.into(), known };
    job.state.record(&file.stem, &receipt)?;
    Ok(receipt)
}

fn write_shard<W: IdWidth>(
    out: &Path,
    stem: &str,
    number: u32,
    staging: &Staging<W>,
    rows: &[u32],
    interrupted: &AtomicBool,
) -> Result<ShardRecord, JobError> {
    let path = out.join(stem);
    let io = ArtifactError::io(&path);
    let mut writer = ShardWriter::create(ShardFiles { root: out, stem })?;
    let mut ids: Vec<W> = Vec::new();
    let mut lens = Vec::new();
    for &row in rows {
        staging.copy(row, &mut ids).map_err(&io)?;
        lens.push(staging.len_of(row));
        if ids.len() >= GATHERED {
            writer.append(W::tokens(&ids), &lens)?;
            ids.clear();
            lens.clear();
            if interrupted.load(Ordering::Relaxed) {
                return Err(JobError::Interrupted);
            }
        }
    }
    writer.append(W::tokens(&ids), &lens)?;
    Ok(writer.finish(Some(number))?)
}
