//! Speed of layers and of decoding, measured as the RAT reference measures it.
//!
//! ```text
//! layer.rs     a layer: training, a prompt, one token, over lengths and batches
//! model.rs     a model: the largest batch that fits, and its tokens a second
//!   -> subject.rs   what is measured, by name: `rat:16+local_attention`
//!   -> size.rs      widths and heads; what the CPU and a GPU measure where nobody says
//!   -> timing.rs    the mean time of repeated work
//! ```

mod layer;
mod model;
mod size;
mod subject;
mod timing;

use thiserror::Error;

pub use layer::{BatchStep, LayerBench, LayerRow};
pub use model::{BatchLimit, ModelBench, ModelRow};
pub use size::{ModelSize, Scale};
pub use subject::{Subject, SubjectError};

use crate::model::ModelConfigError;

/// Why nothing can be measured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The numbers of the layers do not fit together.
    #[error("{subject}: {source}")]
    Config {
        /// What was to be measured.
        subject: String,
        /// What does not fit.
        source: ModelConfigError,
    },
    /// The new tokens leave no token before them.
    #[error("`--new` is {new}, expected less than `--context`, which is {context}")]
    New {
        /// How many tokens are generated.
        new: usize,
        /// How many tokens a sequence has.
        context: usize,
    },
    /// The memory holds no sequence.
    #[error("{subject}: one sequence takes {needed} bytes with the model, and {memory} are given")]
    Memory {
        /// What was to be measured.
        subject: String,
        /// Bytes of the model and one sequence.
        needed: u64,
        /// Bytes that may be used.
        memory: u64,
    },
    /// The user stopped the program.
    #[error("interrupted")]
    Interrupted,
}

impl BenchError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config { source, .. } => source.hint().map(str::to_owned),
            Self::New { .. } => Some("a longer `--context`, or fewer new tokens".into()),
            Self::Memory { .. } => Some("a larger `--memory`, or a shorter `--context`".into()),
            Self::Interrupted => None,
        }
    }
}

/// Fails where the user has asked to stop.
fn check(stop: &std::sync::atomic::AtomicBool) -> Result<(), BenchError> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        Err(BenchError::Interrupted)
    } else {
        Ok(())
    }
}
