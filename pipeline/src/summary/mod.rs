//! What several commands say of a result: as text, or as one JSON object.

mod bins;
mod estimate;
mod mix;
mod pack;
mod preference;
mod prepared;
mod sft_estimate;

pub(crate) use bins::BinsSummary;
pub(crate) use estimate::EstimateSummary;
pub(crate) use mix::MixTable;
pub(crate) use pack::PackSummary;
pub(crate) use preference::PreferenceSummary;
pub(crate) use prepared::{PreparedSummary, RowsEstimate};
pub(crate) use sft_estimate::SftEstimateSummary;
