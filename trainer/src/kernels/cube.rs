//! Tensors of GPUs as the kernels of `ratdata-gpu` take them.

use burn::tensor::{BoolStore, DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind, IntKind, UIntKind};
use ratdata_gpu::{Operand, Vectors};

/// Returns a contiguous tensor as an operand.
pub(super) fn operand(tensor: CubeTensor) -> Operand {
    let element = element(&tensor);
    Operand::new(tensor.binding(), element)
}

/// Returns a tensor's vectors. They are copied where they do not lie at one distance.
pub(super) fn vectors(tensor: CubeTensor) -> Vectors {
    let element = element(&tensor);
    Vectors::new(tensor.clone().binding(), element).unwrap_or_else(|| {
        let copy = into_contiguous(tensor).binding();
        Vectors::new(copy, element).unwrap_or_else(|| unreachable!("a contiguous tensor"))
    })
}

fn element(tensor: &CubeTensor) -> ElemType {
    match tensor.dtype {
        DType::F32 => ElemType::Float(FloatKind::F32),
        DType::BF16 => ElemType::Float(FloatKind::BF16),
        DType::I32 => ElemType::Int(IntKind::I32),
        DType::I64 => ElemType::Int(IntKind::I64),
        DType::Bool(BoolStore::U8) => ElemType::UInt(UIntKind::U8),
        DType::Bool(BoolStore::U32) => ElemType::UInt(UIntKind::U32),
        other => unreachable!("the layers have no {other:?}"),
    }
}

/// Makes a contiguous tensor of the shape and type of another one, on its device. Its values are not set.
pub(super) fn like(tensor: &CubeTensor) -> CubeTensor {
    empty(tensor, tensor.meta.shape().clone(), tensor.dtype)
}

/// Makes a contiguous tensor on the device of another one. Its values are not set.
pub(super) fn empty(on: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(on.client.clone(), on.device.clone(), shape, dtype)
}

/// Returns a contiguous tensor that no other shares, to change its values.
pub(super) fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}
