//! The GELU on a GPU: one kernel forward and one backward, which read and write each value once.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

use super::{GeluBackend, GeluKernels};
use crate::kernels::cube::{Launch, element, like};

#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel<F: Float>(x: &Tensor<F>, y: &mut Tensor<F>, #[define(F)] _element: ElemType) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let value = f32::cast_from(x[ABSOLUTE_POS]);
    y[ABSOLUTE_POS] = F::cast_from(value * phi(value));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel<F: Float>(
    x: &Tensor<F>,
    grad: &Tensor<F>,
    by_x: &mut Tensor<F>,
    #[define(F)] _element: ElemType,
) {
    if ABSOLUTE_POS >= by_x.len() {
        terminate!();
    }
    let value = f32::cast_from(x[ABSOLUTE_POS]);
    let density =
        (value * value * f32::new(-0.5_f32)).exp() * f32::new(comptime!((0.5 / PI).sqrt()));
    let slope = phi(value) + value * density;
    by_x[ABSOLUTE_POS] = F::cast_from(f32::cast_from(grad[ABSOLUTE_POS]) * slope);
}

/// Computes the normal distribution's Φ.
#[cube]
fn phi(value: f32) -> f32 {
    let scaled = value * f32::new(FRAC_1_SQRT_2);
    (Erf::erf(scaled) + f32::new(1.0_f32)) * f32::new(0.5_f32)
}

impl GeluBackend for Cube {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::exact_forward(x)
    }
}

impl GeluKernels for Cube {
    fn exact_forward(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let y = like(&x);
        let Launch { client, count, dim, addresses } = Launch::new(&x, x.meta.num_elements());
        let element = element(&x);
        #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
        // SAFETY: both tensors are contiguous and have the same shape, and a thread past the last value
        // ends at once.
        unsafe {
            forward_kernel::launch_unchecked(
                &client,
                count,
                dim,
                addresses,
                x.into_tensor_arg(),
                y.clone().into_tensor_arg(),
                element,
            );
        }
        y
    }

    fn exact_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let [x, grad] = [x, grad].map(into_contiguous);
        let by_x = like(&x);
        let Launch { client, count, dim, addresses } = Launch::new(&x, x.meta.num_elements());
        let element = element(&x);
        #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
        // SAFETY: all tensors are contiguous and have the same shape and type, and a thread past the last
        // value ends at once.
        unsafe {
            backward_kernel::launch_unchecked(
                &client,
                count,
                dim,
                addresses,
                x.into_tensor_arg(),
                grad.into_tensor_arg(),
                by_x.clone().into_tensor_arg(),
                element,
            );
        }
        by_x
    }
}
