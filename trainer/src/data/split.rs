//! One split of one source, as numbered sequences: cut from a stream of tokens, or rows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{BinSet, IGNORE_INDEX, Row, RowSet, TokenId};

use super::error::DataError;
use super::location::SequenceLocation;

/// The sequences of one split, all of one length.
#[derive(Debug)]
pub struct Split {
    path: PathBuf,
    name: String,
    shape: SequenceShape,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// Sequence i is `seq_len` tokens from token i · `seq_len` on, and one more: the last label.
    Stream { bins: BinSet, eos: Option<TokenId>, masked: bool },
    /// Sequence i is row i.
    Rows { rows: RowSet, document_mask: bool },
}

/// Memory that reading a sequence needs, used again for the next one.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    tokens: Vec<TokenId>,
    /// Whether the loss counts a label.
    counts: Vec<bool>,
    row: Row,
}

/// How long sequences are, and how many ids there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceShape {
    /// Inputs in a sequence, and as many labels.
    pub seq_len: usize,
    /// Ids of the vocabulary; every id is less.
    pub vocab_size: usize,
}

/// The memory that one sequence is read into.
#[derive(Debug)]
pub struct SequenceMut<'a> {
    /// Ids, of shape `[seq_len]`.
    pub inputs: &'a mut [i32],
    /// Labels, shifted by one, of shape `[seq_len]`.
    pub labels: &'a mut [i32],
    /// The columns where documents begin that must not see each other; the first of them is 0.
    pub starts: &'a mut Vec<usize>,
}

impl Split {
    /// Cuts a stream of tokens into sequences as the reference does. Sequence `i` begins at token
    /// `i · seq_len`, and its last label is the first input of the next sequence.
    ///
    /// # Errors
    /// Returns [`DataError::Empty`] or [`DataError::Short`] where there is not one sequence.
    pub fn from_stream(
        path: &Path,
        name: &str,
        bins: BinSet,
        eos: Option<TokenId>,
        shape: SequenceShape,
    ) -> Result<Self, DataError> {
        let (found, expected) = (bins.num_tokens(), shape.seq_len as u64 + 1);
        let (at, split) = (path.to_owned(), name.to_owned());
        if found == 0 {
            return Err(DataError::Empty { path: at, split });
        }
        if found < expected {
            return Err(DataError::Short { path: at, split, found, expected });
        }
        let masked = bins.shards().iter().any(|shard| shard.mask().is_some());
        let store = Store::Stream { bins, eos, masked };
        Ok(Self { path: at, name: split, shape, store })
    }

    /// Takes each row of pairs or of a pack as a sequence.
    ///
    /// # Errors
    /// Returns [`DataError::Empty`] where there are none, and [`DataError::SeqLen`] where they
    /// have another length.
    pub fn from_rows(
        path: &Path,
        name: &str,
        rows: RowSet,
        document_mask: bool,
        shape: SequenceShape,
    ) -> Result<Self, DataError> {
        let path = path.to_owned();
        if rows.num_rows() == 0 {
            return Err(DataError::Empty { path, split: name.to_owned() });
        }
        let (found, expected) = (rows.seq_len(), shape.seq_len);
        if found != expected {
            return Err(DataError::SeqLen { path, found, expected });
        }
        let store = Store::Rows { rows, document_mask };
        Ok(Self { path, name: name.to_owned(), shape, store })
    }

    /// Returns the artifact or the bin.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many sequences there are.
    pub fn len(&self) -> u64 {
        match &self.store {
            Store::Stream { bins, .. } => (bins.num_tokens() - 1) / self.shape.seq_len as u64,
            Store::Rows { rows, .. } => rows.num_rows(),
        }
    }

