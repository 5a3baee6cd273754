//! Weights in files: safetensors, and PyTorch checkpoints of the reference.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::store::{ApplyResult, KeyRemapper, ModuleSnapshot, PytorchStore, SafetensorsStore};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::config::ModelConfig;
use super::decoder::Model;

/// The longest head in bytes that the format allows.
const LONGEST_HEAD: u64 = 100_000_000;

/// An error of reading or writing a model's weights.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read, or it has another format.
    #[error("{}: cannot read the weights: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason that the reader or writer gives.
        reason: String,
    },
    /// The file could not be written.
    #[error("{}: cannot write the weights: {reason}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason that the reader or writer gives.
        reason: String,
    },
    /// The file holds the weights of another model.
    #[error("{}: weights of another model, {reason}", .path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Which parameter differs, and how.
        reason: String,
    },
}

impl WeightsError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherModel { .. } => {
                Some("the model's section of the configuration must be that of the checkpoint")
            }
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

impl Model {
    /// Writes all parameters as safetensors, under the names that [`Model`] lists.
    ///
    /// # Errors
    /// Returns [`WeightsError::Write`] where the file cannot be written.
    pub fn save_safetensors(&self, path: &Path) -> Result<(), WeightsError> {
        // The store writes its own metadata in a random order; a single entry has no order.
        let mut store = SafetensorsStore::from_file(path).clear_metadata().metadata("format", "pt");
        self.save_into(&mut store).map_err(|error| WeightsError::Write {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Reads all parameters from safetensors that [`save_safetensors`](Self::save_safetensors)
    /// wrote.
    ///
    /// # Errors
    /// Returns [`WeightsError`] where the file cannot be read or is not of this model.
    pub fn load_safetensors(&mut self, path: &Path) -> Result<(), WeightsError> {
        let mut store = SafetensorsStore::from_file(path).allow_partial(true).validate(false);
        let applied = self.load_from(&mut store).map_err(|error| read_error(path, &error))?;
        check(path, &applied)
    }

    /// Reads a PyTorch checkpoint: a state dict, or a file that holds one under `state_key`.
    ///
    /// The names are those that [`Model`] lists. What PyTorch's wrappers add is ignored: a leading
    /// `module.`, `model.` or `_orig_mod.`, in any order, and a trailing `.weight`.
    ///
    /// # Errors
    /// Returns [`WeightsError`] where the file cannot be read or is not of this model.
    pub fn load_pytorch(
        &mut self,
        path: &Path,
        state_key: Option<&str>,
    ) -> Result<(), WeightsError> {
        let remapper = KeyRemapper::from_patterns(vec![
            (r"^(?:(?:module|model|_orig_mod)\.)+", ""),
            (r"\.weight$", ""),
        ])
        .map_err(|error| read_error(path, &error))?;
        let mut store = PytorchStore::from_file(path)
            .remap(remapper)
            .map_indices_contiguous(false)
            .allow_partial(true)
            .validate(false);
        if let Some(key) = state_key {
            store = store.with_top_level_key(key);
        }
        let applied = self.load_from(&mut store).map_err(|error| read_error(path, &error))?;
        check(path, &applied)
    }
}

impl ModelConfig {
    /// Checks that a safetensors file holds the parameters of this model, and reads only its head.
    ///
    /// # Errors
    /// Returns [`WeightsError`] where the file cannot be read or is not of this model.
    pub fn check_safetensors(&self, path: &Path) -> Result<(), WeightsError> {
        let head = head(path).map_err(|wrong| read_error(path, &wrong))?;
        let refuse =
            |reason: String| Err(WeightsError::OtherModel { path: path.to_owned(), reason });
        let shapes = self.shapes();
        for (name, expected) in &shapes {
            match head.get(name) {
                None => return refuse(format!("`{name}` is not in the file")),
                Some(found) if found != expected => {
                    return refuse(format!("`{name}` is {found:?}, the model's is {expected:?}"));
                }
                Some(_) => {}
            }
        }
        match head.keys().find(|name| !shapes.contains_key(*name)) {
            None => Ok(()),
            Some(name) => refuse(format!("the file's `{name}` is not in the model")),
        }
    }
}

/// Reads the head of a safetensors file and returns the shape of each tensor by its name.
///
/// The head is eight bytes of length and as many bytes of JSON. The reader of the crate
/// `safetensors` needs the whole file in memory.
fn head(path: &Path) -> std::io::Result<BTreeMap<String, Vec<usize>>> {
    #[derive(Deserialize)]
    struct Info {
        shape: Vec<usize>,
    }
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEAD {
        let reason = format!("a head of {length} bytes, expected at most {LONGEST_HEAD}");
        return Err(std::io::Error::other(reason));
    }
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let mut entries: BTreeMap<String, Value> = serde_json::from_slice(&bytes)?;
    entries.remove("__metadata__");
    let shape = |(name, info)| Ok((name, serde_json::from_value::<Info>(info)?.shape));
    entries.into_iter().map(shape).collect()
}

fn read_error(path: &Path, error: &dyn std::fmt::Display) -> WeightsError {
    WeightsError::Read { path: path.to_owned(), reason: error.to_string() }
}

/// Refuses a file that lacks a parameter, has another shape of one, or has one too many.
fn check(path: &Path, applied: &ApplyResult) -> Result<(), WeightsError> {
    let reason = if let Some(error) = applied.errors.first() {
        error.to_string()
    } else if let Some((name, _)) = applied.missing.first() {
        format!("`{name}` is not in the file")
    } else if let Some(name) = applied.unused.first() {
        format!("the file's `{name}` is not in the model")
    } else {
        return Ok(());
    };
    Err(WeightsError::OtherModel { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn config(d_model: usize, mixers: &str) -> ModelConfig {
        toml::from_str(&format!(
            "vocab_size = 11\nd_model = {d_model}\nlayers = 2\nhead_dim = 4\nseq_len = 8\n\
             chunk_len = 4\nmixers = [{mixers}]"
        ))
        .unwrap()
    }

    #[test]
    fn weights_come_back_from_safetensors_under_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let config = config(8, "\"rat\", \"attention\"");
        let saved = config.init(&Device::flex(), 1);
        saved.save_safetensors(&path).unwrap();

        config.check_safetensors(&path).unwrap();
        let mut found = config.init(&Device::flex(), 2);
        found.load_safetensors(&path).unwrap();

        let values = |model: &Model| model.layers[0].seq.in_proj.val().into_data();
        values(&found).assert_eq(&values(&saved), true);
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<&str> = file.names();
        names.sort_unstable();
        assert_eq!(names.len(), 2 + 2 * 6 + 1);
        assert!(names.contains(&"layers.0.seq.gate_bias") && names.contains(&"wte"), "{names:?}");
    }

    #[test]
    fn weights_of_another_model_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        config(8, "\"rat\"").init(&Device::flex(), 1).save_safetensors(&path).unwrap();

        for other in [config(16, "\"rat\""), config(8, "\"rnn\""), config(8, "\"attention\"")] {
            let error = other.init(&Device::flex(), 1).load_safetensors(&path).unwrap_err();
            assert!(matches!(error, WeightsError::OtherModel { .. }), "{error}");
            let by_head = other.check_safetensors(&path).unwrap_err();
            assert!(matches!(by_head, WeightsError::OtherModel { .. }), "{by_head}");
        }
    }
}
