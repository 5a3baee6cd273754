//! The gates and scans on a GPU.

use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::scan;

use super::operation::{Inputs, ScanKernels, Slopes, States};
use super::sizes::{Parts, ScanSizes};
use crate::kernels::cube::{empty, like, operand};
use crate::kernels::slices::cast;

impl ScanKernels for Cube {
    fn states(inputs: Inputs<Self>, sizes: ScanSizes) -> States<Self> {
        let known = of_kernels(&inputs.projected, sizes);
        let on = inputs.projected.clone();
        let shape = Shape::from([known.rows, known.seq, known.width]);
        let values = empty(&on, shape.clone(), sizes.states);
        let keys = sizes.key_width.map(|_| empty(&on, shape, sizes.states));
        let states =
            scan::States { values: operand(values.clone()), keys: keys.clone().map(operand) };
        scan::forward(&on.client, known, operands(inputs), states);
        States { values, keys }
    }

    fn slopes(
        inputs: Inputs<Self>,
        states: States<Self>,
        slopes: Slopes<Self>,
        sizes: ScanSizes,
    ) -> [FloatTensor<Self>; 2] {
        let known = of_kernels(&inputs.projected, sizes);
        let Inputs { projected, bias, carry } = inputs;
        let projected = into_contiguous(projected);
        let (client, dtype) = (projected.client.clone(), projected.dtype);
        let read =
            |tensor: FloatTensor<Self>| operand(into_contiguous(cast::<Self>(tensor, dtype)));
        let saved = scan::Saved {
            values: read(states.values),
            by_values: read(slopes.values),
            by_z: read(slopes.z),
            keys: states
                .keys
                .zip(slopes.keys)
                .map(|(keys, [by_q, by_keys])| [keys, by_keys, by_q].map(read)),
        };
        let by_projected = like(&projected);
        let strands = known.rows * known.strands_of_a_row();
        let by_bias = empty(&projected, Shape::from([strands, known.width]), DType::F32);
        let written = scan::Slopes {
            by_projected: operand(by_projected.clone()),
            by_bias: operand(by_bias.clone()),
        };
        let inputs = operands(Inputs { projected, bias, carry });
        scan::backward(&client, known, inputs, saved, written);
        let by_bias = Self::float_sum_dim(by_bias, 0);
        [by_projected, Self::float_reshape(by_bias, Shape::from([known.width]))]
    }
}

fn of_kernels(projected: &FloatTensor<Cube>, sizes: ScanSizes) -> scan::Sizes {
    let [rows, seq, _] = projected.meta.shape().dims();
    let width = Parts::of::<Cube>(projected, sizes).width();
    // Rows are whole chunks where chunks divide them; elsewhere the marks say where chunks begin.
    let chunk_len = sizes.chunk_len.filter(|&chunk_len| seq.is_multiple_of(chunk_len));
    scan::Sizes { rows, seq, width, key_width: sizes.key_width, chunk_len }
}

fn operands(Inputs { projected, bias, carry }: Inputs<Cube>) -> scan::Inputs {
    let [bias, carry] = [bias, carry].map(|tensor| cast::<Cube>(tensor, DType::F32));
    let [projected, bias, carry] =
        [projected, bias, carry].map(|tensor| operand(into_contiguous(tensor)));
    scan::Inputs { projected, bias, carry }
}
