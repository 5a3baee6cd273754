//! Inspects weights: the tensors of a safetensors file, by name, shape and type.

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_console::{grouped, sized};
use ratdata_schemas::MappedFile;
use safetensors::SafeTensors;
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// The content of a file of weights.
#[derive(Debug, Serialize)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    parameters: u64,
    bytes: u64,
    tensors: Vec<TensorView>,
}

#[derive(Debug, Serialize)]
struct TensorView {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

/// Inspects a `.safetensors` file, or the one of a checkpoint folder.
pub(crate) fn inspect_checkpoint(path: &Path) -> Result<Checkpoint, Failure> {
    let failed = |path: &Path, reason: &dyn fmt::Display| {
        Failure::message(Kind::Failed, format!("{}: {reason}", path.display()))
    };
    let file = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|wrong| failed(path, &wrong))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"))
            .collect();
        files.sort();
        // A checkpoint also has the optimizer's moments; the model is meant.
        let model = files.iter().position(|file| {
            file.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("model"))
        });
        files.into_iter().nth(model.unwrap_or(0)).ok_or_else(|| {
            failed(path, &"neither an artifact nor a checkpoint: no manifest.json, no .safetensors")
        })?
    } else {
        path.to_owned()
    };
    let mapped = MappedFile::open(&file).map_err(|wrong| failed(&file, &wrong))?;
    let bytes = mapped.bytes();
    // This reads the names and shapes in the header; the weights stay on disk.
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|wrong| failed(&file, &format!("not whole safetensors: {wrong}")))?;
    let mut views: Vec<TensorView> = tensors
        .iter()
        .map(|(name, tensor)| TensorView {
            name: name.to_owned(),
            dtype: format!("{:?}", tensor.dtype()).to_lowercase(),
            shape: tensor.shape().to_vec(),
        })
        .collect();
    views.sort_by(|left, right| left.name.cmp(&right.name));
    let count = |view: &TensorView| view.shape.iter().map(|&side| side as u64).product::<u64>();
    Ok(Checkpoint {
        parameters: views.iter().map(count).sum(),
        bytes: bytes.len() as u64,
        path: file,
        tensors: views,
    })
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path.display())?;
        writeln!(
            f,
            "{} numbers in {} tensors · {}",
            grouped(self.parameters),
            self.tensors.len(),
            sized(self.bytes)
        )?;
        for tensor in &self.tensors {
            writeln!(f, "  {:<48} {:<5} {:?}", tensor.name, tensor.dtype, tensor.shape)?;
        }
        Ok(())
    }
}
