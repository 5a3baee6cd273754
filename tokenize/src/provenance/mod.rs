//! Provenance: which source, row and answer each document of an artifact came from.
//!
//! ```text
//! manifest -> SplitProvenance   documents.rs   of what `tokenize` made, and of what `merge` joined
//!          -> Examples     examples.rs    of what `sft` made
//!          -> Mixed        mixed.rs       of what `mix` took of several artifacts
//! ```
//!
//! Nothing but the recorded order is needed: it is drawn again from the recorded configuration.

mod documents;
mod examples;
mod mixed;

pub use documents::{Provenance, ProvenanceError, SplitProvenance};
