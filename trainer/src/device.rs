//! The device that a run computes on: the CPU or a GPU.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use burn::tensor::{DType, Device};
use thiserror::Error;

use crate::model::Precision;

/// The device a user asked for: `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU that this build can use, through CUDA before wgpu, or the CPU if there is none.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this index.
    Cuda(usize),
    /// The device of this index that wgpu finds through Metal, Vulkan, DirectX 12 or OpenGL. GPUs come
    /// first; a processor that acts as a GPU comes last, and only this choice takes it.
    Wgpu(usize),
}

/// What computes: the CPU or a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// The CPU, which computes in f32 unless bf16 is asked for.
    Cpu,
    /// A GPU.
    Gpu {
        /// Whether it computes in bf16.
        has_bf16: bool,
    },
}

impl Hardware {
    /// Returns what a device is.
    pub fn of(device: &Device) -> Self {
        if *device == Device::flex() {
            Self::Cpu
        } else {
            Self::Gpu { has_bf16: device.supports_dtype(DType::BF16) }
        }
    }

    /// Returns whether it is a GPU.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Gpu { .. })
    }

    /// Returns the type in which layers compute unless an experiment names one.
    pub fn usual_precision(self) -> Precision {
        match self {
            Self::Gpu { has_bf16: true } => Precision::Bf16,
            Self::Cpu | Self::Gpu { has_bf16: false } => Precision::F32,
        }
    }

    /// Returns the type in which layers compute.
    ///
    /// # Errors
    /// Returns [`DeviceError::NoBf16`] where bf16 is asked for and the GPU lacks it: `CubeCL` would
    /// compute something else without an error.
    pub fn precision(self, wanted: Option<Precision>) -> Result<Precision, DeviceError> {
        match (self, wanted) {
            (Self::Gpu { has_bf16: false }, Some(Precision::Bf16)) => Err(DeviceError::NoBf16),
            _ => Ok(wanted.unwrap_or(self.usual_precision())),
        }
    }
}

/// An error of choosing a device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error(
        "no device is named `{found}`, expected `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:N`"
    )]
    Name {
        /// The name that was written.
        found: String,
    },
    /// The program was built without what reaches this device.
    #[error("`{choice}` was asked for, and this build has no {}", choice.runtime())]
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
    /// wgpu finds no device.
    #[error(
        "`{choice}` was asked for, and neither Metal, Vulkan, DirectX 12 nor OpenGL has a device"
    )]
    NoAdapter {
        /// The device that was asked for.
        choice: DeviceChoice,
    },
    /// The GPU has no bf16.
    #[error("`training.precision` is \"bf16\", and the GPU does not compute in bf16")]
    NoBf16,
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
            Self::NotBuilt { choice: DeviceChoice::Wgpu(_) } => Some(
                "build with `--features wgpu`, see docs/gpu.md, or compute with `--device cpu`",
            ),
            Self::NotBuilt { .. } => {
                Some("build with `--features cuda`, see docs/gpu.md, or train with `--device cpu`")
            }
            Self::NoAdapter { .. } => {
                Some("install the driver of the GPU, or compute with `--device cpu`")
            }
            Self::NoBf16 => Some("take `--set training.precision=f32`"),
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
            "wgpu" => Ok(Self::Wgpu(0)),
            _ => {
                let numbered = |prefix, choice: fn(usize) -> Self| {
                    text.strip_prefix(prefix)?.parse().ok().map(choice)
                };
                numbered("cuda:", Self::Cuda)
                    .or_else(|| numbered("wgpu:", Self::Wgpu))
                    .ok_or_else(|| DeviceError::Name { found: text.to_owned() })
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
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
            Self::Auto if cuda::count() > 0 => cuda::device(0),
            Self::Auto if wgpu::gpus() > 0 => wgpu::device(0),
            Self::Auto | Self::Cpu => Ok(Device::flex()),
            Self::Cuda(_) | Self::Wgpu(_) if !self.is_built() => {
                Err(DeviceError::NotBuilt { choice: self })
            }
            Self::Cuda(index) => match cuda::count() {
                0 => Err(self.without_gpu(has_driver())),
                found if index >= found => Err(DeviceError::Index { choice: self, found }),
                _ => cuda::device(index),
            },
            Self::Wgpu(index) => match wgpu::count() {
                0 => Err(DeviceError::NoAdapter { choice: self }),
                found if index >= found => Err(DeviceError::Index { choice: self, found }),
                _ => wgpu::device(index),
            },
        }
    }

    /// Returns whether this build reaches such devices.
    fn is_built(self) -> bool {
        match self {
            Self::Auto | Self::Cpu => true,
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Wgpu(_) => cfg!(feature = "wgpu"),
        }
    }

    /// Returns the name of what computes there.
    fn runtime(self) -> &'static str {
        match self {
            Self::Auto | Self::Cpu => "CPU",
            Self::Cuda(_) => "CUDA",
            Self::Wgpu(_) => "wgpu",
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
            Self::Auto if cuda::count() > 0 => free_on_gpu(0),
            Self::Auto if wgpu::gpus() > 0 => None,
            Self::Auto | Self::Cpu => {
                let text = std::fs::read_to_string("/proc/meminfo").ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
                line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
            }
            Self::Cuda(index) => free_on_gpu(index),
            // No interface of wgpu tells it.
            Self::Wgpu(_) => None,
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

/// The devices of CUDA.
mod cuda {
    use super::{Device, DeviceError};

    /// Returns how many GPUs this build can use.
    #[cfg(feature = "cuda")]
    pub(super) fn count() -> usize {
        Device::enumerate(burn::tensor::DeviceType::Cuda).len()
    }

    #[cfg(feature = "cuda")]
    #[expect(clippy::unnecessary_wraps, reason = "a build without CUDA fails here")]
    pub(super) fn device(index: usize) -> Result<Device, DeviceError> {
        Ok(Device::cuda(index))
    }

    #[cfg(not(feature = "cuda"))]
    pub(super) fn count() -> usize {
        0
    }

    #[cfg(not(feature = "cuda"))]
    pub(super) fn device(index: usize) -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt { choice: super::DeviceChoice::Cuda(index) })
    }
}

