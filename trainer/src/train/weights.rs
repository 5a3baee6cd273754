//! The weights a run begins with, when they are not drawn anew.

use std::path::{Path, PathBuf};

use super::checkpoint::{WEIGHTS_FILE, newest};
use super::error::TrainError;
use crate::model::{Model, ModelConfig};

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
    let file = find(path)?;
    if is_safetensors(&file) {
        model.load_safetensors(&file)?;
    } else {
        model.load_pytorch(&file, state_key)?;
    }
    Ok(file)
}

/// Checks that there are weights to begin with, and that safetensors are of this model, without
/// reading a value.
///
/// # Errors
/// Those of [`read_weights`].
pub(crate) fn check_weights(config: &ModelConfig, path: &Path) -> Result<(), TrainError> {
    let file = find(path)?;
    if is_safetensors(&file) {
        config.check_safetensors(&file)?;
    }
    Ok(())
}

/// Finds the file that a run begins with.
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
