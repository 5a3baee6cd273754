//! Looking at artifacts: what is in them, and what is odd about it.

mod checkpoint;
mod decode;
mod lengths;
mod pieces;
mod render;
mod repeats;
mod rows;
mod scan;
mod view;

pub(crate) use checkpoint::inspect_checkpoint;
pub(crate) use decode::{Shown, find_text, range_of, show_documents, show_rows};
pub(crate) use pieces::{find as find_tokenizer, missing as missing_tokenizer};
pub(crate) use view::{
    IdCount, Inspection, SplitView, inspect_artifact, inspect_bin, open_bins, rows_failure,
};
