//! One split of one source as numbered sequences: windows over token bins, or rows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{BinSet, IGNORE_INDEX, Row, RowSet, TokenId};
use serde::Serialize;

use super::error::DataError;

/// The sequences of one split, all of one length.
#[derive(Debug)]
pub struct Split {
    path: PathBuf,
    name: String,
    seq_len: usize,
    vocab_size: usize,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// Sequence i is the tokens from i · `seq_len` on, and one more for the last label.
    Windows { bins: BinSet, eos: Option<TokenId>, masked: bool },
    /// Sequence i is row i.
    Rows { rows: RowSet, document_mask: bool },
}

/// Room for one sequence, used again for the next.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    tokens: Vec<TokenId>,
    learnt: Vec<bool>,
    row: Row,
}

/// Where a sequence lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The artifact or the bin.
    pub path: PathBuf,
    /// The part.
    pub split: String,
    /// The sequence's number in it.
    pub row: u64,
    /// Where it begins in the stream of tokens; rows of pairs have no such place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<u64>,
    /// The token bin that it begins in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<PathBuf>,
    /// Where it begins in that bin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_token: Option<usize>,
}

impl Split {
    /// Cuts a stream of tokens into windows as the reference does: sequence `i` begins at token
    /// `i · seq_len` and shares its last label's token with the next.
    ///
    /// # Errors
    /// Returns [`DataError::Empty`] or [`DataError::Short`] where there is not one sequence.
    pub fn windows(
        path: &Path,
        name: &str,
        bins: BinSet,
        eos: Option<TokenId>,
        [seq_len, vocab_size]: [usize; 2],
    ) -> Result<Self, DataError> {
        let (found, expected) = (bins.num_tokens(), seq_len as u64 + 1);
        let (at, split) = (path.to_owned(), name.to_owned());
        if found == 0 {
            return Err(DataError::Empty { path: at, split });
        }
        if found < expected {
            return Err(DataError::Short { path: at, split, found, expected });
        }
        let masked = bins.shards().iter().any(|shard| shard.mask().is_some());
        let store = Store::Windows { bins, eos, masked };
        Ok(Self { path: at, name: split, seq_len, vocab_size, store })
    }

    /// Takes the rows of pairs or of a pack.
    ///
    /// # Errors
    /// Returns [`DataError::Empty`] where there are none, and [`DataError::SeqLen`] where they
    /// have another length.
    pub fn rows(
        path: &Path,
        name: &str,
        rows: RowSet,
        document_mask: bool,
        [seq_len, vocab_size]: [usize; 2],
    ) -> Result<Self, DataError> {
        let path = path.to_owned();
        if rows.num_rows() == 0 {
            return Err(DataError::Empty { path, split: name.to_owned() });
        }
        if rows.seq_len() != seq_len {
            return Err(DataError::SeqLen { path, found: rows.seq_len(), expected: seq_len });
        }
        let store = Store::Rows { rows, document_mask };
        Ok(Self { path, name: name.to_owned(), seq_len, vocab_size, store })
    }

    /// Returns the artifact or the bin.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many sequences there are.
    pub fn len(&self) -> u64 {
        match &self.store {
            Store::Windows { bins, .. } => (bins.num_tokens() - 1) / self.seq_len as u64,
            Store::Rows { rows, .. } => rows.num_rows(),
        }
    }

