//! The data of a run: sources, the order of their sequences, batches, and a cursor.
//!
//! ```text
//! prefetch.rs     batches prepared ahead on a thread
//!   -> feed.rs        draws the next batch from a source or a mixture of them
//!        -> sampler.rs     which row is drawn when, by `ratdata_schemas::draw`
//!        -> batch.rs       the sequences of an iteration
//!        -> source.rs      an artifact or a headerless bin
//!             -> split.rs      its sequences by number
//! validation.rs   the validation parts as batches
//! cursor.rs       where a run is in its data     location.rs  where a sequence is on disk
//! ```
//!
//! Everything is computed from the configuration and a [`Cursor`] of a few integers. No list of
//! indices is stored, and a run that resumes replays nothing.

mod batch;
mod config;
mod cursor;
mod error;
mod feed;
mod location;
mod prefetch;
mod sampler;
mod source;
mod split;
mod validation;

pub use batch::{Batch, Draw};
pub use config::{DataConfig, SourceConfig};
pub use cursor::Cursor;
pub use error::DataError;
pub use feed::{Feed, locations};
pub use location::SequenceLocation;

pub use prefetch::Prefetch;
pub use sampler::{Order, Sampler};
pub use source::{Source, open_sources};
pub use split::{Scratch, SequenceMut, SequenceShape, Split};
pub use validation::validation_batches;
