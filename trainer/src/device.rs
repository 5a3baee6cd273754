//! The device that a run computes on: the CPU or a GPU.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use burn::tensor::Device;
use thiserror::Error;

/// The device a user asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU that this build can use, or the CPU if there is none.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this index.
    Cuda(usize),
}

/// An error of choosing a device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("no device is named `{found}`, expected `auto`, `cpu`, `cuda` or `cuda:N`")]
    Name {
        /// The name that was written.
        found: String,
    },
    /// The program was built for the CPU alone.
    #[error("`{choice}` was asked for, and this build has no CUDA")]
    NotBuilt {
        /// The device that was asked for.
        choice: DeviceChoice,
    },
    /// No NVIDIA driver is loaded.
    #[error("`{choice}` was asked for, and no NVIDIA driver is loaded")]
    NoDriver {
        /// The device that was asked for.
        choice: DeviceChoice,
    },
    /// The driver finds no GPU.
    #[error("`{choice}` was asked for, and the NVIDIA driver finds no GPU")]
    NoGpu {
        /// The device that was asked for.
        choice: DeviceChoice,
    },
    /// The index is too high.
    #[error("`{choice}` was asked for, the machine has {found} GPUs, counted from 0")]
    Index {
        /// The device that was asked for.
        choice: DeviceChoice,
        /// How many GPUs there are.
        found: usize,
    },
}

impl DeviceError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotBuilt { .. } => {
                Some("build with `--features cuda`, see docs/cuda.md, or train with `--device cpu`")
            }
            Self::NoDriver { .. } => {
                Some("install NVIDIA's driver, until `nvidia-smi` runs, or take `--device cpu`")
            }
            Self::NoGpu { .. } => {
                Some("see that `nvidia-smi` lists a GPU and CUDA_VISIBLE_DEVICES does not hide it")
            }
            Self::Name { .. } | Self::Index { .. } => None,
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Name { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Finds the device, without autodiff.
    ///
    /// The device is always explicit. In a build with CUDA on a machine without a GPU, Burn's default
    /// device would fail only when the first tensor is made.
    ///
    /// # Errors
    /// Returns [`DeviceError`] where a GPU was asked for and this build or this machine has none.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Auto if gpus() == 0 => Ok(Device::flex()),
            Self::Auto => cuda(0),
            Self::Cuda(index) => {
                if !cfg!(feature = "cuda") {
                    return Err(DeviceError::NotBuilt { choice: self });
                }
                match gpus() {
                    0 => Err(self.without_gpu(has_driver())),
                    found if index >= found => Err(DeviceError::Index { choice: self, found }),
                    _ => cuda(index),
                }
            }
        }
    }

    fn without_gpu(self, driver: bool) -> DeviceError {
        if driver {
            DeviceError::NoGpu { choice: self }
        } else {
            DeviceError::NoDriver { choice: self }
        }
    }

    /// Returns how many bytes are free on the device, if the system says.
    pub fn free_memory(self) -> Option<u64> {
        match self {
            Self::Auto if gpus() > 0 => free_on_gpu(0),
            Self::Auto | Self::Cpu => {
                let text = std::fs::read_to_string("/proc/meminfo").ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
                line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
            }
            Self::Cuda(index) => free_on_gpu(index),
        }
    }
}

/// Returns whether NVIDIA's kernel driver is loaded, natively or under Windows.
fn has_driver() -> bool {
    ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"]
        .iter()
        .any(|path| Path::new(path).exists())
}

/// Asks `nvidia-smi`, a part of the driver, about a GPU by its number in CUDA.
fn free_on_gpu(index: usize) -> Option<u64> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok().filter(|list| !list.is_empty());
    let id = match &visible {
        Some(list) => list.split(',').nth(index)?.trim().to_owned(),
        None => index.to_string(),
    };
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id", &id])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    mebibytes(&String::from_utf8_lossy(&output.stdout))
}

/// Reads a number of MiB on a line of its own, and returns bytes.
fn mebibytes(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(1 << 20)
}

/// Counts the GPUs that this build can use.
#[cfg(feature = "cuda")]
pub fn gpus() -> usize {
    Device::enumerate(burn::tensor::DeviceType::Cuda).len()
}

/// Counts the GPUs that this build can use: none.
#[cfg(not(feature = "cuda"))]
pub fn gpus() -> usize {
    0
}

#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "a build without CUDA fails here")]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    Ok(Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { choice: DeviceChoice::Cuda(index) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:7"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_so() {
        let error = DeviceChoice::Cuda(1).resolve().unwrap_err();

        assert_eq!(error.to_string(), "`cuda:1` was asked for, and this build has no CUDA");
        assert!(error.hint().unwrap().contains("--features cuda"));
    }

    #[test]
    fn a_missing_driver_and_a_missing_gpu_are_two_errors() {
        let choice = DeviceChoice::Cuda(0);

        let [driver, gpu] = [false, true].map(|driver| choice.without_gpu(driver));

        assert!(driver.to_string().contains("no NVIDIA driver"), "{driver}");
        assert!(gpu.to_string().contains("finds no GPU"), "{gpu}");
        assert_ne!(driver.hint(), gpu.hint());
    }

    #[test]
    fn free_memory_is_in_bytes() {
        assert_eq!(mebibytes("80995\n"), Some(80_995 << 20));
        assert_eq!(mebibytes("[N/A]"), None);
        assert!(DeviceChoice::Cpu.free_memory().is_none_or(|free| free > 1 << 20));
    }
}
