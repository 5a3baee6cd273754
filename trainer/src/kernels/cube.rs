//! What the kernels for GPUs share: how they are launched, outputs like an input, and the type of its elements.

use burn::tensor::DType;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::ir::{AddressType, ElemType, FloatKind};
use cubecl::prelude::{CubeCount, CubeDim};

/// How a kernel is launched on tensors of the size of one: a thread for each of so many values.
pub(super) struct Launch {
    pub(super) client: Client,
    pub(super) count: CubeCount,
    pub(super) dim: CubeDim,
    /// The type that holds every place in the tensor.
    pub(super) addresses: AddressType,
}

impl Launch {
    pub(super) fn new(tensor: &CubeTensor, threads: usize) -> Self {
        let client = tensor.client.clone();
        let dim = CubeDim::new(&client, threads);
        let count = calculate_cube_count_elemwise(&client, threads, dim);
        Self { client, count, dim, addresses: tensor.required_address_type() }
    }
}

/// Makes a contiguous tensor of the shape and type of another one, on its device. Its values are not set.
pub(super) fn like(tensor: &CubeTensor) -> CubeTensor {
    empty_device_contiguous_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        tensor.meta.shape().clone(),
        tensor.dtype,
    )
}

/// Returns the type of a tensor's elements, as kernels are told it: the layers compute in bf16 or f32.
pub(super) fn element(tensor: &CubeTensor) -> ElemType {
    ElemType::Float(match tensor.dtype {
        DType::BF16 => FloatKind::BF16,
        _ => FloatKind::F32,
    })
}
