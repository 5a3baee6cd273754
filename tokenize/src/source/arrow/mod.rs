//! Reads Arrow's IPC format, files and streams alike: a file is a stream between two marks.
//!
//! `datasets` saves streams and pyarrow's Feather writes files, both under the ending `.arrow`. The
//! messages are read one after the other, so that one reader serves disks, object stores and
//! compressed files; in memory is one record batch.

mod columns;
mod guard;
mod messages;
mod source;
mod table;

pub(super) use columns::pruned;
pub use source::ArrowSource;
pub use table::ArrowTable;
