//! What a kernel is compiled for, on a machine without a GPU.

use std::sync::Arc;

use cubecl::ir::{DeviceIdentity, HardwareProperties, MemoryDeviceProperties, features::Features};
use cubecl::prelude::*;
use cubecl::profile::TimingMethod;

/// A kernel and its name.
pub(crate) type Kernel = (&'static str, Box<dyn CubeKernel>);

/// Makes a kernel from its type and arguments, as it is compiled for a machine.
macro_rules! compiled {
    ($on:expr, $kernel:path, $($argument:expr),+ $(,)?) => {{
        let (settings, properties, target) = $on.parts();
        <$kernel>::new(settings, properties, target, $($argument),+)
    }};
}

pub(crate) use compiled;

/// How many units a cube has: `CubeDim::new` gives eight planes to a large tensor.
const UNITS: u32 = 256;

/// What a kernel is compiled for.
pub(crate) struct Machine {
    /// The type of elements, of kernels that take several.
    pub(crate) element: ElemType,
    addresses: AddressType,
    properties: Arc<DeviceProperties>,
}

impl Machine {
    /// Describes an NVIDIA GPU, for elements and addresses of these types.
    pub(crate) fn new(element: ElemType, addresses: AddressType) -> Self {
        let hardware = HardwareProperties {
            load_width: 128,
            vector_register_count: None,
            plane_size_min: 32,
            plane_size_max: 32,
            max_bindings: 32,
            max_shared_memory_size: 48 << 10,
            max_cube_count: (u32::MAX, u32::from(u16::MAX), u32::from(u16::MAX)),
            max_units_per_cube: 1024,
            max_cube_dim: (1024, 1024, 64),
            num_streaming_multiprocessors: None,
            num_tensor_cores: None,
            min_tensor_cores_dim: None,
            num_cpu_cores: None,
            last_level_cache_size: None,
            max_vector_size: VectorSize::MAX,
            cube_mma_reserved_shared_memory: 0,
        };
        let name = "an NVIDIA GPU that is not there".to_owned();
        let identity = DeviceIdentity { name: name.clone(), fingerprint: name, physical: None };
        let memory = MemoryDeviceProperties::new(u64::MAX, 256);
        let mut properties = DeviceProperties::new(
            Features::default(),
            memory,
            hardware,
            TimingMethod::Device,
            identity,
        );
        cubecl_cpp::register_supported_types(&mut properties);
        Self { element, addresses, properties: Arc::new(properties) }
    }

    /// Returns what each kernel is made from.
    pub(crate) fn parts(&self) -> (KernelSettings, Arc<DeviceProperties>, Arc<TargetProperties>) {
        let settings =
            KernelSettings::new(*CubeDim::new_1d(UNITS), ExecutionMode::Unchecked, self.addresses);
        (settings, Arc::clone(&self.properties), Arc::new(TargetProperties::default()))
    }

    /// Returns an argument that is a buffer of its own.
    pub(crate) fn buffer(&self) -> BufferCompilationArg {
        BufferCompilationArg { inplace: None }
    }
}
