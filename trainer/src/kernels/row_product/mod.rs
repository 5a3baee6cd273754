//! Products of a few rows with a matrix of weights: the projections of one new token in each slot.

mod flex;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Tensor};

pub(super) use flex::products;

/// The backends with a kernel of their own: the operation as the dispatcher sees it.
#[backend_extension(Flex)]
pub(crate) trait RowProductBackend: Backend {
    /// Runs [`row_product`] on a backend's own tensors.
    fn row_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Multiplies each row by the weights.
///
/// On the CPU, each number is a sum in the order of the inputs, so that a row gives the same bits
/// whatever the other rows are and however many there are.
///
/// # Shapes
/// `x`: [rows, in], `weight`: [out, in], output: [rows, out].
pub(crate) fn row_product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    // The kernel has no backward pass.
    let is_own = |tensor: &Tensor<2>| {
        let device = tensor.device();
        device == Device::flex() && !device.is_autodiff() && tensor.dtype() == DType::F32
    };
    if !is_own(&x) || !is_own(&weight) {
        return x.matmul(weight.transpose());
    }
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as RowProductBackend>::row_product(x, weight))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn draw(rows: usize, width: usize) -> Tensor<2> {
        Tensor::random([rows, width], Distribution::Uniform(-1.0, 1.0), &Device::flex())
    }

    #[test]
    fn the_kernel_is_the_matrix_product() {
        for (rows, inner, outputs) in
            [(1, 1, 1), (2, 40, 7), (5, 33, 130), (19, 128, 517), (40, 8, 64)]
        {
            let (x, weight) = (draw(rows, inner), draw(outputs, inner));

            let fast = row_product(x.clone(), weight.clone());
            let slow = x.matmul(weight.transpose());

            let error = (fast - slow).abs().max().into_scalar::<f32>();
            assert!(error < 1e-5, "{rows} rows, {inner} inputs, {outputs} outputs: {error}");
        }
    }

    #[test]
    fn gradients_are_those_of_the_matrix_product() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::ones([3, 5], &device).require_grad();
        let weight = Tensor::<2>::ones([2, 5], &device).require_grad();

        let gradients = row_product(x.clone(), weight.clone()).sum().backward();

        let sum = |tensor: &Tensor<2>| tensor.grad(&gradients).unwrap().sum().into_scalar::<f32>();
        assert_eq!(
            (sum(&x).to_bits(), sum(&weight).to_bits()),
            (30.0_f32.to_bits(), 30.0_f32.to_bits())
        );
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        let (x, weight) = (draw(37, 48), draw(203, 48));
        let bits = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
        let all = row_product(x.clone(), weight.clone());

        for (first, rows) in [(0, 1), (3, 2), (11, 7), (20, 16)] {
            let part = row_product(x.clone().narrow(0, first, rows), weight.clone());
            assert_eq!(bits(part), bits(all.clone().narrow(0, first, rows)), "{first}, {rows}");
        }
    }
}
