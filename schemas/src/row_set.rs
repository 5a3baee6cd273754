//! Rows to train on, in any layout: pairs, a pack, or rows that were written out.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bin_error::BinError;
use crate::bin_set::{BinSet, BinSetError, manifest_checksum};
use crate::manifest::{Manifest, ManifestError};
use crate::mmap::MappedFile;
use crate::narrow::narrow;
use crate::records::{PackRecord, PairsRecord, RowsRecord, Span, SplitRecord};
use crate::token::{Dtype, IGNORE_INDEX, TokenId};

/// Why rows could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RowSetError {
    /// A manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file is missing or has another size.
    #[error(transparent)]
    Bin(#[from] BinError),
    /// The bins that a pack indexes cannot be opened.
    #[error("{}: the base of the pack: {source}", .root.display())]
    Base {
        /// The pack.
        root: PathBuf,
        /// What is wrong with the base.
        source: BinSetError,
    },
    /// The base has changed since it was packed.
    #[error("{}: packed from {}, which is another artifact now", .root.display(), .base.display())]
    OtherBase {
        /// The pack.
        root: PathBuf,
        /// The base.
        base: PathBuf,
    },
    /// The pack has another width of ids than its base.
    #[error("{}: `dtype` is {found}, and its base {} has {expected}", .root.display(), .base.display())]
    Dtype {
        /// The pack.
        root: PathBuf,
        /// The width of the pack.
        found: Dtype,
        /// The base.
        base: PathBuf,
        /// The width of the base.
        expected: Dtype,
    },
    /// The artifact has no such split.
    #[error("{}: no split `{split}`, there are: {}", .root.display(), .present.join(", "))]
    NoSplit {
        /// The artifact folder.
        root: PathBuf,
        /// The split that was asked for.
        split: String,
        /// The splits that exist.
        present: Vec<String>,
    },
    /// The split holds a stream of tokens.
    #[error("{}: split `{split}` holds token bins, not rows", .root.display())]
    NoRows {
        /// The artifact folder.
        root: PathBuf,
        /// The split.
        split: String,
    },
    /// A row's spans do not fit the row or the stream.
    #[error("{}: row {row}: {reason}", .path.display())]
    Spans {
        /// The file of spans or of row ends.
        path: PathBuf,
        /// The first row that is wrong.
        row: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl RowSetError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Manifest(wrong) => wrong.hint(),
            Self::Bin(wrong) => wrong.hint(),
            Self::Base { source, .. } => source
                .hint()
                .or(Some("a pack reads its base; keep it, or pack with `--materialize`")),
            Self::OtherBase { .. } | Self::Dtype { .. } => Some("pack it again: `ratdata pack`"),
            Self::NoRows { .. } => Some("make rows of it with `ratdata pack`"),
            Self::NoSplit { .. } | Self::Spans { .. } => None,
        }
    }
}

/// One row, ready to train on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// `[seq_len]` ids; padding is the pad id, or EOS if there is no pad id.
    pub inputs: Vec<TokenId>,
    /// `[seq_len]` labels, already shifted by one; [`IGNORE_INDEX`] where the loss ignores them.
    pub labels: Vec<i32>,
    /// The ends of the documents in `inputs`, ascending; columns after the last are padding.
    pub document_ends: Vec<u32>,
}

impl Row {
    /// Returns the inputs without padding.
    pub fn text(&self) -> &[TokenId] {
        let end = self.document_ends.last().map_or(0, |&end| end as usize);
        &self.inputs[..end.min(self.inputs.len())]
    }

    /// Returns which tokens of [`text`](Self::text) are trained on: those that the position before
    /// has as its label. The first token is the label of no position.
    pub fn trained(&self) -> Vec<bool> {
        let end = self.text().len();
        let before = self.labels[..end].iter().map(|&label| label != IGNORE_INDEX);
        std::iter::once(false).chain(before).take(end).collect()
    }
}

/// The rows of one split.
#[derive(Debug)]
pub struct RowSet {
    rows: u64,
    seq_len: usize,
    fill: TokenId,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Pairs { inputs: MappedFile, labels: MappedFile, lengths: Option<MappedFile> },
    Pack { spans: Spans, base: BinSet },
    Rows { spans: Spans, bin: MappedFile, mask: MappedFile, dtype: Dtype },
}

