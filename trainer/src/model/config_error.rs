//! Why a model's configuration was refused.

use thiserror::Error;

/// An error of a model's configuration.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelConfigError {
    /// The pattern of sequence layers is empty.
    #[error("`mixers` is empty, a model has at least one sequence layer")]
    NoMixers,
    /// The width is no multiple of the head's.
    #[error("`d_model` is {d_model}, expected a multiple of `head_dim`, {head_dim}")]
    Heads {
        /// Width of the residual stream.
        d_model: usize,
        /// Width of one head.
        head_dim: usize,
    },
    /// The head has an odd width, but rotary angles turn pairs of channels.
    #[error("`head_dim` is {head_dim}, expected an even number")]
    OddHead {
        /// Width of one head.
        head_dim: usize,
    },
    /// The sequence is no multiple of the chunk.
    #[error("`seq_len` is {seq_len}, expected a multiple of `chunk_len`, {chunk_len}")]
    Chunks {
        /// Inputs in a sequence.
        seq_len: usize,
        /// Tokens in a chunk.
        chunk_len: usize,
    },
    /// The number of heads is no multiple of the number of groups.
    #[error("`kv_groups` is {kv_groups}, expected a divisor of the {heads} heads")]
    Groups {
        /// Groups of queries and keys.
        kv_groups: usize,
        /// Heads.
        heads: usize,
    },
    /// A number is beyond what any memory holds.
    #[error("`{key}` is {found}, expected at most {most}")]
    TooLarge {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        found: usize,
        /// The largest allowed value.
        most: usize,
    },
    /// A number is not positive or not finite.
    #[error("`{key}` is {found}, expected a positive number")]
    NotPositive {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        found: f64,
    },
}

impl ModelConfigError {
    /// Returns the key whose value does not fit.
    pub fn key(&self) -> &'static str {
        match self {
            Self::NoMixers => "mixers",
            Self::Heads { .. } => "d_model",
            Self::OddHead { .. } => "head_dim",
            Self::Chunks { .. } => "seq_len",
            Self::Groups { .. } => "kv_groups",
            Self::TooLarge { key, .. } | Self::NotPositive { key, .. } => key,
        }
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoMixers => Some("write `mixers = [\"rat\"]`, for example"),
            Self::Chunks { .. } => Some("change `seq_len` or `chunk_len`"),
            Self::Heads { .. } | Self::Groups { .. } => Some("change `d_model` or `head_dim`"),
            Self::OddHead { .. } | Self::TooLarge { .. } | Self::NotPositive { .. } => None,
        }
    }
}
