//! One source of a run: an artifact or a headerless bin, with its parts for training and validation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ratdata_schemas::{
    BinError, BinSet, BinSetError, Checksum, Manifest, RowSet, SplitRecord, manifest_checksum,
};

use super::config::DataConfig;
use super::error::DataError;
use super::split::Split;
use crate::model::ModelConfig;

/// What a validation part may be called.
const VALIDATION: [&str; 2] = ["val", "validation"];

/// What is hashed at either end of a headerless bin.
const ENDS: u64 = 1 << 20;

/// One source of a run.
#[derive(Debug)]
pub struct Source {
    /// Its name in the mixture.
    pub name: String,
    /// Its part of the sequences, relative to the other sources'.
    pub weight: f64,
    /// What is trained on.
    pub train: Split,
    /// What is validated on, where there is such a part.
    pub validation: Option<Split>,
    /// Whether it is a headerless bin, of which nothing is known but its ids.
    pub bare: bool,
    /// Tells it from other data: the checksum of its manifest, or of a bin's length and ends.
    pub fingerprint: Checksum,
}

impl Source {
    /// Opens an artifact by its manifest, or a file as a headerless bin.
    ///
    /// Beside a bin whose name has `train` in it, the file with `val` in its place is taken for
    /// validation.
    ///
    /// # Errors
    /// Returns [`DataError`] where a part is missing, empty, or does not fit the model.
    pub fn open(
        name: &str,
        path: &Path,
        weight: f64,
        data: &DataConfig,
        model: &ModelConfig,
    ) -> Result<Self, DataError> {
        if !(weight.is_finite() && weight > 0.0) {
            return Err(DataError::Weight { name: name.to_owned(), found: weight });
        }
        let shape = [model.seq_len.get(), model.vocab_size.get()];
        let (train, validation, fingerprint) = if path.is_dir() {
            open_artifact(path, data, shape)?
        } else if path.is_file() {
            open_file(path, data, shape)?
        } else {
            return Err(DataError::Missing { path: path.to_owned() });
        };
        let bare = path.is_file();
        Ok(Self { name: name.to_owned(), weight, train, validation, bare, fingerprint })
    }
}

type Opened = (Split, Option<Split>, Checksum);

fn open_artifact(root: &Path, data: &DataConfig, shape: [usize; 2]) -> Result<Opened, DataError> {
    let manifest = Manifest::read(root)?;
    let (found, expected) = (manifest.tokenizer.vocab_size, shape[1]);
    if u64::from(found) > expected as u64 {
        let found = u64::from(found);
        return Err(DataError::Vocabulary { path: root.to_owned(), found, expected });
    }
    let open = |name: &str| match &manifest.splits[name] {
        SplitRecord::Shards { .. } => {
            let bins = BinSet::from_manifest(root, &manifest, name)?;
            Split::windows(root, name, bins, manifest.tokenizer.eos, shape)
        }
        SplitRecord::Pairs(_) | SplitRecord::Pack(_) | SplitRecord::Rows(_) => {
            Split::rows(root, name, RowSet::open(root, name)?, data.document_mask, shape)
        }
    };
    if !manifest.splits.contains_key("train") {
        let present = manifest.splits.keys().map(ToString::to_string).collect();
        return Err(DataError::NoTrain { path: root.to_owned(), present });
    }
    let train = open("train")?;
    let validation = VALIDATION.iter().find(|name| manifest.splits.contains_key(**name));
    let validation = optional(validation.map(|name| open(name)))?;
    Ok((train, validation, manifest_checksum(root)?))
}

fn open_file(path: &Path, data: &DataConfig, shape: [usize; 2]) -> Result<Opened, DataError> {
    let open = |path: &Path, name: &str| {
        let bins = BinSet::open_bin(path, data.dtype)?;
        Split::windows(path, name, bins, Some(data.eos), shape)
    };
    let train = open(path, "train")?;
    let validation = optional(beside(path).map(|path| open(&path, "val")))?;
    let fingerprint = fingerprint(path).map_err(|source| {
        DataError::Bins(BinSetError::Bin(BinError::Io { path: path.to_owned(), source }))
    })?;
    Ok((train, validation, fingerprint))
}

/// Takes a validation part, unless it has no sequence: a sample of a corpus can be so small.
fn optional(opened: Option<Result<Split, DataError>>) -> Result<Option<Split>, DataError> {
    match opened {
        None | Some(Err(DataError::Empty { .. } | DataError::Short { .. })) => Ok(None),
        Some(opened) => opened.map(Some),
    }
}

/// Returns the validation bin that lies beside a training bin.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let other = path.with_file_name(name.replacen("train", "val", 1));
    (other != path && other.is_file()).then_some(other)
}

fn fingerprint(path: &Path) -> io::Result<Checksum> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut bytes = len.to_le_bytes().to_vec();
    file.by_ref().take(ENDS).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(len.saturating_sub(ENDS)))?;
    file.read_to_end(&mut bytes)?;
    Ok(Checksum::of(&bytes))
}
