//! Makes a shard of rows: their sequences, one after the other, become documents with a loss mask.
//!
//! Where rows end is not kept: `pack` makes rows of the documents again.

use ratdata_schemas::{ShardFiles, ShardRecord, ShardWriter, TokenBin, TokenId};

use super::error::TranscodeError;
use super::foreign_rows::each_row;
use super::import::{Brought, Shard};

/// What a first look at the rows says.
#[derive(Default)]
struct Seen {
    /// Whether a token that could be trained on is not.
    is_masked: bool,
    largest: Option<TokenId>,
}

impl Shard<'_> {
    /// Writes the documents of the foreign rows, with a loss mask where not every token is trained on.
    pub(super) fn of_rows(&self) -> Result<Brought, TranscodeError> {
        let (job, file) = (self.job, self.file);
        let mut seen = Seen::default();
        each_row(&file.path, job.from, job.stop, &mut |sequences| {
            // The first token of each sequence never is.
            let trained = sequences.trained.iter().filter(|is| **is).count();
            let starts = sequences.lengths().filter(|length| *length > 0).count();
            seen.is_masked |= trained + starts != sequences.ids.len();
            seen.largest = seen.largest.max(sequences.ids.iter().max().copied());
            Ok(())
        })?;
        if let Some(id) = seen.largest.filter(|id| !file.dtype.holds(*id)) {
            let vocab_size = 1 << 16;
            return Err(TranscodeError::TooLarge { path: file.path.clone(), id, vocab_size });
        }
        let path = self.place("bin")?;
        self.place("idx")?;
        let files = ShardFiles { root: job.out, stem: &self.stem };
        let mut writer = if seen.is_masked {
            self.place("mask")?;
            ShardWriter::create_masked(files)?
        } else {
            ShardWriter::create(files)?
        };
        each_row(&file.path, job.from, job.stop, &mut |sequences| {
            let lengths: Vec<u32> = sequences.lengths().filter(|length| *length > 0).collect();
            let covered = sequences.ends.last().copied().unwrap_or(0) as usize;
            let ids = &sequences.ids[..covered];
            match file.dtype {
                ratdata_schemas::Dtype::U32 => writer.append_u32(ids, &lengths)?,
                ratdata_schemas::Dtype::U16 => {
                    // Each was looked at before.
                    let ids: Vec<u16> = ids.iter().map(|&id| ratdata_schemas::narrow(id)).collect();
                    writer.append_u16(&ids, &lengths)?;
                }
            }
            if seen.is_masked {
                writer.append_mask(&sequences.trained[..covered])?;
            }
            Ok(())
        })?;
        let ShardRecord { documents, bin: record, idx, mask, .. } = writer.finish(None)?;
        let bin = TokenBin::open(&path, file.dtype)?;
        Ok(Brought { bin, record, idx, documents, mask })
    }
}
