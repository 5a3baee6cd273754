//! The BPE engine: texts to ids, exactly and fast.
//!
//! A text is cut into units that no merge crosses (`joins.rs` says why that is exact; byte-level
//! vocabularies have their pattern instead), each unit is looked up in a bounded cache, and what is
//! not found is merged and remembered:
//!
//! ```text
//! text --cuts--> units --cache--> ids
//!                   \--merge--/
//! ```
//!
//! The plain twin is `plain.rs`: the definition of BPE, word for word, over the whole text.

pub(crate) mod bpe;
mod cache;
pub(crate) mod compiled;
mod cuts;
mod encode;
pub(crate) mod joins;
pub(crate) mod merge;
pub(crate) mod pairs;
pub(crate) mod plain;
pub(crate) mod pretokenize;
mod scan;
pub(crate) mod width;

pub(crate) use encode::{Engine, MAX_TEXT, Worker};
