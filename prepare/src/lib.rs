//! Rows in, decisions, rows out: what is done with a corpus before it is tokenized.
//!
//! ```text
//! files -> OpenFile -> Task        rows/       row groups and batches of lines, on many threads
//!                   -> Scan        scan.rs     passes that only look, before: dedup/, decontaminate/
//!                   -> Verdict     decide.rs   a command decides about each row: filter/, dedup/, decontaminate/
//!                   -> Piece       judge.rs    the rows that are kept, and why others are not
//!                   -> RowWriter   rows/       in the order of the input
//!                   -> receipt     job.rs      from here on the file is done
//! all receipts -> Prepared         prepared.rs from here on the folder is a result
//! ```
//!
//! A decision sees each row by itself. Whatever needs all rows, such as which of two equal ones is the
//! first, is found out in passes before.

mod decide;
mod decontaminate;
mod dedup;
mod error;
mod estimate;
mod filter;
mod hashed;
mod job;
mod judge;
mod names;
mod pool;
pub mod predicate;
mod prepared;
mod progress;
mod rows;
mod scan;
mod text_sizes;
mod words;

pub use decide::{Decide, RowSettings};
pub use decontaminate::{
    Decontaminate, FoundHits, GramUnit, OverlapSettings, Passages, ShownHit, THRESHOLD,
};
pub use dedup::{Dedup, MinHash, Normalize, Unit};
pub use error::PrepareError;
pub use estimate::{Estimate, estimate};
pub use filter::{Filter, Rules, RulesError};
pub use job::{Job, JobSettings, Outcome};
pub use prepared::{DATA_FOLDER, PREPARED_FILE, Prepared, PreparedFile, Totals};
pub use progress::Progress;
pub use rows::{DroppedSample, OpenFile, Reason, RowView, Verdict};
pub use words::WordReader;
