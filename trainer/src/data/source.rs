//! One source of a run: an artifact or a headerless bin, with its training and validation parts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ratdata_schemas::{
    BinError, BinSet, BinSetError, Checksum, Manifest, RowSet, SplitRecord, manifest_checksum,
};

use super::config::DataConfig;
use super::error::DataError;
use super::split::{SequenceShape, Split};
use crate::model::ModelConfig;

/// The names that a validation part may have.
const VALIDATION: [&str; 2] = ["val", "validation"];

/// How many bytes are hashed at either end of a headerless bin.
const ENDS: u64 = 1 << 20;

/// One source of a run.
#[derive(Debug)]
pub struct Source {
    /// Its name in the mixture.
    pub name: String,
    /// Its share of the sequences, relative to the weights of the other sources.
    pub weight: f64,
    /// The training part.
    pub train: Split,
    /// The validation part, if there is one.
    pub validation: Option<Split>,
    /// Whether it is a headerless bin, whose vocabulary is unknown.
    pub bare: bool,
    /// Identifies the data: the checksum of the manifest, or of a bin's length and ends.
    pub fingerprint: Checksum,
}

impl Source {
    /// Opens an artifact by its manifest, or a file as a headerless bin.
    ///
    /// Where the name of a bin contains `train`, the file in the same folder whose name has `val`
    /// instead is the validation part.
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
        let shape =
            SequenceShape { seq_len: model.seq_len.get(), vocab_size: model.vocab_size.get() };
        let Opened { train, validation, fingerprint } = if path.is_dir() {
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

/// Opens the sources that a configuration names, in the order of their names.
///
/// # Errors
/// Returns [`DataError`] where none is named or one of them does not fit the model.
pub fn open_sources(data: &DataConfig, model: &ModelConfig) -> Result<Vec<Source>, DataError> {
    match (&data.path, data.sources.is_empty()) {
        (Some(_), false) => Err(DataError::Both),
        (None, true) => Err(DataError::None),
        (Some(path), true) => Ok(vec![Source::open("data", path, 1.0, data, model)?]),
        (None, false) => data
            .sources
            .iter()
            .map(|(name, source)| Source::open(name, &source.path, source.weight, data, model))
            .collect(),
    }
}

/// The parts of a source, and what identifies it.
struct Opened {
    train: Split,
    validation: Option<Split>,
    fingerprint: Checksum,
}

fn open_artifact(
    root: &Path,
    data: &DataConfig,
    shape: SequenceShape,
) -> Result<Opened, DataError> {
    let manifest = Manifest::read(root)?;
    let (found, expected) = (manifest.tokenizer.vocab_size, shape.vocab_size);
    if u64::from(found) > expected as u64 {
        let found = u64::from(found);
        return Err(DataError::Vocabulary { path: root.to_owned(), found, expected });
    }
    let open = |name: &str| match &manifest.splits[name] {
        SplitRecord::Shards { .. } => {
            let bins = BinSet::from_manifest(root, &manifest, name)?;
            Split::from_stream(root, name, bins, manifest.tokenizer.eos, shape)
        }
        SplitRecord::Pairs(_) | SplitRecord::Pack(_) | SplitRecord::Rows(_) => {
            Split::from_rows(root, name, RowSet::open(root, name)?, data.document_mask, shape)
        }
    };
    if !manifest.splits.contains_key("train") {
        let present = manifest.splits.keys().map(ToString::to_string).collect();
        return Err(DataError::NoTrain { path: root.to_owned(), present });
    }
    let train = open("train")?;
    let validation = VALIDATION.iter().find(|name| manifest.splits.contains_key(**name));
    let validation = if_not_empty(validation.map(|name| open(name)))?;
    Ok(Opened { train, validation, fingerprint: manifest_checksum(root)? })
}

fn open_file(path: &Path, data: &DataConfig, shape: SequenceShape) -> Result<Opened, DataError> {
    let open = |path: &Path, name: &str| {
        let bins = BinSet::open_bin(path, data.dtype)?;
        Split::from_stream(path, name, bins, Some(data.eos), shape)
    };
    let train = open(path, "train")?;
    let validation = if_not_empty(validation_bin(path).map(|path| open(&path, "val")))?;
    let fingerprint = fingerprint(path).map_err(|source| {
        DataError::Bins(BinSetError::Bin(BinError::Io { path: path.to_owned(), source }))
    })?;
    Ok(Opened { train, validation, fingerprint })
}

/// Drops a validation part that has no sequence: a sample of a corpus can be so small.
fn if_not_empty(opened: Option<Result<Split, DataError>>) -> Result<Option<Split>, DataError> {
    match opened {
        None | Some(Err(DataError::Empty { .. } | DataError::Short { .. })) => Ok(None),
        Some(opened) => opened.map(Some),
    }
}

/// Returns the validation bin of a training bin, which is in the same folder.
fn validation_bin(path: &Path) -> Option<PathBuf> {
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
