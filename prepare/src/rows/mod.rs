//! Whole rows of input files: read in parts by many threads, and written with the same columns.
//!
//! ```text
//! SourceFile -> OpenFile   open.rs      a table of all columns, or lines
//!            -> Task       tasks.rs     a row group, or a batch of rows
//!            -> RowView    view.rs      what a decision sees of a row
//!            -> Piece      piece.rs     the rows that are kept, and why others are not (../judge.rs)
//!            -> RowWriter  writer.rs    parquet, or compressed lines
//! ```

mod open;
mod piece;
mod tasks;
mod view;
mod writer;

pub use open::OpenFile;
pub use piece::{DroppedSample, Reason, Verdict};
pub(crate) use piece::{MOST_SAMPLES, Piece, PieceCounts};
pub(crate) use tasks::{Batch, Part, Task, tasks};
pub use view::RowView;
pub(crate) use view::{JsonColumns, TableColumns, TextColumn, arrays_of, text_of};
pub(crate) use writer::{LogWriter, RowWriter, frame_of};
