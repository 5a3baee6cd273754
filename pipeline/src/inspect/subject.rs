//! What a path names: an artifact, a file of one, a headerless bin, or a pair of row files.

use std::path::{Path, PathBuf};

use ratdata_schemas::{
    BinSet, BinSetError, Dtype, MANIFEST_FILE, MAX_ROW_LEN, Manifest, RowSet, RowSetError,
    SplitRecord, TokenizerRecord,
};

use crate::failure::{Failure, Kind};

/// The most folders between a file and its manifest.
const ABOVE: usize = 3;

/// Something with tokens.
#[derive(Debug)]
pub(crate) enum Subject {
    /// An artifact, or the split and shard of one that a file belongs to.
    Artifact { root: PathBuf, manifest: Box<Manifest> },
    /// A headerless bin of any program.
    Bin { path: PathBuf, dtype: Dtype },
    /// Rows of inputs and labels without a manifest.
    Pair { inputs: PathBuf, labels: PathBuf, row_len: u32 },
}

/// The tokens of one split of a subject.
#[derive(Debug)]
pub(crate) enum SplitTokens {
    /// A stream.
    Bins(BinSet),
    /// Rows.
    Rows(RowSet),
}

impl Subject {
    /// Finds out what a path names; `dtype` and `row_len` are for files that do not record them.
    ///
    /// # Errors
    ///
    /// A folder has no valid manifest, or the row length of a pair is not known.
    pub(crate) fn of(path: &Path, dtype: Dtype, row_len: Option<u32>) -> Result<Self, Failure> {
        if path.is_dir() {
            return Ok(Self::Artifact { root: path.to_owned(), manifest: Box::new(read(path)?) });
        }
        if let Some((root, manifest)) = artifact_above(path) {
            return Ok(Self::Artifact { root, manifest: Box::new(manifest) });
        }
        match pair_of(path) {
            Some((inputs, labels)) => {
                let row_len = row_len_of(&inputs, row_len)?;
                Ok(Self::Pair { inputs, labels, row_len })
            }
            None => Ok(Self::Bin { path: path.to_owned(), dtype }),
        }
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Artifact { root, .. } => root,
            Self::Bin { path, .. } | Self::Pair { inputs: path, .. } => path,
        }
    }

    /// Returns its manifest, if it has one.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Artifact { manifest, .. } => Some(manifest),
            _ => None,
        }
    }

    /// Returns the tokenizer that its manifest records.
    pub(crate) fn tokenizer(&self) -> Option<&TokenizerRecord> {
        self.manifest().map(|manifest| &manifest.tokenizer)
    }

    /// Returns the names of its splits.
    pub(crate) fn parts(&self) -> Vec<String> {
        match self {
            Self::Artifact { manifest, .. } => {
                manifest.splits.keys().map(ToString::to_string).collect()
            }
            Self::Bin { .. } => vec!["bin".into()],
            Self::Pair { .. } => vec!["pair".into()],
        }
    }

    /// Opens a split, and checks that its index stays within the bin.
    ///
    /// # Errors
    ///
    /// A file is missing or incomplete.
    pub(crate) fn open(&self, part: &str) -> Result<SplitTokens, Failure> {
        match self {
            Self::Artifact { root, manifest } => match manifest.splits.get(part) {
                Some(SplitRecord::Shards { .. }) | None => {
                    open_bins(root, manifest, part).map(SplitTokens::Bins)
                }
                Some(_) => {
                    RowSet::open(root, part).map(SplitTokens::Rows).map_err(|w| rows_failure(&w))
                }
            },
            Self::Bin { path, dtype } => {
                BinSet::open_bin(path, *dtype).map(SplitTokens::Bins).map_err(|w| bins_failure(&w))
            }
            Self::Pair { inputs, labels, row_len } => RowSet::open_pair(inputs, labels, *row_len)
                .map(SplitTokens::Rows)
                .map_err(|wrong| rows_failure(&wrong)),
        }
    }
}

fn read(root: &Path) -> Result<Manifest, Failure> {
    Manifest::read(root).map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
}

/// Opens the bins of a split and checks that their indexes stay within the bins.
pub(crate) fn open_bins(root: &Path, manifest: &Manifest, split: &str) -> Result<BinSet, Failure> {
    let set = BinSet::from_manifest(root, manifest, split).map_err(|wrong| bins_failure(&wrong))?;
    for shard in set.shards() {
        if let Some(index) = shard.index() {
            index
                .check(shard.bin().len())
                .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        }
    }
    Ok(set)
}

fn bins_failure(wrong: &BinSetError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

pub(crate) fn rows_failure(wrong: &RowSetError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

/// Finds the artifact that a file belongs to, and keeps only the file's split of its manifest.
///
/// The path is tried before its links are followed: a file of an artifact may be a link to another
/// folder.
fn artifact_above(path: &Path) -> Option<(PathBuf, Manifest)> {
    let written = std::path::absolute(path).ok();
    let real = path.canonicalize().ok();
    written.into_iter().chain(real).find_map(|path| artifact_of(&path))
}

fn artifact_of(path: &Path) -> Option<(PathBuf, Manifest)> {
    let root = path.ancestors().skip(1).take(ABOVE).find(|f| f.join(MANIFEST_FILE).is_file())?;
    let mut manifest = Manifest::read(root).ok()?;
    let is_file = |file: &ratdata_schemas::FileRecord| file.place(root) == path;
    let (name, split) =
        manifest.splits.into_iter().find(|(_, split)| split.files().into_iter().any(is_file))?;
    let split = match split {
        SplitRecord::Shards { mut shards } => {
            shards.retain(|shard| is_file(&shard.bin) || is_file(&shard.idx));
            if shards.is_empty() {
                return None;
            }
            SplitRecord::Shards { shards }
        }
        rows => rows,
    };
    manifest.splits = [(name, split)].into();
    // The sources belong to the whole artifact, not to the shard.
    manifest.sources.clear();
    Some((root.to_owned(), manifest))
}

/// Returns the inputs and labels of a pair that a file belongs to, if both exist.
fn pair_of(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix("-inputs.bin").or_else(|| name.strip_suffix("-labels.bin"))?;
    let sibling = |ending: &str| path.with_file_name(format!("{stem}-{ending}.bin"));
    let (inputs, labels) = (sibling("inputs"), sibling("labels"));
    (inputs.is_file() && labels.is_file()).then_some((inputs, labels))
}

/// Returns how many tokens the rows of a pair have: the given number, or the one in the file name.
fn row_len_of(inputs: &Path, said: Option<u32>) -> Result<u32, Failure> {
    let named = || {
        let stem = inputs.file_name()?.to_str()?.strip_suffix("-inputs.bin")?;
        stem.rsplit('-').next()?.parse().ok().filter(|len: &u32| (1..=MAX_ROW_LEN).contains(len))
    };
    said.or_else(named).ok_or_else(|| {
        let message = format!(
            "{}: rows of inputs and labels, of a length that is not known",
            inputs.display()
        );
        Failure::message(Kind::Usage, message)
            .hinted(Some("say how many tokens a row has with `--row-len`"))
    })
}
