//! The BPE engine: texts to ids, exactly and fast.
//!
//! A text is cut into units that no merge crosses (`joins.rs` says why that is exact; byte-level
//! vocabularies have their pattern instead), each unit is looked up in a bounded table that all
//! threads share, and what is not found is merged and remembered:
//!
//! ```text
//! text --cuts--> units --table--> ids
//!                   \--merge--/
//! ```
//!
//! The plain twin is `plain.rs`: the definition of BPE, word for word, over the whole text.

mod batch;
pub(crate) mod bpe;
mod classes;
pub(crate) mod compiled;
pub(crate) mod cuts;
mod encode;
mod hot;
pub(crate) mod joins;
mod key;
mod long;
pub(crate) mod merge;
pub(crate) mod pairs;
pub(crate) mod plain;
mod pretokenize;
mod scan;
mod table;
mod walk;
pub(crate) mod width;

pub(crate) use encode::{Engine, MAX_TEXT, Worker};
pub(crate) use table::MOST_IDS;
