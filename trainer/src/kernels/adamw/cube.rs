//! The update on a GPU.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::adamw;

use super::{AdamWBackend, UpdateNumbers, plain_sum_of_squares};
use crate::kernels::cube::{operand, owned};

impl AdamWBackend for Cube {
    fn update(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        numbers: UpdateNumbers,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [value, first, second] = [value, first, second].map(owned);
        let (grad, client) = (into_contiguous(grad), value.client.clone());
        let parameter = adamw::Parameter {
            value: operand(value.clone()),
            first: operand(first.clone()),
            second: operand(second.clone()),
        };
        let UpdateNumbers { clip, beta_1, beta_2, weight_1, weight_2, eps, shrink, lr } = numbers;
        let numbers = adamw::Numbers { clip, beta_1, beta_2, weight_1, weight_2, eps, shrink, lr };
        adamw::update(&client, operand(grad), parameter, numbers);
        (value, first, second)
    }

    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain_sum_of_squares::<Self>(x)
    }
}
