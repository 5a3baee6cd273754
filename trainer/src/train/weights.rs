//! The weights a run begins with, when they are not drawn anew.

use std::path::{Path, PathBuf};

use super::checkpoint::{WEIGHTS_FILE, newest};
use super::error::TrainError;
use crate::model::Model;

/// Reads the weights of a run, a checkpoint, a `.safetensors` or a PyTorch checkpoint; returns the
/// file that they were in.
///
/// # Errors
/// Returns [`TrainError::NoWeights`] where there are none, [`TrainError::Weights`] where they are
/// of another model.
pub fn read_weights(
    model: &mut Model,
    path: &Path,
    state_key: Option<&str>,
) -> Result<PathBuf, TrainError> {
    let no_weights = || TrainError::NoWeights { path: path.to_owned() };
    let file = if path.is_dir() {
        let folder = newest(path)?.unwrap_or_else(|| path.to_owned());
        folder.join(WEIGHTS_FILE)
    } else {
        path.to_owned()
    };
    if !file.is_file() {
        return Err(no_weights());
    }
    if file.extension().is_some_and(|ending| ending == "safetensors") {
        model.load_safetensors(&file)?;
    } else {
        model.load_pytorch(&file, state_key)?;
    }
    Ok(file)
}
