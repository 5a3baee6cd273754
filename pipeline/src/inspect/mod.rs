//! Inspection of artifacts: their content, and warnings about it.

mod artifact_tokenizer;
mod checkpoint;
mod decode;
mod documents;
mod eos_gaps;
mod excerpts;
mod find;
mod lengths;
mod preference;
mod render;
mod repeats;
mod rows;
mod scan;
mod sources;
mod subject;
mod texts;
mod view;
mod warnings;

pub(crate) use artifact_tokenizer::{find as find_tokenizer, missing as missing_tokenizer};
pub(crate) use checkpoint::inspect_checkpoint;
pub(crate) use excerpts::{draw, numbers, range_of};
pub(crate) use preference::preference_row;
pub(crate) use sources::find as find_sources;
pub(crate) use subject::{SplitTokens, Subject, open_bins, rows_failure};
pub(crate) use texts::{Asked, texts};
pub(crate) use view::{IdCount, Inspection, SplitView, inspect};
