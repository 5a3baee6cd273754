//! Widths and heads of what is measured, and the usual ones of the CPU and of a GPU.

use std::num::NonZeroUsize;

use super::BenchError;
use super::subject::Subject;
use crate::convert::non_zero;
use crate::model::ModelConfig;

/// Where the usual sizes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Small sizes: seconds on two cores.
    Cpu,
    /// The paper's sizes.
    Gpu,
}

/// The numbers that decide the shape of layers and models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSize {
    /// Width of the residual stream.
    pub width: NonZeroUsize,
    /// Heads of each layer.
    pub heads: NonZeroUsize,
    /// Blocks of a model.
    pub layers: NonZeroUsize,
    /// Rows of the embedding.
    pub vocabulary: NonZeroUsize,
    /// Tokens in a chunk of `rat`, where its name does not say it.
    pub chunk_len: NonZeroUsize,
    /// Tokens before its own that a query of `local_attention` sees.
    pub window: NonZeroUsize,
}

impl ModelSize {
    /// The usual size.
    pub fn usual(scale: Scale) -> Self {
        let chunk_len = non_zero!(16);
        match scale {
            Scale::Cpu => Self {
                width: non_zero!(128),
                heads: non_zero!(4),
                layers: non_zero!(4),
                vocabulary: non_zero!(4096),
                chunk_len,
                window: non_zero!(256),
            },
            Scale::Gpu => Self {
                width: non_zero!(2048),
                heads: non_zero!(16),
                layers: non_zero!(24),
                vocabulary: non_zero!(32_000),
                chunk_len,
                window: non_zero!(1024),
            },
        }
    }

    /// Returns the configuration of a subject for sequences of `seq_len` tokens.
    ///
    /// # Errors
    /// Returns [`BenchError::Config`] where the numbers do not fit together.
    pub fn config(
        &self,
        subject: &Subject,
        seq_len: NonZeroUsize,
    ) -> Result<ModelConfig, BenchError> {
        let head_dim = self.width.get() / self.heads.get();
        let config = ModelConfig {
            vocab_size: self.vocabulary,
            d_model: self.width,
            layers: self.layers,
            head_dim: NonZeroUsize::new(head_dim).unwrap_or(NonZeroUsize::MIN),
            seq_len,
            mixers: subject.mixers.clone(),
            chunk_len: subject.chunk_len.unwrap_or(self.chunk_len),
            kv_groups: non_zero!(2),
            window: self.window,
            ffn_mult: non_zero!(4),
            norm_eps: 1e-6,
            rope_base: 10_000.0,
            init_std: 0.02,
        };
        config
            .validate()
            .map_err(|source| BenchError::Config { subject: subject.to_string(), source })?;
        Ok(config)
    }
}
