//! A decision about rows, which is all that a command adds to reading and writing them.

use ratdata_schemas::recipe::OnBadRow;

use crate::error::PrepareError;
use crate::rows::{OpenFile, Reason, RowView, Verdict};

/// How rows are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSettings {
    /// The column or field with the text.
    pub text_column: String,
    /// What becomes of rows that cannot be read or judged.
    pub on_bad_row: OnBadRow,
}

/// Decides which rows are kept. It sees each row by itself, on any thread, and so gives the same
/// result for any number of threads.
pub trait Decide: Sync {
    /// What a thread needs for itself, such as buffers.
    type Worker: Send;
    /// What is known of a file.
    type File: Send + Sync;

    /// Makes what one more thread needs.
    fn worker(&self) -> Self::Worker;

    /// Looks at a file before its rows; `number` is its place among those of the job.
    ///
    /// # Errors
    ///
    /// The decision cannot be made for this file.
    fn open(&self, number: usize, file: &OpenFile) -> Result<Self::File, PrepareError>;

    /// Returns the columns that it asks for, in addition to the text.
    fn columns(&self) -> &[String] {
        &[]
    }

    /// Returns whether a row without a text is a bad row.
    fn needs_text(&self) -> bool {
        true
    }

    /// Returns why no row of a row group is kept, where the file's footer says so.
    fn skips(&self, _file: &Self::File, _open: &OpenFile, _group: usize) -> Option<Reason> {
        None
    }

    /// Returns the sizes of texts that an earlier pass has read, of so many rows from `first` on, where
    /// it can tell without the text that a row is kept. It then gets an empty text; for any other verdict
    /// it is asked again, with the text.
    fn sizes(&self, _file: &Self::File, _first: u64, _count: usize) -> Option<Vec<Option<u32>>> {
        None
    }

    /// Decides about a row.
    ///
    /// # Errors
    ///
    /// The row cannot be judged; the message says what it has.
    fn decide(
        &self,
        worker: &mut Self::Worker,
        file: &Self::File,
        row: &RowView<'_>,
    ) -> Result<Verdict, String>;
}