/// The devices of wgpu.
mod wgpu {
    use super::{Device, DeviceError};

    /// All devices, GPUs first. To find them opens every driver of the machine.
    #[cfg(feature = "wgpu")]
    static DEVICES: std::sync::LazyLock<Vec<Device>> = std::sync::LazyLock::new(|| {
        let mut found: Vec<Device> =
            Device::enumerate(burn::tensor::DeviceType::Wgpu).into_iter().collect();
        found.sort_by_key(|device| !is_gpu(device));
        found
    });

    /// Returns whether a device is no processor that acts as a GPU, such as Mesa's.
    #[cfg(feature = "wgpu")]
    fn is_gpu(device: &Device) -> bool {
        *device != Device::wgpu(burn::tensor::DeviceKind::Cpu)
    }

    /// Returns how many devices there are.
    #[cfg(feature = "wgpu")]
    pub(super) fn count() -> usize {
        DEVICES.len()
    }

    /// Returns how many of them are GPUs.
    #[cfg(feature = "wgpu")]
    pub(super) fn gpus() -> usize {
        DEVICES.iter().filter(|device| is_gpu(device)).count()
    }

    #[cfg(feature = "wgpu")]
    pub(super) fn device(index: usize) -> Result<Device, DeviceError> {
        let missing = || DeviceError::NoAdapter { choice: super::DeviceChoice::Wgpu(index) };
        DEVICES.get(index).cloned().ok_or_else(missing)
    }

    #[cfg(not(feature = "wgpu"))]
    pub(super) fn count() -> usize {
        0
    }

    #[cfg(not(feature = "wgpu"))]
    pub(super) fn gpus() -> usize {
        0
    }

    #[cfg(not(feature = "wgpu"))]
    pub(super) fn device(index: usize) -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt { choice: super::DeviceChoice::Wgpu(index) })
    }
}

/// Returns the device that tests compute on: the CPU, or what `RATDATA_TEST_DEVICE` names.
///
/// # Errors
/// Returns [`DeviceError`] where there is no such device.
#[doc(hidden)]
pub fn test_device() -> Result<Device, DeviceError> {
    match std::env::var("RATDATA_TEST_DEVICE") {
        Ok(name) => name.parse::<DeviceChoice>()?.resolve(),
        Err(_) => Ok(Device::flex()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:7", "wgpu:0", "wgpu:3"] {
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

    #[cfg(not(feature = "wgpu"))]
    #[test]
    fn a_build_without_wgpu_says_so() {
        let error = "wgpu".parse::<DeviceChoice>().unwrap().resolve().unwrap_err();

        assert_eq!(error.to_string(), "`wgpu:0` was asked for, and this build has no wgpu");
        assert!(error.hint().unwrap().contains("--features wgpu"));
    }

    #[test]
    fn bf16_is_refused_on_a_gpu_without_it() {
        let [with, without] = [true, false].map(|has_bf16| Hardware::Gpu { has_bf16 });

        assert_eq!(with.precision(None), Ok(Precision::Bf16));
        assert_eq!(without.precision(None), Ok(Precision::F32));
        assert_eq!(Hardware::Cpu.precision(None), Ok(Precision::F32));
        assert_eq!(Hardware::Cpu.precision(Some(Precision::Bf16)), Ok(Precision::Bf16));
        assert_eq!(with.precision(Some(Precision::F32)), Ok(Precision::F32));
        let refused = without.precision(Some(Precision::Bf16)).unwrap_err();
        assert!(refused.to_string().contains("does not compute in bf16"), "{refused}");
        assert!(refused.hint().unwrap().contains("training.precision=f32"));
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
