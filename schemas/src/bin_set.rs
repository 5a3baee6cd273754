//! A set of token bins read as one: the shards of an artifact's split, or one headerless file.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bin::TokenBin;
use crate::bin_error::BinError;
use crate::checksum::Checksum;
use crate::index::DocIndex;
use crate::manifest::{MANIFEST_FILE, Manifest, ManifestError};
use crate::mmap::MappedFile;
use crate::records::{ShardRecord, SplitRecord};
use crate::regular::read_regular;
use crate::token::{Dtype, TokenId};

/// Why a set of bins could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BinSetError {
    /// The manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A bin or index is missing or wrong.
    #[error(transparent)]
    Bin(#[from] BinError),
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
    /// The split is not made of token bins.
    #[error("{}: split `{split}` holds {found}, not token bins", .root.display())]
    Layout {
        /// The artifact folder.
        root: PathBuf,
        /// The split.
        split: String,
        /// What it holds instead.
        found: &'static str,
    },
}

impl BinSetError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Manifest(wrong) => wrong.hint(),
            Self::Bin(wrong) => wrong.hint(),
            Self::NoSplit { .. } | Self::Layout { .. } => None,
        }
    }
}

/// One shard of a set: a bin with its index and loss mask, if it has them.
#[derive(Debug)]
pub struct Shard {
    bin: TokenBin,
    index: Option<DocIndex>,
    mask: Option<MappedFile>,
    first_token: u64,
}

impl Shard {
    /// Returns the tokens.
    pub fn bin(&self) -> &TokenBin {
        &self.bin
    }

    /// Returns the document ends; a headerless file of another program has none.
    pub fn index(&self) -> Option<&DocIndex> {
        self.index.as_ref()
    }

    /// Returns the loss mask, one bit a token, lowest bit first; none if every token is trained on.
    pub fn mask(&self) -> Option<&[u8]> {
        self.mask.as_ref().map(MappedFile::bytes)
    }

    /// Returns whether the token at `position` of this shard is trained on.
    pub fn is_trained_on(&self, position: usize) -> bool {
        self.mask().is_none_or(|mask| {
            mask.get(position / 8).is_some_and(|byte| byte >> (position % 8) & 1 == 1)
        })
    }

    /// Returns where the shard begins in the set's stream.
    pub fn first_token(&self) -> u64 {
        self.first_token
    }
}

/// The bins of one split, read as one stream of tokens.
#[derive(Debug)]
pub struct BinSet {
    shards: Vec<Shard>,
    dtype: Dtype,
}

impl BinSet {
    /// Opens the split `split` of the artifact folder `root`, and checks every size.
    ///
    /// Opening is cheap, because only `verify` checks checksums.
    ///
    /// # Errors
    ///
    /// The manifest or a file is missing or wrong, or the split is not made of token bins.
    pub fn open(root: &Path, split: &str) -> Result<Self, BinSetError> {
        Self::from_manifest(root, &Manifest::read(root)?, split)
    }

    /// Opens the split `split` of an artifact whose manifest was already read.
    ///
    /// # Errors
    ///
    /// As [`BinSet::open`].
    pub fn from_manifest(
        root: &Path,
        manifest: &Manifest,
        split: &str,
    ) -> Result<Self, BinSetError> {
        let layout =
            |found| BinSetError::Layout { root: root.to_owned(), split: split.to_owned(), found };
        let records = match manifest.splits.get(split) {
            Some(SplitRecord::Shards { shards }) => shards,
            Some(SplitRecord::Pairs(_)) => return Err(layout("rows of inputs and labels")),
            Some(SplitRecord::Pack(_)) => return Err(layout("a pack")),
            Some(SplitRecord::Rows(_)) => return Err(layout("packed rows")),
            None => {
                return Err(BinSetError::NoSplit {
                    root: root.to_owned(),
                    split: split.to_owned(),
                    present: manifest.splits.keys().map(ToString::to_string).collect(),
                });
            }
        };
        let mut shards = Vec::with_capacity(records.len());
        let mut first_token = 0;
        for record in records {
            let shard = open_shard(root, record, manifest.dtype, first_token)?;
            first_token += shard.bin.len();
            shards.push(shard);
        }
        Ok(Self { shards, dtype: manifest.dtype })
    }

    /// Opens one headerless bin, with the `.idx` next to it if there is one.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is not a whole number of ids.
    pub fn open_bin(path: &Path, dtype: Dtype) -> Result<Self, BinSetError> {
        let bin = TokenBin::open(path, dtype)?;
        let idx = path.with_extension("idx");
        let index = if idx.is_file() {
            let index = DocIndex::open(&idx)?;
            index.check(bin.len())?;
            Some(index)
        } else {
            None
        };
        Ok(Self { shards: vec![Shard { bin, index, mask: None, first_token: 0 }], dtype })
    }

    /// Returns the shards in order.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Returns the width of the ids.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Returns how many tokens the stream has.
    pub fn num_tokens(&self) -> u64 {
        self.shards.last().map_or(0, |shard| shard.first_token + shard.bin.len())
    }

    /// Returns how many documents the indexes count.
    pub fn num_documents(&self) -> u64 {
        self.shards.iter().filter_map(Shard::index).map(|index| index.len() as u64).sum()
    }

    /// Returns the shard that holds position `token` of the stream, and the position in the shard.
    pub fn locate(&self, token: u64) -> Option<(usize, usize)> {
        let after = self.shards.partition_point(|shard| shard.first_token <= token);
        let number = after.checked_sub(1)?;
        let shard = &self.shards[number];
        let within = token - shard.first_token;
        if within >= shard.bin.len() {
            return None;
        }
        Some((number, usize::try_from(within).ok()?))
    }

