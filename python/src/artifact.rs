//! The checked files of an artifact, which Python maps.

use std::path::PathBuf;

use pyo3::prelude::*;
use ratdata_schemas::{BinSet, Manifest, RowSet, SplitRecord};

use crate::failure::Failure;

/// An artifact whose manifest was read and checked.
#[pyclass(frozen, module = "ratdata._ratdata")]
pub(crate) struct Artifact {
    root: PathBuf,
    manifest: Manifest,
}

#[pymethods]
impl Artifact {
    /// Reads the manifest of an artifact.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let manifest = py.detach(|| Manifest::read(&path).map_err(Failure::from))?;
        Ok(Self { root: path, manifest })
    }

    /// The manifest as JSON, in the form of the current format.
    #[getter]
    fn manifest(&self) -> PyResult<String> {
        Ok(serde_json::to_string(&self.manifest).map_err(|wrong| Failure::new(wrong, None))?)
    }

    /// Checks the files of a split as readers do: each is in the folder and has its size, and spans
    /// fit their rows and bins. Returns where the base of a pack is.
    fn check(&self, py: Python<'_>, split: &str) -> PyResult<Option<PathBuf>> {
        let checked = py.detach(|| -> Result<_, Failure> {
            match self.manifest.splits.get(split) {
                Some(SplitRecord::Pairs(_) | SplitRecord::Rows(_)) => {
                    RowSet::open(&self.root, split)?;
                    Ok(None)
                }
                Some(SplitRecord::Pack(_)) => {
                    RowSet::open(&self.root, split)?;
                    Ok(self.manifest.base.as_ref().map(|base| self.root.join(&base.path)))
                }
                _ => {
                    let bins = BinSet::from_manifest(&self.root, &self.manifest, split)?;
                    for shard in bins.shards() {
                        if let Some(index) = shard.index() {
                            let checked = index.check(shard.bin().len());
                            checked.map_err(|wrong| Failure::new(&wrong, wrong.hint()))?;
                        }
                    }
                    Ok(None)
                }
            }
        });
        Ok(checked?)
    }
}