impl RowSet {
    /// Opens the split `split` of the artifact folder `root`, and checks sizes and spans.
    ///
    /// # Errors
    ///
    /// A manifest or file is missing or wrong, or the split does not hold rows.
    pub fn open(root: &Path, split: &str) -> Result<Self, RowSetError> {
        let manifest = Manifest::read(root)?;
        let fill = manifest.tokenizer.pad.or(manifest.tokenizer.eos).unwrap_or(0);
        let record = manifest.splits.get(split).ok_or_else(|| RowSetError::NoSplit {
            root: root.to_owned(),
            split: split.to_owned(),
            present: manifest.splits.keys().map(ToString::to_string).collect(),
        })?;
        match record {
            SplitRecord::Pairs(pairs) => Self::open_pairs(root, pairs, fill),
            SplitRecord::Pack(pack) => Self::open_pack(root, &manifest, split, pack, fill),
            SplitRecord::Rows(rows) => Self::open_rows(root, &manifest, rows, fill),
            SplitRecord::Shards { .. } => {
                Err(RowSetError::NoRows { root: root.to_owned(), split: split.to_owned() })
            }
        }
    }

    fn open_pairs(root: &Path, pairs: &PairsRecord, fill: TokenId) -> Result<Self, RowSetError> {
        let ids = pairs.rows.saturating_mul(u64::from(pairs.row_len));
        let store = Store::Pairs {
            inputs: pairs.inputs.map(root, ids.saturating_mul(2))?,
            labels: pairs.labels.map(root, ids.saturating_mul(2))?,
            lengths: Some(pairs.lengths.map(root, pairs.rows.saturating_mul(8))?),
        };
        Ok(Self { rows: pairs.rows, seq_len: pairs.row_len as usize, fill, store })
    }

    fn open_pack(
        root: &Path,
        manifest: &Manifest,
        split: &str,
        pack: &PackRecord,
        fill: TokenId,
    ) -> Result<Self, RowSetError> {
        let Some(base) = &manifest.base else {
            return Err(RowSetError::Base {
                root: root.to_owned(),
                source: BinSetError::Layout {
                    root: root.to_owned(),
                    split: split.to_owned(),
                    found: "a pack without a base",
                },
            });
        };
        let folder = root.join(&base.path);
        if manifest_checksum(&folder)? != base.manifest {
            return Err(RowSetError::OtherBase { root: root.to_owned(), base: folder });
        }
        let bins = BinSet::open(&folder, split)
            .map_err(|source| RowSetError::Base { root: root.to_owned(), source })?;
        if bins.dtype() != manifest.dtype {
            return Err(RowSetError::Dtype {
                root: root.to_owned(),
                found: manifest.dtype,
                base: folder,
                expected: bins.dtype(),
            });
        }
        let spans = Spans::open(root, pack, bins.num_tokens())?;
        let seq_len = (pack.row_len as usize).saturating_sub(1);
        Ok(Self { rows: pack.rows, seq_len, fill, store: Store::Pack { spans, base: bins } })
    }

    fn open_rows(
        root: &Path,
        manifest: &Manifest,
        rows: &RowsRecord,
        fill: TokenId,
    ) -> Result<Self, RowSetError> {
        let (count, row_len) = (rows.pack.rows, u64::from(rows.pack.row_len));
        let dtype = manifest.dtype;
        let bytes = count.saturating_mul(row_len).saturating_mul(dtype.width() as u64);
        let store = Store::Rows {
            spans: Spans::open(root, &rows.pack, u64::MAX)?,
            bin: rows.bin.map(root, bytes)?,
            mask: rows.mask.map(root, count.saturating_mul(row_len.div_ceil(8)))?,
            dtype,
        };
        let seq_len = (rows.pack.row_len as usize).saturating_sub(1);
        Ok(Self { rows: count, seq_len, fill, store })
    }

