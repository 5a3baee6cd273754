//! The data of a run: sources, the order of their sequences, batches, and where a run is in them.
//!
//! Everything is computed from the configuration and a [`Cursor`] of a few integers: no list of
//! indices is kept, and a run that goes on replays nothing.

mod config;
mod error;
mod feed;
mod order;
mod permutation;
mod prefetch;
mod source;
mod split;

pub use config::{DataConfig, SourceConfig};
pub use error::DataError;
pub use feed::{Batch, Cursor, Feed, open_sources, places, validation_batches};
pub use order::{Course, Order};
pub use permutation::Permutation;
pub use prefetch::Prefetch;
pub use source::Source;
pub use split::{Place, Scratch, Split};