    /// Returns whether there are none, which is never so: such a split is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a sequence.
    ///
    /// A label is [`IGNORE_INDEX`] where it is not trained on: after an end-of-text token, where a
    /// loss mask says so, and in padding.
    ///
    /// # Errors
    /// Returns [`DataError::Id`] where an id is outside the vocabulary.
    ///
    /// # Panics
    /// Past the last sequence, or where a slice has another length than the sequences.
    pub fn read(
        &self,
        row: u64,
        scratch: &mut Scratch,
        mut sequence: SequenceMut<'_>,
    ) -> Result<(), DataError> {
        let SequenceShape { seq_len, vocab_size } = self.shape;
        assert!(row < self.len(), "sequence {row} of {}", self.len());
        assert!(sequence.inputs.len() == seq_len && sequence.labels.len() == seq_len);
        sequence.starts.clear();
        sequence.starts.push(0);
        let highest = match &self.store {
            Store::Stream { bins, eos, masked } => {
                let first = row * seq_len as u64;
                let highest = read_stream(bins, first, *eos, &mut scratch.tokens, &mut sequence);
                if *masked {
                    mask_labels(bins, first, &mut scratch.counts, sequence.labels);
                }
                highest
            }
            Store::Rows { rows, document_mask } => {
                rows.read(row, &mut scratch.row);
                for (slot, &id) in sequence.inputs.iter_mut().zip(&scratch.row.inputs) {
                    *slot = id.cast_signed();
                }
                sequence.labels.copy_from_slice(&scratch.row.labels);
                if *document_mask {
                    let columns = rows.spans(row).map(|span| span.column as usize);
                    let within = columns.filter(|&column| column > 0 && column < seq_len);
                    sequence.starts.extend(within);
                }
                let labels = sequence.labels.iter().copied().max().unwrap_or(0);
                let inputs = scratch.row.inputs.iter().copied().max().unwrap_or(0);
                inputs.max(labels.max(0).cast_unsigned())
            }
        };
        if u64::from(highest) >= vocab_size as u64 {
            let place = format!("{}: split `{}`, sequence {row}", self.path.display(), self.name);
            return Err(DataError::Id { place, found: u64::from(highest), expected: vocab_size });
        }
        Ok(())
    }

    /// Reads all sequences, or `most` of them spread evenly, and returns how many; fewer where
    /// `stop` is set on the way.
    ///
    /// # Errors
    /// Returns [`DataError::Id`] where an id is outside the vocabulary.
    pub fn check(&self, most: u64, stop: &AtomicBool) -> Result<u64, DataError> {
        let mut scratch = Scratch::default();
        let mut inputs = vec![0; self.shape.seq_len];
        let mut labels = vec![0; self.shape.seq_len];
        let (mut starts, mut checked) = (Vec::new(), 0);
        let stride = self.len().div_ceil(most.max(1)).max(1);
        let mut row = 0;
        while row < self.len() && !stop.load(Ordering::Relaxed) {
            let (inputs, labels, starts) = (&mut inputs[..], &mut labels[..], &mut starts);
            self.read(row, &mut scratch, SequenceMut { inputs, labels, starts })?;
            checked += 1;
            row += stride;
        }
        Ok(checked)
    }

    /// Returns where a sequence is on disk.
    pub fn locate(&self, row: u64) -> SequenceLocation {
        let mut location = SequenceLocation {
            path: self.path.clone(),
            split: self.name.clone(),
            row,
            first_token: None,
            shard: None,
            shard_token: None,
        };
        match &self.store {
            Store::Stream { bins, .. } => {
                let first = row * self.shape.seq_len as u64;
                if let Some((shard, within)) = bins.locate(first) {
                    location.first_token = Some(first);
                    location.shard = Some(bins.shards()[shard].bin().path().to_owned());
                    location.shard_token = Some(within);
                }
            }
            Store::Rows { rows, .. } => {
                location.first_token = rows.spans(row).next().map(|span| span.start);
            }
        }
        location
    }
}

/// Reads a sequence of a stream and returns its highest id.
fn read_stream(
    bins: &BinSet,
    first: u64,
    eos: Option<TokenId>,
    tokens: &mut Vec<TokenId>,
    sequence: &mut SequenceMut<'_>,
) -> TokenId {
    tokens.resize(sequence.inputs.len() + 1, 0);
    let there = bins.copy_tokens(first, tokens);
    debug_assert!(there, "the sequences were counted from the length of the stream");
    // No id is so high: without an end-of-text id every token is trained on.
    let eos = eos.unwrap_or(TokenId::MAX);
    let slots = sequence.inputs.iter_mut().zip(&mut *sequence.labels);
    for ((input, label), pair) in slots.zip(tokens.windows(2)) {
        *input = pair[0].cast_signed();
        *label = if pair[0] == eos { IGNORE_INDEX } else { pair[1].cast_signed() };
    }
    tokens.iter().copied().max().unwrap_or(0)
}

/// Removes the labels that the loss mask of a stream leaves out.
fn mask_labels(bins: &BinSet, first: u64, counts: &mut Vec<bool>, labels: &mut [i32]) {
    counts.resize(labels.len(), true);
    bins.copy_mask(first + 1, counts);
    for (label, counts) in labels.iter_mut().zip(counts) {
        *label = if *counts { *label } else { IGNORE_INDEX };
    }
}

