//! The tokenize job: files of documents become shards of token bins, in parallel and resumably.
//!
//! ```text
//! files -> parts -> rows -> ids            pool.rs      many threads, in any order
//!                     (pieces -> ids)      fim.rs       of documents that are parted to fill in the middle
//!                            -> staging    writer.rs    one file's documents, in file order
//!                            -> split      split.rs     the reference's permutation
//!                            -> shards     finish.rs    one train and one val shard a file
//!                            -> receipt    state.rs     from here on the file is done
//! all receipts -> (merge.rs) -> manifest   job.rs       from here on it is an artifact
//! ```

mod block;
mod context;
mod count;
mod delivery;
mod document_edge;
mod error;
mod estimate;
mod fim;
mod fim_tokens;
mod finish;
mod inputs;
mod job;
mod merge;
mod opened;
mod own_files;
mod pool;
mod progress;
mod room;
mod split;
mod state;
mod writer;

pub use count::{count_documents, is_document};
pub use error::JobError;
pub use estimate::{Estimate, estimate};
pub use fim::{FimKey, FimPiece, FimPlan};
pub use fim_tokens::fim_tokens;
pub use inputs::Inputs;
pub use job::{Job, Outcome};
pub use progress::{Progress, RowCounter};
pub use ratdata_schemas::recipe::{DtypeChoice, Edge, OnBadRow, Order, SpecialInText, Tokenize};
pub(crate) use split::val_count;
pub use split::{SplitRows, split_rows};
