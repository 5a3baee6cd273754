//! What several commands say of a result: as text, or as one JSON object.

mod bins;
mod estimate;
mod pack;

pub(crate) use bins::BinsSummary;
pub(crate) use estimate::EstimateSummary;
pub(crate) use pack::PackSummary;
