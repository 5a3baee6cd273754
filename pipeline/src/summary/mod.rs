//! What several commands say of a result: as text, or as one JSON object.

mod bins;
mod estimate;
mod mix;
mod pack;
mod prepared;

pub(crate) use bins::BinsSummary;
pub(crate) use estimate::EstimateSummary;
pub(crate) use mix::MixTable;
pub(crate) use pack::PackSummary;
pub(crate) use prepared::{PreparedSummary, RowsEstimate};
