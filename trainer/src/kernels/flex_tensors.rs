//! Tensors of the CPU as slices, and back.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, FlexDevice};
use burn::tensor::{DType, TensorData};

/// Returns the values of a contiguous f32 tensor.
pub(super) fn floats(tensor: &FloatTensor<Flex>) -> &[f32] {
    let values: &[f32] = tensor.storage();
    let start = tensor.layout().start_offset();
    &values[start..start + tensor.layout().num_elements()]
}

/// Makes a tensor of values.
pub(super) fn tensor(values: Vec<f32>, shape: &[usize]) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(values, shape), &FlexDevice)
}

/// Returns whether all tensors have the type of the CPU's kernels.
pub(super) fn are_f32<const N: usize>(tensors: [&FloatTensor<Flex>; N]) -> bool {
    tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// Makes a tensor contiguous; the borrowed form of this would keep a second handle, and copy later.
pub(super) fn owned(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// Returns the values of a contiguous tensor to change them. Where other tensors share them, they are
/// copied first.
pub(super) fn changed(tensor: &mut FloatTensor<Flex>) -> &mut [f32] {
    let (start, count) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    let values: &mut [f32] = tensor.storage_mut();
    &mut values[start..start + count]
}

/// Cuts the rows of a matrix into parts of so many columns: a part has a piece of each row.
pub(super) fn column_parts(matrix: &mut [f32], width: usize, part: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> = Vec::new();
    parts.resize_with(width.div_ceil(part), Vec::new);
    for row in matrix.chunks_exact_mut(width) {
        for (piece, part) in row.chunks_mut(part).zip(&mut parts) {
            part.push(piece);
        }
    }
    parts
}
