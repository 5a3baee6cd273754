//! The width of ids, where no manifest and no header says it.

use clap::ValueEnum;
use ratdata_schemas::Dtype;

/// The width of ids.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Width {
    /// Two bytes
    U16,
    /// Four bytes
    U32,
}

impl From<Width> for Dtype {
    fn from(width: Width) -> Self {
        match width {
            Width::U16 => Self::U16,
            Width::U32 => Self::U32,
        }
    }
}
