//! What the kernels for GPUs share: outputs like an input, and the type of its elements.

use burn::tensor::DType;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};

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
