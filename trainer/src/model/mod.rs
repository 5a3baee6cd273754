//! The model: a decoder of attention, local attention, RNN and RAT blocks with a tied embedding.
//!
//! ```text
//! weights_file.rs  weights in files: safetensors, PyTorch checkpoints
//! decoding.rs      prompts into caches, and one token at a time
//! backward.rs      the gradients of a batch, in one graph or block by block
//! sole_layer.rs    one sequence layer by itself, for measuring
//!   -> decoder.rs      the model: embedding, blocks, output layer, loss
//!        -> layers/        a block's two layers, with norm and residual; initial weights
//!             -> mixers/       what mixes along the sequence: attention, RNN, RAT
//!                  -> caches/      what layers keep of earlier tokens
//!                  -> positions/   rotary angles, restarts and masks of a batch
//! config.rs        the numbers of a model          precision.rs  f32 or bf16
//! gradients.rs     sums and norms of gradients      cache_bytes.rs  the size of caches
//! ```

mod backward;
mod cache_bytes;
mod caches;
mod config;
mod config_error;
mod decoder;
mod decoding;
mod gradients;
mod layers;
mod mixers;
mod positions;
mod precision;
mod sole_layer;
mod weights_file;

pub use backward::BackwardOptions;
pub use cache_bytes::CacheWidths;
pub use config::{MixerKind, MixerShape, ModelConfig};
pub use config_error::ModelConfigError;
pub use decoder::{LossOutput, Model};
pub use decoding::{Caches, GreedyTable};
pub use gradients::Gradients;
pub use layers::{Block, FeedForward, SequenceLayer, rms_norm};
pub use positions::{Geometry, Rotation};
pub use precision::Precision;
pub use sole_layer::{SoleCache, SoleLayer};
pub use weights_file::WeightsError;
