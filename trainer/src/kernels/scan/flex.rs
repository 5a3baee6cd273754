//! The gates and scans on the CPU: one pass over the tokens of a row, all channels of a token at a time; threads share
//! the rows, or the chunks of all rows.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use rayon::prelude::*;

use super::operation::{Inputs, ScanKernels, Slopes, States};
use super::sizes::{Parts, ScanSizes};
use crate::kernels::flex_tensors::{floats, tensor};
use crate::kernels::slices::cast;
use crate::kernels::vector_level::vectorized;

use self::passes::{Backward, Forward, Row, SlopesOfRow};

mod passes;

/// How many tokens a thread takes at a time, at least. The derivative by the bias is summed up in these parts, so
/// that it does not depend on the number of threads.
const TOKENS: usize = 128;

/// Tensors in f32 without gaps, and how they are cut.
struct Plan {
    projected: FloatTensor<Flex>,
    bias: FloatTensor<Flex>,
    /// 0 where states begin from zero, for each token.
    carry: Vec<f32>,
    parts: Parts,
    dtype: DType,
    shape: [usize; 3],
    /// Tokens of a part, whose first states begin from zero.
    tokens: usize,
}

impl Plan {
    fn new(Inputs { projected, bias, carry }: Inputs<Flex>, sizes: ScanSizes) -> Self {
        let (parts, dtype) = (Parts::of::<Flex>(&projected, sizes), projected.dtype());
        let [projected, bias, carry] = [projected, bias, carry].map(in_f32);
        let shape = [0, 1, 2].map(|dim| projected.layout().shape()[dim]);
        let [rows, seq, _] = shape;
        let of_row = if carry.layout().shape()[0] == 1 { rows } else { 1 };
        let carry = floats(&carry).repeat(of_row);
        // Rows are whole chunks where chunks divide them.
        let chunk_len = sizes.chunk_len.filter(|&chunk_len| seq.is_multiple_of(chunk_len));
        let strand = chunk_len.unwrap_or(seq).max(1);
        let tokens = strand * TOKENS.div_ceil(strand);
        Self { projected, bias, carry, parts, dtype, shape, tokens }
    }

    fn rows(&self) -> impl IndexedParallelIterator<Item = Row<'_>> {
        let [_, _, channels] = self.shape;
        let projected = floats(&self.projected).par_chunks((self.tokens * channels).max(1));
        projected.zip(self.carry.par_chunks(self.tokens)).map(|(projected, carry)| Row {
            projected,
            carry,
            bias: floats(&self.bias),
            parts: &self.parts,
        })
    }

    fn is_empty(&self) -> bool {
        self.carry.is_empty() || self.parts.width() == 0
    }
}

impl ScanKernels for Flex {
    fn states(inputs: Inputs<Self>, sizes: ScanSizes) -> States<Self> {
        let plan = Plan::new(inputs, sizes);
        let [rows, seq, _] = plan.shape;
        let (width, count) = (plan.parts.width(), rows * seq * plan.parts.width());
        let mut values = vec![0.0; count];
        let mut keys = vec![0.0; if sizes.key_width.is_some() { count } else { 0 }];
        if !plan.is_empty() {
            let of_part = plan.tokens * width;
            let states =
                values.par_chunks_mut(of_part).zip(chunks_or_none(&mut keys, of_part, count));
            states.zip(plan.rows()).for_each(|((values, keys), row)| {
                vectorized(Forward { row, values, keys });
            });
        }
        let states =
            |states: Vec<f32>| cast::<Self>(tensor(states, &[rows, seq, width]), sizes.states);
        States { values: states(values), keys: sizes.key_width.map(|_| states(keys)) }
    }

    fn slopes(
        inputs: Inputs<Self>,
        states: States<Self>,
        slopes: Slopes<Self>,
        sizes: ScanSizes,
    ) -> [FloatTensor<Self>; 2] {
        let plan = Plan::new(inputs, sizes);
        let [rows, seq, channels] = plan.shape;
        let width = plan.parts.width();
        let mut by_projected = vec![0.0; rows * seq * channels];
        let mut by_bias = vec![0.0; width];
        if !plan.is_empty() {
            let [values, by_values, by_z] = [states.values, slopes.values, slopes.z].map(in_f32);
            let keys = states.keys.zip(slopes.keys);
            let keys = keys.map(|(keys, [by_q, by_keys])| [keys, by_keys, by_q].map(in_f32));
            let known: Vec<SlopesOfRow<'_>> = (0..(rows * seq).div_ceil(plan.tokens))
                .map(|part| {
                    let cut = |tensor, width| of_part(tensor, part, plan.tokens * width);
                    SlopesOfRow {
                        values: cut(&values, width),
                        by_values: cut(&by_values, width),
                        by_z: cut(&by_z, width),
                        keys: keys.as_ref().map(|[keys, by_keys, by_q]| {
                            let key_width = plan.parts.keys.len();
                            [cut(keys, width), cut(by_keys, width), cut(by_q, key_width)]
                        }),
                    }
                })
                .collect();
            let parts = by_projected.par_chunks_mut(plan.tokens * channels).zip(known);
            let parts = parts.zip(plan.rows()).map(|((by_projected, known), row)| {
                vectorized(Backward { row, known, by_projected })
            });
            for part in parts.collect::<Vec<Vec<f32>>>() {
                for (sum, more) in by_bias.iter_mut().zip(part) {
                    *sum += more;
                }
            }
        }
        let by_projected = tensor(by_projected, &plan.shape);
        [cast::<Self>(by_projected, plan.dtype), tensor(by_bias, &[width])]
    }
}

fn in_f32(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    cast::<Flex>(tensor, DType::F32).to_contiguous()
}

/// Returns the values of a part, of which each but the last has so many.
fn of_part(tensor: &FloatTensor<Flex>, part: usize, count: usize) -> &[f32] {
    let values = floats(tensor);
    &values[part * count..((part + 1) * count).min(values.len())]
}

/// Cuts `count` values into parts, or nothing into as many absent ones.
fn chunks_or_none(values: &mut [f32], of_part: usize, count: usize) -> Vec<Option<&mut [f32]>> {
    if values.is_empty() {
        return (0..count.div_ceil(of_part)).map(|_| None).collect();
    }
    values.chunks_mut(of_part).map(Some).collect()
}