    /// Copies `out.len()` tokens of the stream from position `start`, across shards.
    ///
    /// Returns `false`, and leaves `out` in an unspecified state, if the stream ends before.
    pub fn copy_tokens(&self, start: u64, out: &mut [TokenId]) -> bool {
        self.visit(start, out.len(), |at, shard, from, len| {
            let target = &mut out[at..at + len];
            match shard.bin.tokens() {
                crate::Tokens::U16(ids) => {
                    for (slot, &id) in target.iter_mut().zip(&ids[from..from + len]) {
                        *slot = TokenId::from(id);
                    }
                }
                crate::Tokens::U32(ids) => target.copy_from_slice(&ids[from..from + len]),
            }
        })
    }

    /// Copies the loss mask of `out.len()` tokens of the stream from position `start`.
    ///
    /// Returns `false`, and leaves `out` in an unspecified state, if the stream ends before.
    pub fn copy_mask(&self, start: u64, out: &mut [bool]) -> bool {
        self.visit(start, out.len(), |at, shard, from, len| {
            for (offset, slot) in out[at..at + len].iter_mut().enumerate() {
                *slot = shard.is_trained_on(from + offset);
            }
        })
    }

    /// Calls `piece(done, shard, from, len)` for each shard's tokens in the range.
    fn visit(
        &self,
        start: u64,
        len: usize,
        mut piece: impl FnMut(usize, &Shard, usize, usize),
    ) -> bool {
        if len == 0 {
            return start <= self.num_tokens();
        }
        let Some((mut number, mut from)) = self.locate(start) else { return false };
        let mut done = 0;
        while done < len {
            let Some(shard) = self.shards.get(number) else { return false };
            let take = (shard.bin.tokens().len() - from).min(len - done);
            piece(done, shard, from, take);
            done += take;
            (number, from) = (number + 1, 0);
        }
        true
    }
}

fn open_shard(
    root: &Path,
    record: &ShardRecord,
    dtype: Dtype,
    first_token: u64,
) -> Result<Shard, BinError> {
    let bin = TokenBin::of_record(&record.bin, root, dtype, record.tokens)?;
    let index = DocIndex::of_record(&record.idx, root, record.documents)?;
    let mask = record.mask.as_ref().map(|mask| mask.map(root, record.tokens.div_ceil(8)));
    Ok(Shard { bin, index: Some(index), mask: mask.transpose()?, first_token })
}

/// Returns the checksum of an artifact's manifest, which identifies the base of a pack.
///
/// # Errors
///
/// The manifest cannot be read.
pub fn manifest_checksum(root: &Path) -> Result<Checksum, ManifestError> {
    let path = root.join(MANIFEST_FILE);
    let text = read_regular(&path).map_err(|source| ManifestError::Io { path, source })?;
    Ok(Checksum::of(&text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::recipe::{Import, ImportLayout, Recipe};
    use crate::{PlainName, Semantics, ShardFiles, ShardWriter, TokenizerRecord};

    fn artifact(root: &Path, shards: &[Vec<u16>]) {
        let records = shards
            .iter()
            .enumerate()
            .map(|(number, ids)| {
                let stem = format!("shards/x-train-{number}");
                let mut writer = ShardWriter::create(ShardFiles { root, stem: &stem }).unwrap();
                writer.append_u16(ids, &[u32::try_from(ids.len()).unwrap()]).unwrap();
                writer.finish(None).unwrap()
            })
            .collect();
        let tokenizer = TokenizerRecord {
            name: "x".into(),
            semantics: Semantics::Tokenizers,
            fingerprint: Checksum::of(b"x"),
            vocab_size: 65_536,
            bos: None,
            eos: None,
            unk: None,
            pad: None,
        };
        let manifest = Manifest {
            format_version: crate::manifest::FORMAT_VERSION,
            name: PlainName::near("x"),
            dtype: Dtype::U16,
            tokenizer,
            splits: BTreeMap::from([(
                PlainName::near("train"),
                SplitRecord::Shards { shards: records },
            )]),
            sources: Vec::new(),
            base: None,
            recipe: Recipe::Import(Import {
                from: ImportLayout::Raw,
                split: PlainName::near("train"),
                eos: None,
            }),
        };
        manifest.write(root).unwrap();
    }

    proptest! {
        /// A set reads as the concatenation of its shards, wherever a range begins and ends.
        #[test]
        fn a_set_is_the_concatenation_of_its_shards(
            shards in proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..9), 0..5),
            start in 0..50_u64,
            len in 0..50_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            artifact(folder.path(), &shards);
            let whole: Vec<TokenId> = shards.concat().into_iter().map(TokenId::from).collect();

            let set = BinSet::open(folder.path(), "train").unwrap();
            let mut out = vec![0; len];
            let there = set.copy_tokens(start, &mut out);

            let first = usize::try_from(start).unwrap();
            prop_assert_eq!(set.num_tokens(), whole.len() as u64);
            prop_assert_eq!(there, first + len <= whole.len());
            if there {
                prop_assert_eq!(&out[..], &whole[first..first + len]);
            }
        }
    }

    #[test]
    fn a_bin_that_was_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        artifact(folder.path(), &[vec![1, 2, 3]]);
        std::fs::File::options()
            .write(true)
            .open(folder.path().join("shards/x-train-0.bin"))
            .unwrap()
            .set_len(4)
            .unwrap();

        let refused = BinSet::open(folder.path(), "train").unwrap_err();

        assert!(matches!(refused, BinSetError::Bin(BinError::Size { found: 4, expected: 6, .. })));
    }
}