    /// Returns whether there are none: never, such a split is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a sequence.
    ///
    /// Labels are shifted by one and [`IGNORE_INDEX`] where nothing is learnt: after an
    /// end-of-text token, where a loss mask says so, and in padding. `starts` gets the columns
    /// where documents begin that must not see each other, the first of them 0.
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
        (inputs, labels): (&mut [i32], &mut [i32]),
        starts: &mut Vec<usize>,
    ) -> Result<(), DataError> {
        assert!(row < self.len(), "sequence {row} of {}", self.len());
        assert!(inputs.len() == self.seq_len && labels.len() == self.seq_len);
        starts.clear();
        starts.push(0);
        let highest = match &self.store {
            Store::Windows { bins, eos, masked } => {
                let first = row * self.seq_len as u64;
                let highest = read_window(bins, first, *eos, scratch, (inputs, &mut *labels));
                if *masked {
                    scratch.learnt.resize(self.seq_len, true);
                    bins.copy_mask(first + 1, &mut scratch.learnt);
                    for (label, learnt) in labels.iter_mut().zip(&scratch.learnt) {
                        *label = if *learnt { *label } else { IGNORE_INDEX };
                    }
                }
                highest
            }
            Store::Rows { rows, document_mask } => {
                rows.read(row, &mut scratch.row);
                for (slot, &id) in inputs.iter_mut().zip(&scratch.row.inputs) {
                    *slot = id.cast_signed();
                }
                labels.copy_from_slice(&scratch.row.labels);
                if *document_mask {
                    let columns = rows.spans(row).map(|span| span.column as usize);
                    starts.extend(columns.filter(|&column| column > 0 && column < self.seq_len));
                }
                let learnt = labels.iter().copied().max().unwrap_or(0).max(0).cast_unsigned();
                scratch.row.inputs.iter().copied().max().unwrap_or(0).max(learnt)
            }
        };
        if u64::from(highest) >= self.vocab_size as u64 {
            let place = format!("{}: split `{}`, sequence {row}", self.path.display(), self.name);
            let found = u64::from(highest);
            return Err(DataError::Id { place, found, expected: self.vocab_size });
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
        let (mut inputs, mut labels) = (vec![0; self.seq_len], vec![0; self.seq_len]);
        let (mut starts, mut checked) = (Vec::new(), 0);
        let stride = usize::try_from(self.len().div_ceil(most.max(1))).unwrap_or(usize::MAX);
        for row in (0..self.len()).step_by(stride) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.read(row, &mut scratch, (&mut inputs, &mut labels), &mut starts)?;
            checked += 1;
        }
        Ok(checked)
    }

    /// Says where a sequence lies on disk.
    pub fn place(&self, row: u64) -> Place {
        let located = match &self.store {
            Store::Windows { bins, .. } => {
                let first = row * self.seq_len as u64;
                bins.locate(first).map(|(shard, within)| {
                    (first, Some((bins.shards()[shard].bin().path().to_owned(), within)))
                })
            }
            Store::Rows { rows, .. } => rows.spans(row).next().map(|span| (span.start, None)),
        };
        let (shard, shard_token) = located.as_ref().and_then(|(_, shard)| shard.clone()).unzip();
        Place {
            path: self.path.clone(),
            split: self.name.clone(),
            row,
            first_token: located.map(|(first, _)| first),
            shard,
            shard_token,
        }
    }
}

/// Reads a window and returns its highest id.
fn read_window(
    bins: &BinSet,
    first: u64,
    eos: Option<TokenId>,
    scratch: &mut Scratch,
    (inputs, labels): (&mut [i32], &mut [i32]),
) -> TokenId {
    let seq_len = inputs.len();
    scratch.tokens.resize(seq_len + 1, 0);
    let there = bins.copy_tokens(first, &mut scratch.tokens);
    debug_assert!(there, "the window was counted from the stream's length");
    let (tokens, ignored) = (&scratch.tokens, IGNORE_INDEX);
    // No id is so high: without an end-of-text id every token is learnt.
    let eos = eos.unwrap_or(TokenId::MAX);
    for ((input, label), pair) in inputs.iter_mut().zip(&mut *labels).zip(tokens.windows(2)) {
        *input = pair[0].cast_signed();
        *label = if pair[0] == eos { ignored } else { pair[1].cast_signed() };
    }
    tokens.iter().copied().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use ratdata_schemas::FORMAT_VERSION;
    use ratdata_schemas::{
        Checksum, Dtype, Manifest, PlainName, ShardFiles, ShardWriter, SplitRecord, TokenizerRecord,
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
        Split::windows(folder, "train", bin(folder, ids), Some(2), [seq_len, 100])
    }

    fn read(split: &Split, row: u64) -> Result<(Vec<i32>, Vec<i32>), DataError> {
        let (mut inputs, mut labels) = (vec![0; split.seq_len], vec![0; split.seq_len]);
        let mut starts = Vec::new();
        split.read(row, &mut Scratch::default(), (&mut inputs, &mut labels), &mut starts)?;
        Ok((inputs, labels))
    }

    #[test]
    fn windows_overlap_by_one_token_and_learn_nothing_after_an_end() {
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
                semantics: "tokenizers".into(),
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
            config: serde_json::Value::Null,
        };
        let bins = BinSet::from_manifest(root, &manifest, "train").unwrap();
        let split = Split::windows(root, "train", bins, Some(2), [3, 100]).unwrap();

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
    fn an_id_outside_the_vocabulary_is_refused_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let split = split(folder.path(), &[5, 6, 7, 8, 100, 9, 1], 3).unwrap();

        let refused = read(&split, 1).unwrap_err();

        assert!(matches!(refused, DataError::Id { found: 100, .. }), "{refused}");
        assert!(refused.to_string().contains("sequence 1"), "{refused}");
    }

    #[test]
    fn a_sequence_knows_its_bin() {
        let folder = tempfile::tempdir().unwrap();
        let split = split(folder.path(), &[5, 6, 7, 8, 3, 9, 1], 3).unwrap();

        let place = split.place(1);

        assert_eq!((place.first_token, place.shard_token), (Some(3), Some(3)));
        assert!(place.shard.unwrap().ends_with("x.bin"));
    }
}
