//! Joins the shards of a split into one bin, giving up each shard as it is absorbed.
//!
//! The bytes are copied inside the kernel. After each shard the merged file is synced and a marker
//! says how far it is true; only then the shard is removed. So a merge that is killed continues
//! where it was, and the disk never holds much more than the data once.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{ArtifactError, DocIndex, Dtype, FileRecord, ShardRecord, StagedFile};
use serde::{Deserialize, Serialize};

use super::error::JobError;
use super::state::JobState;

/// How far a merged file is true.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Absorbed {
    shards: usize,
    bin_bytes: u64,
    idx_bytes: u64,
}

/// Joins `shards` into `OUT/STEM.bin` and `.idx`, and returns their record.
///
/// # Errors
///
/// A shard is missing, the system refuses, or the user stopped the job.
pub(crate) fn merge_split(
    out: &Path,
    state: &JobState,
    stem: &str,
    dtype: Dtype,
    shards: &[ShardRecord],
    interrupted: &AtomicBool,
) -> Result<ShardRecord, JobError> {
    // From here on a receipt counts although its shard may be gone.
    let mut absorbed = absorbed_by(out, state, stem)?;
    let (bin, idx) = (out.join(format!("{stem}.bin")), out.join(format!("{stem}.idx")));
    let done = absorbed.shards == shards.len() && bin.exists() && idx.exists();
    if !done {
        state.merging.record(stem, &absorbed)?;
        let (bin_part, idx_part) = (partial(&bin), partial(&idx));
        // A rename that was cut off between the two files is taken back.
        for (whole, part) in [(&bin, &bin_part), (&idx, &idx_part)] {
            if whole.exists() && absorbed.shards > 0 {
                fs::rename(whole, part).map_err(ArtifactError::io(whole))?;
            }
        }
        let mut bin_file = open_at(&bin_part, absorbed.bin_bytes)?;
        let mut idx_file = open_at(&idx_part, absorbed.idx_bytes)?;
        for shard in &shards[absorbed.shards..] {
            if interrupted.load(Ordering::Relaxed) {
                return Err(JobError::Interrupted);
            }
            absorb(
                out,
                shard,
                dtype,
                &mut absorbed,
                &mut bin_file,
                &mut idx_file,
                (&bin_part, &idx_part),
            )?;
            state.merging.record(stem, &absorbed)?;
            for record in [&shard.bin, &shard.idx] {
                record.remove(out)?;
            }
        }
        fs::rename(&bin_part, &bin).map_err(ArtifactError::io(&bin))?;
        fs::rename(&idx_part, &idx).map_err(ArtifactError::io(&idx))?;
        ratdata_schemas::sync_folder_of(&bin)?;
    }
    let width = dtype.width() as u64;
    let record = |path: &Path| {
        FileRecord::of_file(out, path, interrupted).map_err(|wrong| {
            let is_asked = interrupted.load(Ordering::Relaxed);
            if is_asked { JobError::Interrupted } else { wrong.into() }
        })
    };
    Ok(ShardRecord {
        source: None,
        documents: absorbed.idx_bytes / 8,
        tokens: absorbed.bin_bytes / width,
        bin: record(&bin)?,
        idx: record(&idx)?,
        mask: None,
    })
}

/// Returns how many shards of a split are absorbed into its merged file.
pub(crate) fn absorbed_shards(out: &Path, state: &JobState, stem: &str) -> Result<usize, JobError> {
    Ok(absorbed_by(out, state, stem)?.shards)
}

/// Returns how far a merged file is true: not at all where what it had absorbed is no longer there.
fn absorbed_by(out: &Path, state: &JobState, stem: &str) -> Result<Absorbed, JobError> {
    let absorbed: Absorbed = state.merging.read(stem)?.unwrap_or_default();
    let holds = |ending: &str, bytes: u64| {
        let whole = out.join(format!("{stem}.{ending}"));
        [partial(&whole), whole]
            .iter()
            .any(|path| path.metadata().is_ok_and(|metadata| metadata.len() >= bytes))
    };
    let there = holds("bin", absorbed.bin_bytes) && holds("idx", absorbed.idx_bytes);
    Ok(if there { absorbed } else { Absorbed::default() })
}

/// Appends one shard to the merged files and makes them durable.
fn absorb(
    out: &Path,
    shard: &ShardRecord,
    dtype: Dtype,
    absorbed: &mut Absorbed,
    bin_file: &mut File,
    idx_file: &mut File,
    (bin_part, idx_part): (&Path, &Path),
) -> Result<(), JobError> {
    let path = shard.bin.resolve(out)?;
    let mut from = File::open(&path).map_err(ArtifactError::io(&path))?;
    // On Linux this is `copy_file_range` where the file system has it.
    let copied = std::io::copy(&mut from, bin_file).map_err(ArtifactError::io(bin_part))?;
    if copied != shard.bin.bytes {
        return Err(ratdata_schemas::BinError::Size {
            path,
            found: copied,
            expected: shard.bin.bytes,
        }
        .into());
    }
    let before = absorbed.bin_bytes / dtype.width() as u64;
    let index = DocIndex::of_record(&shard.idx, out, shard.documents)?;
    let ends: Vec<u8> = index.ends().iter().flat_map(|end| (end + before).to_le_bytes()).collect();
    idx_file.write_all(&ends).map_err(ArtifactError::io(idx_part))?;
    bin_file.sync_data().map_err(ArtifactError::io(bin_part))?;
    idx_file.sync_data().map_err(ArtifactError::io(idx_part))?;
    absorbed.shards += 1;
    absorbed.bin_bytes += copied;
    absorbed.idx_bytes += ends.len() as u64;
    Ok(())
}

fn partial(path: &Path) -> PathBuf {
    path.with_extension(format!(
        "{}.{}",
        path.extension().unwrap_or_default().to_string_lossy(),
        StagedFile::ENDING
    ))
}

/// Opens a file for appending at `bytes`, forgetting what lies beyond.
fn open_at(path: &Path, bytes: u64) -> Result<File, JobError> {
    if path.is_symlink() {
        fs::remove_file(path).map_err(ArtifactError::io(path))?;
    }
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(ArtifactError::io(path))?;
    file.set_len(bytes)
        .and_then(|()| file.seek(SeekFrom::End(0)))
        .map_err(ArtifactError::io(path))?;
    Ok(file)
}