#[cfg(test)]
mod tests {
    use ratdata_schemas::recipe::{Import, ImportLayout, Recipe};
    use ratdata_schemas::{
        Checksum, Dtype, FORMAT_VERSION, Manifest, PlainName, Semantics, ShardFiles, ShardWriter,
        SplitRecord, TokenizerRecord,
    };

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]
    fn bin(folder: &Path, ids: &[u16]) -> BinSet {
        let path = folder.join("x.bin");
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        BinSet::open_bin(&path, Dtype::U16).unwrap()
    }

    fn split(folder: &Path, ids: &[u16], seq_len: usize) -> Result<Split, DataError> {
        let shape = SequenceShape { seq_len, vocab_size: 100 };
        Split::from_stream(folder, "train", bin(folder, ids), Some(2), shape)
    }

    fn read(split: &Split, row: u64) -> Result<(Vec<i32>, Vec<i32>), DataError> {
        let mut inputs = vec![0; split.shape.seq_len];
        let mut labels = vec![0; split.shape.seq_len];
        let sequence =
            SequenceMut { inputs: &mut inputs, labels: &mut labels, starts: &mut Vec::new() };
        split.read(row, &mut Scratch::default(), sequence)?;
        Ok((inputs, labels))
    }

    #[test]
    fn sequences_overlap_by_one_token_and_have_no_label_after_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let split = split(folder.path(), &[5, 6, 2, 7, 8, 9, 2, 4], 3).unwrap();

        assert_eq!(split.len(), 2);
        assert_eq!(read(&split, 0).unwrap(), (vec![5, 6, 2], vec![6, 2, -100]));
        assert_eq!(read(&split, 1).unwrap(), (vec![7, 8, 9], vec![8, 9, 2]));
    }

    #[test]
    fn a_loss_mask_says_which_tokens_are_labels() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let files = ShardFiles { root, stem: "x-train" };
        let mut writer = ShardWriter::create_masked(files).unwrap();
        writer.append_u16(&[5, 6, 7, 8, 9, 10, 11], &[7]).unwrap();
        writer.append_mask(&[false, false, true, true, false, true, false]).unwrap();
        let shards = vec![writer.finish(None).unwrap()];
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: PlainName::near("x"),
            dtype: Dtype::U16,
            tokenizer: TokenizerRecord {
                name: "x".into(),
                semantics: Semantics::Tokenizers,
                fingerprint: Checksum::of(b"x"),
                vocab_size: 100,
                bos: None,
                eos: Some(2),
                unk: None,
                pad: None,
            },
            splits: [(PlainName::near("train"), SplitRecord::Shards { shards })].into(),
            sources: Vec::new(),
            base: None,
            recipe: Recipe::Import(Import {
                from: ImportLayout::Raw,
                split: PlainName::near("train"),
                eos: None,
            }),
        };
        let bins = BinSet::from_manifest(root, &manifest, "train").unwrap();
        let shape = SequenceShape { seq_len: 3, vocab_size: 100 };
        let split = Split::from_stream(root, "train", bins, Some(2), shape).unwrap();

        assert_eq!(read(&split, 0).unwrap(), (vec![5, 6, 7], vec![-100, 7, 8]));
        assert_eq!(read(&split, 1).unwrap(), (vec![8, 9, 10], vec![-100, 10, -100]));
    }

    #[test]
    fn an_empty_bin_and_a_short_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();

        let empty = split(folder.path(), &[], 3).unwrap_err();
        let short = split(folder.path(), &[5, 6, 7], 3).unwrap_err();

        assert!(matches!(empty, DataError::Empty { .. }), "{empty}");
        assert!(matches!(short, DataError::Short { found: 3, expected: 4, .. }), "{short}");
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_refused_with_its_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let split = split(folder.path(), &[5, 6, 7, 8, 100, 9, 1], 3).unwrap();

        let refused = read(&split, 1).unwrap_err();

        assert!(matches!(refused, DataError::Id { found: 100, .. }), "{refused}");
        assert!(refused.to_string().contains("sequence 1"), "{refused}");
    }

    #[test]
    fn a_sequence_is_located_in_its_bin() {
        let folder = tempfile::tempdir().unwrap();
        let split = split(folder.path(), &[5, 6, 7, 8, 3, 9, 1], 3).unwrap();

        let location = split.locate(1);

        assert_eq!((location.first_token, location.shard_token), (Some(3), Some(3)));
        assert!(location.shard.unwrap().ends_with("x.bin"));
    }
}
