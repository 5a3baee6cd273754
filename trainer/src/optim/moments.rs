//! An optimizer's moments, and their file: safetensors, under the names of the parameters.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, View};
use thiserror::Error;

use crate::model::Model;

/// The key of the file's metadata that holds the number of iterations.
const ITERATIONS: &str = "steps";

/// The moments of all parameters after some iterations.
#[derive(Debug, Default)]
pub(super) struct Moments {
    pub(super) iterations: u64,
    pub(super) first: GradientsParams,
    pub(super) second: GradientsParams,
}

/// An error of writing or reading an optimizer's moments.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptimError {
    /// The moments could not be written.
    #[error("{}: cannot write the optimizer's state: {reason}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason that the system or the format gives.
        reason: String,
    },
    /// The moments could not be read.
    #[error("{}: cannot read the optimizer's state: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason that the system or the format gives.
        reason: String,
    },
}

/// Writes the moments of all parameters that have some.
pub(super) fn save(moments: &Moments, path: &Path, model: &Model) -> Result<(), OptimError> {
    let mut collect = CollectMoments { moments, name: Vec::new(), found: Vec::new() };
    model.visit(&mut collect);
    let metadata = HashMap::from([(ITERATIONS.to_owned(), moments.iterations.to_string())]);
    safetensors::serialize_to_file(collect.found, Some(metadata), path)
        .map_err(|wrong| OptimError::Write { path: path.to_owned(), reason: wrong.to_string() })
}

/// Reads moments that [`save`] wrote.
pub(super) fn load(path: &Path, model: &Model) -> Result<Moments, OptimError> {
    let refuse = |reason: String| OptimError::Read { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|wrong| refuse(wrong.to_string()))?;
    let (_, head) =
        SafeTensors::read_metadata(&bytes).map_err(|wrong| refuse(wrong.to_string()))?;
    let iterations =
        head.metadata().as_ref().and_then(|metadata| metadata.get(ITERATIONS)?.parse().ok());
    let iterations =
        iterations.ok_or_else(|| refuse("it does not say after how many steps".to_owned()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|wrong| refuse(wrong.to_string()))?;
    let moments = Moments { iterations, ..Moments::default() };
    if iterations == 0 {
        return Ok(moments);
    }
    let mut read = ReadMoments { file: &file, name: Vec::new(), moments, wrong: None };
    model.visit(&mut read);
    read.wrong.map_or(Ok(read.moments), |reason| Err(refuse(reason)))
}

fn names(path: &[String]) -> [String; 2] {
    ["first", "second"].map(|moment| format!("{moment}.{}", path.join(".")))
}

/// A tensor that is fetched from its device only when it is written.
struct Fetched {
    shape: Vec<usize>,
    values: Tensor<1>,
}

impl View for Fetched {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.values.clone().into_data();
        Cow::Owned(values.iter::<f32>().flat_map(f32::to_le_bytes).collect())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

struct CollectMoments<'a> {
    moments: &'a Moments,
    name: Vec<String>,
    found: Vec<(String, Fetched)>,
}

impl ModuleVisitor for CollectMoments<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.name.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.name.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let all = [&self.moments.first, &self.moments.second];
        for (name, moments) in names(&self.name).into_iter().zip(all) {
            if let Some(moment) = moments.get::<D>(param.id) {
                let shape = moment.dims().to_vec();
                let values = moment.reshape([shape.iter().product::<usize>()]);
                self.found.push((name, Fetched { shape, values }));
            }
        }
    }
}

struct ReadMoments<'a> {
    file: &'a SafeTensors<'a>,
    name: Vec<String>,
    moments: Moments,
    wrong: Option<String>,
}

impl ModuleVisitor for ReadMoments<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.name.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.name.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        // Always named: the default device of a build with CUDA may be missing.
        let device = value.device().inner();
        let all = [&mut self.moments.first, &mut self.moments.second];
        for (name, moments) in names(&self.name).into_iter().zip(all) {
            let view = match self.file.tensor(&name) {
                Ok(view) if view.dtype() == Dtype::F32 && view.shape() == value.dims() => view,
                Ok(view) => {
                    let (found, expected) = (view.shape(), value.dims());
                    let reason = format!("`{name}` is {found:?}, the parameter is {expected:?}");
                    self.wrong.get_or_insert(reason);
                    continue;
                }
                Err(_) => {
                    self.wrong.get_or_insert(format!("`{name}` is not in the file"));
                    continue;
                }
            };
            let (words, _) = view.data().as_chunks::<4>();
            let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            let data = TensorData::new(values, value.dims());
            moments.register::<D>(param.id, Tensor::from_data(data, &device));
        }
    }
}
