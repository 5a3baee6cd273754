//! Text from a trained model, as ids: prompts in, tokens out, several at a time.
//!
//! ```text
//! batcher.rs    requests into slots, one round of tokens after the other
//!   -> chooser.rs   the next token of one request, from logits
//!   -> logprobs.rs  the log-probabilities of tokens, from logits
//! run.rs        the model of a run or a checkpoint
//! error.rs      why a run cannot generate
//! ```

mod batcher;
mod chooser;
mod error;
mod logprobs;
mod run;

pub use batcher::{Batcher, Refusal};
pub use chooser::Chooser;
pub use error::GenerateError;
pub use logprobs::Logprobs;
pub use run::{TrainedModel, load_run};
