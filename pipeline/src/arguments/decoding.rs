//! Options of what continues prompts: `ratdata generate` and `ratdata eval`.

use std::num::NonZeroUsize;

use crate::number::jobs;

/// Options of what continues prompts.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DecodingArgs {
    /// How many prompts the model continues at a time
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value = "8", value_parser = jobs)]
    pub(crate) batch: NonZeroUsize,

    /// Where to compute: `auto`, `cpu`, `cuda[:N]` or `wgpu[:N]`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,

    /// Allow sequences that are longer than in training
    #[arg(long)]
    pub(crate) grow: bool,
}
