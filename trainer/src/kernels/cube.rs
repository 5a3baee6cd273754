//! Tensors of GPUs as the kernels of `ratdata-gpu` take them.

use burn::tensor::DType;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use ratdata_gpu::Operand;

/// Returns a contiguous tensor as an operand.
pub(super) fn operand(tensor: CubeTensor) -> Operand {
    // The layers compute in bf16 or f32.
    let element = ElemType::Float(match tensor.dtype {
        DType::BF16 => FloatKind::BF16,
        _ => FloatKind::F32,
    });
    Operand::new(tensor.binding(), element)
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
