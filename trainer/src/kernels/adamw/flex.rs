//! The update on the CPU: one pass over the parameter, its gradient and its moments, in place.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{AdamWBackend, UpdateNumbers, plain_sum_of_squares, plain_update};
use crate::convert::rounded;
use crate::kernels::flex_tensors::{are_f32, changed, floats, owned, tensor};
use crate::kernels::vector_level::{Vectorized, dot, vectorized};

/// How many values a thread takes at a time. Squares are summed up in these parts, so that the sum does not
/// depend on the number of threads.
const VALUES: usize = 1 << 14;

impl AdamWBackend for Flex {
    fn update(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        numbers: UpdateNumbers,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !are_f32([&value, &grad, &first, &second]) {
            return plain_update::<Self>(value, grad, [first, second], numbers);
        }
        let grad = grad.to_contiguous();
        let [mut value, mut first, mut second] = [value, first, second].map(owned);
        let parts = changed(&mut value).par_chunks_mut(VALUES);
        let parts = parts.zip(changed(&mut first).par_chunks_mut(VALUES));
        let parts = parts.zip(changed(&mut second).par_chunks_mut(VALUES));
        parts.zip(floats(&grad).par_chunks(VALUES)).for_each(|(((value, first), second), grad)| {
            vectorized(Part { value, first, second, grad, numbers });
        });
        (value, first, second)
    }

    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !are_f32([&x]) {
            return plain_sum_of_squares::<Self>(x);
        }
        let x = x.to_contiguous();
        let parts = floats(&x).par_chunks(VALUES);
        let sums: Vec<f64> = parts.map(|part| f64::from(vectorized(Squares(part)))).collect();
        tensor(vec![rounded(sums.iter().sum())], &[1])
    }
}

struct Squares<'a>(&'a [f32]);

impl Vectorized for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> f32 {
        dot::<FUSED>(self.0, self.0)
    }
}

struct Part<'a> {
    value: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    grad: &'a [f32],
    numbers: UpdateNumbers,
}

impl Vectorized for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { value, first, second, grad, numbers } = self;
        let UpdateNumbers { clip, beta_1, beta_2, weight_1, weight_2, eps, shrink, lr } = numbers;
        let moments = first.iter_mut().zip(second);
        for ((value, grad), (first, second)) in value.iter_mut().zip(grad).zip(moments) {
            let grad = grad * clip;
            *first = *first * beta_1 + grad * (1.0 - beta_1);
            *second = *second * beta_2 + grad * grad * (1.0 - beta_2);
            let root = (*second / weight_2).sqrt() + eps;
            *value = *value * shrink - *first / weight_1 / root * lr;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;

    fn values(tensor: FloatTensor<Flex>) -> Vec<f32> {
        Tensor::<2>::from_primitive::<Flex>(tensor).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn one_pass_is_the_plain_form() {
        let numbers = UpdateNumbers {
            clip: 0.5,
            beta_1: 0.9,
            beta_2: 0.95,
            weight_1: 0.19,
            weight_2: 0.0975,
            eps: 1e-8,
            shrink: 0.999,
            lr: 0.01,
        };
        for shape in [[1, 1], [3, 37], [130, 257]] {
            let draw = |low: f64| {
                let spread = Distribution::Uniform(low, 1.0);
                let drawn = Tensor::<2>::random(shape, spread, &Device::flex());
                // A view of other values, so that nothing is changed that it shares.
                drawn.transpose().try_into_primitive::<Flex>().unwrap()
            };
            let (value, grad, first, second) = (draw(-1.0), draw(-1.0), draw(-1.0), draw(0.0));
            let before = values(value.clone());

            let (fast, fast_first, fast_second) =
                Flex::update(value.clone(), grad.clone(), first.clone(), second.clone(), numbers);
            let (slow, slow_first, slow_second) =
                plain_update::<Flex>(value.clone(), grad.clone(), [first, second], numbers);

            for (found, expected) in
                [(fast, slow), (fast_first, slow_first), (fast_second, slow_second)]
            {
                for (found, expected) in values(found).iter().zip(values(expected)) {
                    assert!((found - expected).abs() < 1e-6, "{shape:?}: {found}, {expected}");
                }
            }
            assert_eq!(values(value), before);
            let (found, expected) =
                (Flex::sum_of_squares(grad.clone()), plain_sum_of_squares::<Flex>(grad));
            let of = |tensor: FloatTensor<Flex>| floats(&tensor)[0];
            assert!((of(found) / of(expected) - 1.0).abs() < 1e-5);
        }
    }
}
