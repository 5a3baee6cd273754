//! Writes rows of spans and, where asked, the tokens and the loss mask that they stand for.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{
    ArtifactError, BinSet, Dtype, PackCounts, PackRecord, RowsRecord, Span, SplitRecord,
    StagedFile, TokenId,
};

use super::{Counts, PackConfig, PackError, RowSink};

/// The files of one split of a pack.
pub(super) struct PackWriter<'a> {
    out: &'a Path,
    config: PackConfig,
    row_ends: StagedFile,
    spans: StagedFile,
    plain: Option<PlainRows<'a>>,
    rows: u64,
    count: u64,
    tokens: u64,
    interrupted: &'a AtomicBool,
}

/// The rows written out.
struct PlainRows<'a> {
    base: &'a BinSet,
    fill: TokenId,
    bin: StagedFile,
    mask: StagedFile,
    ids: Vec<TokenId>,
    trained: Vec<bool>,
}

impl<'a> PackWriter<'a> {
    /// Creates the files; `plain` are the bins to copy from and the id to fill rows up with.
    pub(super) fn create(
        (out, stem): (&'a Path, &str),
        config: PackConfig,
        plain: Option<(&'a BinSet, TokenId)>,
        interrupted: &'a AtomicBool,
    ) -> Result<Self, ArtifactError> {
        let create = |ending: &str| StagedFile::create(&out.join(format!("{stem}.{ending}")));
        let plain = match plain {
            None => None,
            Some((base, fill)) => Some(PlainRows {
                base,
                fill,
                bin: create("bin")?,
                mask: create("mask")?,
                ids: Vec::new(),
                trained: Vec::new(),
            }),
        };
        Ok(Self {
            out,
            config,
            row_ends: create("rows")?,
            spans: create("spans")?,
            plain,
            rows: 0,
            count: 0,
            tokens: 0,
            interrupted,
        })
    }

    /// Gives the files their names.
    pub(super) fn finish(self, counts: Counts) -> Result<SplitRecord, ArtifactError> {
        let pack = PackRecord {
            rows: self.rows,
            row_len: self.config.row_len(),
            tokens: self.tokens,
            row_ends: self.row_ends.commit_record(self.out)?,
            spans: self.spans.commit_record(self.out)?,
            counts: Some(PackCounts {
                documents: counts.documents,
                cut: counts.cut,
                dropped: counts.dropped,
                empty: counts.empty,
            }),
        };
        Ok(match self.plain {
            None => SplitRecord::Pack(pack),
            Some(plain) => SplitRecord::Rows(RowsRecord {
                pack,
                bin: plain.bin.commit_record(self.out)?,
                mask: plain.mask.commit_record(self.out)?,
            }),
        })
    }
}

impl RowSink for PackWriter<'_> {
    type Error = PackError;

    /// Takes a row, unless the user stopped the run: one document can have a great many.
    fn row(&mut self, spans: &[Span]) -> Result<(), PackError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(PackError::Interrupted);
        }
        for span in spans {
            self.spans.write(&span.to_bytes())?;
            self.tokens += u64::from(span.len);
        }
        self.rows += 1;
        self.count += spans.len() as u64;
        self.row_ends.write(&self.count.to_le_bytes())?;
        match &mut self.plain {
            None => Ok(()),
            Some(plain) => Ok(plain.row(spans, self.config.row_len() as usize)?),
        }
    }
}

impl PlainRows<'_> {
    fn row(&mut self, spans: &[Span], row_len: usize) -> Result<(), ArtifactError> {
        self.ids.clear();
        self.ids.resize(row_len, self.fill);
        self.trained.clear();
        self.trained.resize(row_len, false);
        for span in spans {
            let from = span.column as usize;
            let range = from..from + span.len as usize;
            // The spans come from the index of these very bins, so they lie within them.
            self.base.copy_tokens(span.start, &mut self.ids[range.clone()]);
            self.base.copy_mask(span.start, &mut self.trained[range]);
            // A document's first token follows nothing, so nothing predicts it.
            self.trained[from] = false;
        }
        let mut bytes = Vec::with_capacity(row_len * 4);
        for &id in &self.ids {
            let [first, second, third, fourth] = id.to_le_bytes();
            match self.base.dtype() {
                Dtype::U16 => bytes.extend([first, second]),
                Dtype::U32 => bytes.extend([first, second, third, fourth]),
            }
        }
        self.bin.write(&bytes)?;
        let mask: Vec<u8> = self
            .trained
            .chunks(8)
            .map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)))
            .collect();
        self.mask.write(&mask)
    }
}
