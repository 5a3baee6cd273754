//! The compiled part of the Python package `ratdata`; the package's own modules wrap it.
//!
//! ```text
//! tokenizer.rs    text to ids and back, on many threads
//! artifact.rs     the checked files of an artifact, for memory maps
//! feed.rs         batches of a mixture, by the numbers of samples
//!   -> sequences.rs    the sequences of one split, by number
//!        -> columns.rs      the documents of a sequence, column by column
//! failure.rs      errors as exceptions
//! ```

mod artifact;
mod columns;
mod failure;
mod feed;
mod sequences;
mod tokenizer;

use pyo3::pymodule;

/// The compiled part of the package `ratdata`.
#[pymodule]
mod _ratdata {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::artifact::Artifact;
    #[pymodule_export]
    use super::failure::Error;
    #[pymodule_export]
    use super::feed::Feed;
    #[pymodule_export]
    use super::sequences::Sequences;
    #[pymodule_export]
    use super::tokenizer::Tokenizer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