    /// Opens a pair of `i16` files without a manifest: the reference's, or one that was moved.
    ///
    /// If the file with the lengths of rows is not next to them, a row ends at its last label.
    ///
    /// # Errors
    ///
    /// A file cannot be read, is not a whole number of rows, or differs in length from the other.
    pub fn open_pair(inputs: &Path, labels: &Path, row_len: u32) -> Result<Self, RowSetError> {
        let row_bytes = u64::from(row_len.max(1)) * 2;
        let open = |path: &Path| {
            MappedFile::open(path).map_err(|source| BinError::Io { path: path.to_owned(), source })
        };
        let size = |path: &Path, file: &MappedFile, expected: u64| {
            let found = file.bytes().len() as u64;
            if found == expected {
                return Ok(());
            }
            Err(BinError::Size { path: path.to_owned(), found, expected })
        };
        let (first, second) = (open(inputs)?, open(labels)?);
        let rows = first.bytes().len() as u64 / row_bytes;
        size(inputs, &first, rows * row_bytes)?;
        size(labels, &second, rows * row_bytes)?;
        let name = inputs.file_name().map(|name| name.to_string_lossy().into_owned());
        let stem = name.as_deref().and_then(|name| name.strip_suffix("-inputs.bin"));
        let sibling = stem.map(|stem| inputs.with_file_name(format!("{stem}-lengths.bin")));
        let lengths = match sibling.filter(|path| path.is_file()) {
            None => None,
            Some(path) => {
                let file = open(&path)?;
                size(&path, &file, rows * 8)?;
                Some(file)
            }
        };
        let store = Store::Pairs { inputs: first, labels: second, lengths };
        Ok(Self { rows, seq_len: row_len.max(1) as usize, fill: 0, store })
    }

    /// Opens rows that were written out as a pack: as the spans over the base that they came from.
    ///
    /// # Errors
    ///
    /// As [`RowSet::open`]; and the base is missing or has changed.
    pub fn open_over_base(root: &Path, split: &str) -> Result<Self, RowSetError> {
        let manifest = Manifest::read(root)?;
        let fill = manifest.tokenizer.pad.or(manifest.tokenizer.eos).unwrap_or(0);
        match manifest.splits.get(split) {
            Some(SplitRecord::Rows(rows)) => {
                Self::open_pack(root, &manifest, split, &rows.pack, fill)
            }
            _ => Self::open(root, split),
        }
    }

    /// Returns how many rows there are.
    pub fn num_rows(&self) -> u64 {
        self.rows
    }

    /// Returns how many inputs a row has: the row length of pairs, one less in packs.
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Returns the length of a row's prompt, and the row's length without padding, from the file of
    /// lengths of pairs; other rows have no such file.
    ///
    /// # Panics
    ///
    /// Past the last row, as a slice does.
    pub fn recorded_lengths(&self, row: u64) -> Option<(u32, u32)> {
        let Store::Pairs { lengths: Some(lengths), .. } = &self.store else { return None };
        let (words, first) = (lengths.as_u32(), 2 * place(row));
        Some((words[first], words[first + 1]))
    }

    /// Returns the spans of a row of a pack, in the order of their columns; pairs have none.
    ///
    /// # Panics
    ///
    /// Past the last row, as a slice does.
    pub fn spans(&self, row: u64) -> impl Iterator<Item = Span> + '_ {
        let spans = match &self.store {
            Store::Pairs { .. } => None,
            Store::Pack { spans, .. } | Store::Rows { spans, .. } => Some(spans),
        };
        spans.into_iter().flat_map(move |spans| spans.of(place(row)))
    }

    /// Reads row number `row` into `into`, and reuses its memory.
    ///
    /// # Panics
    ///
    /// Past the last row, as a slice does.
    pub fn read(&self, row: u64, into: &mut Row) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let row = place(row);
        into.inputs.clear();
        into.labels.clear();
        into.document_ends.clear();
        match &self.store {
            Store::Pairs { inputs, labels, lengths } => {
                let range = row * self.seq_len..(row + 1) * self.seq_len;
                let signed = |id: &u16| i32::from(id.cast_signed());
                into.inputs.extend(inputs.as_u16()[range.clone()].iter().map(|&id| u32::from(id)));
                into.labels.extend(labels.as_u16()[range].iter().map(signed));
                let len = match lengths {
                    Some(lengths) => lengths.as_u32()[2 * row + 1] as usize,
                    // Only the labels say where the row's text ends.
                    None => into
                        .labels
                        .iter()
                        .rposition(|&label| label != IGNORE_INDEX)
                        .map_or(self.seq_len, |last| last + 1),
                };
                let end = narrow(len.min(self.seq_len));
                into.document_ends.push(end);
            }
            Store::Pack { spans, base } => {
                self.lay_out(spans.of(row), into, |span, ids, trained| {
                    // The spans were checked against the base when the set was opened.
                    base.copy_tokens(span.start, ids);
                    base.copy_mask(span.start, trained);
                });
            }
            Store::Rows { spans, bin, mask, dtype } => {
                let row_len = self.seq_len + 1;
                let mask = &mask.bytes()[row * row_len.div_ceil(8)..];
                self.lay_out(spans.of(row), into, |span, ids, trained| {
                    let column = span.column as usize;
                    let from = row * row_len + column;
                    for (at, (id, trained)) in ids.iter_mut().zip(trained).enumerate() {
                        *id = match dtype {
                            Dtype::U16 => u32::from(bin.as_u16()[from + at]),
                            Dtype::U32 => bin.as_u32()[from + at],
                        };
                        *trained = mask[(column + at) / 8] >> ((column + at) % 8) & 1 == 1;
                    }
                });
            }
        }
    }

    /// Copies the spans of a row into inputs and labels.
    ///
    /// A token is a label if it is trained on and the previous token of the row is in the same span,
    /// because nothing predicts the first token of a document.
    fn lay_out(
        &self,
        spans: impl Iterator<Item = Span>,
        into: &mut Row,
        mut fetch: impl FnMut(Span, &mut [TokenId], &mut [bool]),
    ) {
        let row_len = self.seq_len + 1;
        into.inputs.resize(row_len, self.fill);
        into.labels.resize(self.seq_len, IGNORE_INDEX);
        let mut trained = vec![false; row_len];
        for span in spans {
            let range = span.column as usize..span.column as usize + span.len as usize;
            fetch(span, &mut into.inputs[range.clone()], &mut trained[range.clone()]);
            let targets = into.inputs[range.clone()].iter().zip(&trained[range.clone()]).skip(1);
            for (label, (&id, &trained)) in into.labels[range.start..].iter_mut().zip(targets) {
                if trained {
                    *label = id.cast_signed();
                }
            }
            let end = range.end.min(self.seq_len);
            if range.start < end {
                into.document_ends.push(narrow(end));
            }
        }
        into.inputs.truncate(self.seq_len);
    }
}

