//! One update of a parameter by `AdamW`, and the sum of squares that its clipping needs.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// The numbers of an update, the same for all parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct UpdateNumbers {
    /// What the gradient is multiplied by: less than 1 where it is clipped.
    pub(crate) clip: f32,
    /// Decay of the first moment.
    pub(crate) beta_1: f32,
    /// Decay of the second moment.
    pub(crate) beta_2: f32,
    /// What the first moment is divided by, since it begins at 0.
    pub(crate) weight_1: f32,
    /// What the second moment is divided by.
    pub(crate) weight_2: f32,
    /// What is added to the root of the second moment.
    pub(crate) eps: f32,
    /// What the parameter is multiplied by before the update.
    pub(crate) shrink: f32,
    /// The learning rate.
    pub(crate) lr: f32,
}

/// The backends that update: the operations as the dispatcher sees them.
#[backend_extension(Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait AdamWBackend: Backend {
    /// Runs [`update`] on a backend's own tensors.
    fn update(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        numbers: UpdateNumbers,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Runs [`sum_of_squares`] on a backend's own tensor.
    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// A parameter and its moments, without autodiff.
#[derive(Debug)]
pub(crate) struct Updated<const D: usize> {
    pub(crate) value: Tensor<D>,
    pub(crate) first: Tensor<D>,
    pub(crate) second: Tensor<D>,
}

/// Adds a gradient to the moments of a parameter, and updates the parameter by them.
pub(crate) fn update<const D: usize>(
    before: Updated<D>,
    grad: Tensor<D>,
    numbers: UpdateNumbers,
) -> Updated<D> {
    let Updated { value, first, second } = before;
    let [value, grad, first, second] = [value, grad, first, second].map(Tensor::into_dispatch);
    let (value, first, second) =
        <Dispatch as AdamWBackend>::update(value, grad, first, second, numbers);
    let [value, first, second] = [value, first, second].map(Tensor::from_dispatch);
    Updated { value, first, second }
}

/// Sums up the squares of all values of a tensor without autodiff.
///
/// # Shapes
/// Output: `[1]`.
pub(crate) fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as AdamWBackend>::sum_of_squares(x.into_dispatch()))
}

/// Computes [`update`] in tensor operations: the slow twin of the kernels.
fn plain_update<B: Backend>(
    value: FloatTensor<B>,
    grad: FloatTensor<B>,
    [first, second]: [FloatTensor<B>; 2],
    numbers: UpdateNumbers,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let UpdateNumbers { clip, beta_1, beta_2, weight_1, weight_2, eps, shrink, lr } = numbers;
    let times = |x: FloatTensor<B>, factor: f32| B::float_mul_scalar(x, factor.into());
    let grad = times(grad, clip);
    let square = B::float_mul(grad.clone(), grad.clone());
    let first = B::float_add(times(first, beta_1), times(grad, 1.0 - beta_1));
    let second = B::float_add(times(second, beta_2), times(square, 1.0 - beta_2));
    let mean = B::float_div_scalar(first.clone(), weight_1.into());
    let root = B::float_sqrt(B::float_div_scalar(second.clone(), weight_2.into()));
    let direction = B::float_div(mean, B::float_add_scalar(root, eps.into()));
    (B::float_sub(times(value, shrink), times(direction, lr)), first, second)
}

fn plain_sum_of_squares<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_reshape(B::float_sum(B::float_mul(x.clone(), x)), burn::tensor::Shape::from([1]))
}
