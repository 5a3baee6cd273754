//! Cuts, joins and casts of a backend's own tensors.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, FloatDType, Shape, Slice};

/// Cuts a range out of one dimension.
pub(super) fn slice<B: Backend>(
    x: &FloatTensor<B>,
    dim: usize,
    range: &Range<usize>,
) -> FloatTensor<B> {
    if *range == (0..x.shape()[dim]) {
        return x.clone();
    }
    B::float_slice(x.clone(), &slices(&x.shape(), dim, range))
}

/// Puts a value in the place of a range of one dimension.
pub(super) fn assign<B: Backend>(
    x: FloatTensor<B>,
    dim: usize,
    range: &Range<usize>,
    value: FloatTensor<B>,
) -> FloatTensor<B> {
    let slices = slices(&x.shape(), dim, range);
    B::float_slice_assign(x, &slices, value)
}

fn slices(shape: &Shape, dim: usize, range: &Range<usize>) -> Vec<Slice> {
    let whole = |(at, &length): (usize, &usize)| {
        if at == dim { Slice::from(range.clone()) } else { Slice::from(0..length) }
    };
    shape.iter().enumerate().map(whole).collect()
}

/// Joins tensors along one dimension.
pub(super) fn concat<B: Backend>(mut parts: Vec<FloatTensor<B>>, dim: usize) -> FloatTensor<B> {
    if parts.len() == 1 { parts.remove(0) } else { B::float_cat(parts, dim) }
}

/// Adds two tensors, of which either may be absent.
pub(super) fn sum<B: Backend>(
    a: Option<FloatTensor<B>>,
    b: Option<FloatTensor<B>>,
) -> Option<FloatTensor<B>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(B::float_add(a, b)),
        (one, other) => one.or(other),
    }
}

/// Casts to a float type, unless the tensor has it already.
pub(super) fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, FloatDType::from(dtype)) }
}