/// The spans of all rows.
#[derive(Debug)]
struct Spans {
    row_ends: MappedFile,
    spans: MappedFile,
}

impl Spans {
    fn open(root: &Path, pack: &PackRecord, stream: u64) -> Result<Self, RowSetError> {
        let row_ends = pack.row_ends.map(root, pack.rows.saturating_mul(8))?;
        let spans = pack.spans.map(root, pack.spans.bytes)?;
        let opened = Self { row_ends, spans };
        opened.check(pack, stream).map_err(|(row, reason)| RowSetError::Spans {
            path: pack.spans.place(root),
            row,
            reason,
        })?;
        Ok(opened)
    }

    /// Checks every span, so that reading a row cannot leave the row or the stream.
    fn check(&self, pack: &PackRecord, stream: u64) -> Result<(), (u64, String)> {
        let count = (self.spans.bytes().len() / Span::BYTES) as u64;
        let (mut from, mut tokens) = (0, 0_u64);
        for (row, &end) in (0..).zip(self.row_ends.as_u64()) {
            if end < from || end > count {
                return Err((row, format!("its spans end at {end}, after {from} of {count}")));
            }
            let mut column = 0;
            for span in self.range(place(from)..place(end)) {
                let wrong = |what: &str| Err((row, format!("{span:?} {what}")));
                if span.column < column || span.len == 0 {
                    return wrong("begins before the one before it ends, or is empty");
                }
                match span.column.checked_add(span.len) {
                    Some(after) if after <= pack.row_len => column = after,
                    _ => return wrong("passes the end of the row"),
                }
                if span.start.checked_add(u64::from(span.len)).is_none_or(|end| end > stream) {
                    return wrong("passes the end of the tokens");
                }
                tokens = tokens.saturating_add(u64::from(span.len));
            }
            from = end;
        }
        if from != count || !self.spans.bytes().len().is_multiple_of(Span::BYTES) {
            return Err((pack.rows, format!("the rows end at span {from}, and there are {count}")));
        }
        if tokens != pack.tokens {
            let said = pack.tokens;
            return Err((
                pack.rows,
                format!("the spans cover {tokens} tokens, recorded are {said}"),
            ));
        }
        Ok(())
    }

    fn of(&self, row: usize) -> impl Iterator<Item = Span> + '_ {
        let ends = self.row_ends.as_u64();
        let from = if row == 0 { 0 } else { ends[row - 1] };
        self.range(place(from)..place(ends[row]))
    }

    fn range(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = Span> + '_ {
        self.spans.bytes().as_chunks::<{ Span::BYTES }>().0[range]
            .iter()
            .map(|&bytes| Span::from_bytes(bytes))
    }
}

/// Converts a position in a mapped file: all mapped bytes are within the address space.
fn place(number: u64) -> usize {
    narrow(number)
}
