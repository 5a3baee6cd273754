//! GPUs by what they can do.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

use crate::model::Precision;

/// A GPU whose speed is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuModel {
    /// NVIDIA H100, SXM, 80 GB.
    H100,
    /// NVIDIA H200, SXM, 141 GB.
    H200,
    /// NVIDIA A100, SXM, 80 GB.
    A100,
    /// NVIDIA L40S, 48 GB.
    L40s,
    /// NVIDIA `GeForce` RTX 4090, 24 GB.
    #[serde(rename = "4090")]
    Rtx4090,
}

/// No GPU of this name is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no GPU is named `{found}`, expected `h100`, `h200`, `a100`, `l40s` or `4090`")]
pub struct UnknownGpu {
    found: String,
}

impl GpuModel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::H100, Self::H200, Self::A100, Self::L40s, Self::Rtx4090];

    fn name(self) -> &'static str {
        match self {
            Self::H100 => "h100",
            Self::H200 => "h200",
            Self::A100 => "a100",
            Self::L40s => "l40s",
            Self::Rtx4090 => "4090",
        }
    }

    /// Returns the operations a second of dense matrix products, by the data sheet.
    ///
    /// Products of f32 use the same units in TF32, at half the rate.
    pub fn peak_flops(self, precision: Precision) -> f64 {
        let bf16 = match self {
            Self::H100 | Self::H200 => 989e12,
            Self::A100 => 312e12,
            Self::L40s => 362e12,
            Self::Rtx4090 => 165e12,
        };
        match precision {
            Precision::Bf16 => bf16,
            Precision::F32 => bf16 / 2.0,
        }
    }

    /// Returns the operations a second that matrix products reach.
    ///
    /// Burn 0.22 does not use the instructions of Hopper (`wgmma`), without which an H100 reaches about
    /// 350e12 in bf16. Other GPUs reach about 60% of their peak: an assumption.
    pub(super) fn reached_flops(self, precision: Precision) -> f64 {
        let part = match self {
            Self::H100 | Self::H200 => 350.0 / 989.0,
            Self::A100 | Self::L40s | Self::Rtx4090 => 0.6,
        };
        part * self.peak_flops(precision)
    }

    /// Returns the bytes a second that a kernel reads and writes: three quarters of the data sheet's.
    pub(super) fn bytes_per_second(self) -> f64 {
        let sheet = match self {
            Self::H100 => 3.35e12,
            Self::H200 => 4.8e12,
            Self::A100 => 2.04e12,
            Self::L40s => 0.864e12,
            Self::Rtx4090 => 1.008e12,
        };
        0.75 * sheet
    }

    /// Returns the bytes of its memory.
    pub fn memory(self) -> u64 {
        1_000_000_000
            * match self {
                Self::H100 | Self::A100 => 80,
                Self::H200 => 141,
                Self::L40s => 48,
                Self::Rtx4090 => 24,
            }
    }
}

impl FromStr for GpuModel {
    type Err = UnknownGpu;

    fn from_str(text: &str) -> Result<Self, UnknownGpu> {
        let known = Self::ALL.into_iter().find(|gpu| gpu.name() == text);
        known.ok_or_else(|| UnknownGpu { found: text.to_owned() })
    }
}

impl fmt::Display for GpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_read_as_it_is_written() {
        for gpu in GpuModel::ALL {
            assert_eq!(gpu.to_string().parse(), Ok(gpu));
            assert_eq!(serde_json::to_value(gpu).unwrap(), gpu.to_string());
        }
        let wrong = "h300".parse::<GpuModel>().unwrap_err();
        assert!(wrong.to_string().contains("`h100`, `h200`, `a100`, `l40s` or `4090`"), "{wrong}");
    }

    #[test]
    fn nothing_is_faster_than_the_data_sheet() {
        for gpu in GpuModel::ALL {
            for precision in [Precision::F32, Precision::Bf16] {
                assert!(gpu.reached_flops(precision) < gpu.peak_flops(precision));
            }
            assert!(gpu.bytes_per_second() < 5e12);
        }
    }
}
