//! The weights that a run begins with, if they are read from a file.

use std::path::{Path, PathBuf};

use super::checkpoint::{WEIGHTS_FILE, newest};
use super::error::TrainError;
use crate::model::{Model, ModelConfig};

/// Reads the weights of a run, a checkpoint, a `.safetensors` or a PyTorch checkpoint, and returns
/// their file.
///
/// # Errors
/// Returns [`TrainError::NoWeights`] where there are none, [`TrainError::Weights`] where they are
/// of another model.
pub fn read_weights(
    model: &mut Model,
    path: &Path,
    state_key: Option<&str>,
) -> Result<PathBuf, TrainError> {
    let file = find(path)?;
    if is_safetensors(&file) {
        model.load_safetensors(&file)?;
    } else {
        model.load_pytorch(&file, state_key)?;
    }
    Ok(file)
}

/// Checks that the file of the weights is there and, if it is safetensors, that it is of this model.
/// No value is read.
///
/// # Errors
/// Returns the errors of [`read_weights`].
pub(crate) fn check_weights(config: &ModelConfig, path: &Path) -> Result<(), TrainError> {
    let file = find(path)?;
    if is_safetensors(&file) {
        config.check_safetensors(&file)?;
    }
    Ok(())
}

/// Finds the file of the weights.
fn find(path: &Path) -> Result<PathBuf, TrainError> {
    let file = if path.is_dir() {
        let folder = newest(path)?.unwrap_or_else(|| path.to_owned());
        folder.join(WEIGHTS_FILE)
    } else {
        path.to_owned()
    };
    if file.is_file() { Ok(file) } else { Err(TrainError::NoWeights { path: path.to_owned() }) }
}

fn is_safetensors(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "safetensors")
}
