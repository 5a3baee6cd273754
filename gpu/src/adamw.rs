//! An update by `AdamW`: one thread for each number of a parameter, in place.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};

#[cube(launch_unchecked, address_type = "dynamic")]
fn update_kernel(
    grad: &[f32],
    value: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    clip: f32,
    beta_1: f32,
    beta_2: f32,
    weight_1: f32,
    weight_2: f32,
    eps: f32,
    shrink: f32,
    lr: f32,
) {
    if ABSOLUTE_POS >= value.len() {
        terminate!();
    }
    let slope = grad[ABSOLUTE_POS] * clip;
    let one = f32::new(1.0_f32);
    let mean = first[ABSOLUTE_POS] * beta_1 + slope * (one - beta_1);
    let square = second[ABSOLUTE_POS] * beta_2 + slope * slope * (one - beta_2);
    first[ABSOLUTE_POS] = mean;
    second[ABSOLUTE_POS] = square;
    let direction = mean / weight_1 / ((square / weight_2).sqrt() + eps);
    value[ABSOLUTE_POS] = value[ABSOLUTE_POS] * shrink - direction * lr;
}

/// The numbers of an update, the same for all parameters.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// What the gradient is multiplied by.
    pub clip: f32,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// What the first moment is divided by.
    pub weight_1: f32,
    /// What the second moment is divided by.
    pub weight_2: f32,
    /// What is added to the root of the second moment.
    pub eps: f32,
    /// What the parameter is multiplied by before the update.
    pub shrink: f32,
    /// The learning rate.
    pub lr: f32,
}

/// A parameter and its moments, in f32. No other tensor may share their memory.
#[derive(Debug)]
pub struct Parameter {
    /// The parameter.
    pub value: Operand,
    /// Its first moment.
    pub first: Operand,
    /// Its second moment.
    pub second: Operand,
}

/// Adds a gradient to the moments of a parameter, and updates the parameter by them.
///
/// # Shapes
/// All have one shape.
pub fn update(client: &Client, grad: Operand, parameter: Parameter, numbers: Numbers) {
    let Parameter { value, first, second } = parameter;
    assert_alike([&grad, &value, &first, &second]);
    if value.len() == 0 {
        return;
    }
    let ((count, dim), addresses) = (threads(client, value.len()), value.addresses());
    let Numbers { clip, beta_1, beta_2, weight_1, weight_2, eps, shrink, lr } = numbers;
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: all buffers have as many values as there are threads that do not end at once.
    unsafe {
        update_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            grad.into_buffer(),
            value.into_buffer(),
            first.into_buffer(),
            second.into_buffer(),
            clip,
            beta_1,
            beta_2,
            weight_1,
            weight_2,
            eps,
            shrink,
            lr,
        );
    }
}

/// Returns the kernel of this file as it is compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let update = compiled!(
        on,
        update_kernel::UpdateKernel,
        b(),
        b(),
        b(),
        b(),
        (),
        (),
        (),
        (),
        (),
        (),
        (),
        ()
    );
    vec![("adamw", Box::new(update))]
}
