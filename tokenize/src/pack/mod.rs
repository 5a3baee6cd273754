//! Packing: documents of token bins become rows of one length, as spans, without copying a token.
//!
//! A row has `seq_len + 1` tokens: its first `seq_len` are inputs, its last `seq_len` labels. A
//! document that goes on in another row begins there with the token it was left at, so every token
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
pub use job::{PackJob, PackOutcome, SplitPacked};

use ratdata_schemas::Span;
use serde::{Deserialize, Serialize};

/// How documents are put into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// One after the other, cut wherever a row is full: the reference's windows.
    Concat,
    /// Whole, each into the fullest row that still has room for it.
    BestFit,
}

/// What becomes of a document longer than a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Long {
    /// It is split over rows.
    #[default]
    Split,
    /// It is left out.
    Drop,
}

/// What decides a pack's rows, beside the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackConfig {
    /// How many inputs a row has.
    pub seq_len: u32,
    /// How documents are put into rows.
    pub packing: Algorithm,
    /// What becomes of documents longer than a row; `concat` splits always.
    pub long: Long,
    /// Documents begin at columns that are multiples of this.
    pub align: u32,
    /// The seed of the documents' order; their order in the bins where there is none.
    pub seed: Option<u64>,
}

impl PackConfig {
    /// Checks that the values make sense, alone and together.
    ///
    /// # Errors
    ///
    /// [`PackError::Config`] says which does not, and why.
    pub fn check(&self) -> Result<(), PackError> {
        let Self { seq_len, align, .. } = *self;
        let wrong = |reason: String| Err(PackError::Config { reason });
        if seq_len == 0 || seq_len >= 1 << 24 {
            return wrong(format!("`--seq-len {seq_len}`: expected 1 to 16,777,215"));
        }
        if align == 0 || align > seq_len {
            return wrong(format!("`--align {align}`: expected 1 to the row's {seq_len} inputs"));
        }
        if self.packing == Algorithm::Concat && self.long == Long::Drop {
            return wrong(
                "`--long drop`: `--packing concat` cuts every document wherever a row is full, so none is too long; use `--packing best-fit`".into(),
            );
        }
        Ok(())
    }

    /// Returns how many tokens a row has.
    pub fn row_len(&self) -> u32 {
        self.seq_len + 1
    }

    /// Returns the first column from `column` on where a document may begin.
    fn aligned(&self, column: u32) -> u32 {
        column.checked_next_multiple_of(self.align.max(1)).unwrap_or(u32::MAX)
    }
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
