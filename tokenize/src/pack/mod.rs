//! Packing: documents of token bins become rows of one length, as spans, without copying a token.
//!
//! A row has `seq_len + 1` tokens: its first `seq_len` are inputs, its last `seq_len` labels. A
//! document that continues in another row begins there with the token it was left at, so every token
//! but a document's first is a label exactly once.
//!
//! ```text
//! document index -> documents -> concat.rs or best_fit.rs -> rows of spans -> writer.rs
//! ```

mod best_fit;
mod concat;
mod error;
mod job;
mod writer;

pub use best_fit::{BestFit, best_fit_plainly};
pub use concat::Concat;
pub use error::PackError;
pub use job::{PackJob, SplitPacked};

use ratdata_schemas::Span;
pub use ratdata_schemas::recipe::{Algorithm, Long, PackConfig};
use serde::{Deserialize, Serialize};

/// Checks that the values make sense, alone and together.
///
/// # Errors
///
/// [`PackError::Config`] says which does not, and why.
pub fn check_config(config: PackConfig) -> Result<(), PackError> {
    let PackConfig { seq_len, align, .. } = config;
    let wrong = |reason: String| Err(PackError::Config { reason });
    if seq_len == 0 || seq_len >= 1 << 24 {
        return wrong(format!("`seq_len` {seq_len}: expected 1 to 16,777,215"));
    }
    if align == 0 || align > seq_len {
        return wrong(format!("`align` {align}: expected 1 to the row's {seq_len} inputs"));
    }
    if config.packing == Algorithm::Concat && config.long == Long::Drop {
        return wrong(
            "`long` is `drop`, but the packing `concat` cuts every document where a row is full, so none is too long; use the packing `best-fit`".into(),
        );
    }
    Ok(())
}

/// One document of the stream: where it begins and how many tokens it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its first token's position in the stream.
    pub start: u64,
    /// How many tokens it has.
    pub len: u64,
}

/// What a packing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents that were packed.
    pub documents: u64,
    /// Of them, those that lie in more than one row.
    pub cut: u64,
    /// Documents left out for their length.
    pub dropped: u64,
    /// Documents without a token.
    pub empty: u64,
    /// Rows made.
    pub rows: u64,
    /// Tokens in the rows, those that rows share counted in both.
    pub tokens: u64,
}

/// Takes rows as they are made; it may refuse one, which ends the packing.
pub trait RowSink {
    /// Why a row was refused.
    type Error;
    /// Takes one row: its spans in the order of their columns.
    ///
    /// # Errors
    ///
    /// Whatever the sink says.
    fn row(&mut self, spans: &[Span]) -> Result<(), Self::Error>;
}

impl<E, F: FnMut(&[Span]) -> Result<(), E>> RowSink for F {
    type Error = E;

    fn row(&mut self, spans: &[Span]) -> Result<(), E> {
        self(spans)
    }
}
