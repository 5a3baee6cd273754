//! The embedding's backward pass: the derivatives of all tokens of an id are added to its row.
//!
//! A thread takes a channel and the ids that leave one remainder. It reads all ids and adds up those of its own,
//! first to last. So no two threads write one value, and the sums are the same in each run.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, threads};

/// How many remainders of ids there are, at most.
const REMAINDERS: usize = 64;

/// How many threads are enough, where a smaller number of remainders makes so many.
const ENOUGH_THREADS: usize = 1 << 18;

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel<F: Float, I: Int>(
    ids: &[I],
    grad: &[F],
    by_embedding: &mut [f32],
    tokens: usize,
    width: usize,
    rows: usize,
    remainders: usize,
    #[define(F, I)] _elements: [ElemType; 2],
) {
    if ABSOLUTE_POS >= remainders * width {
        terminate!();
    }
    let channel = ABSOLUTE_POS % width;
    let own = ABSOLUTE_POS / width;
    for token in 0..tokens {
        let id = usize::cast_from(ids[token]);
        if id % remainders == own && id < rows {
            by_embedding[id * width + channel] += f32::cast_from(grad[token * width + channel]);
        }
    }
}

/// Adds the derivatives of tokens to the rows of their ids.
///
/// # Shapes
/// `ids`: `[tokens]`, each of a row; `grad`: [tokens, width]; `by_embedding`: [ids, width], in f32.
pub fn backward(client: &Client, ids: Operand, grad: Operand, by_embedding: Operand) {
    let [tokens, width] = grad.shape();
    let [rows, row] = by_embedding.shape();
    assert_eq!((ids.shape(), row), ([tokens], width));
    if grad.len() == 0 {
        return;
    }
    let remainders = (ENOUGH_THREADS / width).clamp(1, REMAINDERS);
    let (count, dim) = threads(client, remainders * width);
    let (addresses, elements) =
        (by_embedding.addresses().max(grad.addresses()), [grad.element(), ids.element()]);
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: there is an id for each of `grad`'s rows, an id without a row adds to none, and a thread past the last
    // remainder ends at once.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            ids.into_buffer(),
            grad.into_buffer(),
            by_embedding.into_buffer(),
            tokens,
            width,
            rows,
            remainders,
            elements,
        );
    }
}

/// Returns the kernel of this file as it is compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    use cubecl::ir::IntKind;

    let b = || on.buffer();
    let ids = ElemType::Int(IntKind::I32);
    let backward = compiled!(
        on,
        backward_kernel::BackwardKernel,
        b(),
        b(),
        b(),
        (),
        (),
        (),
        (),
        [on.element, ids]
    );
    vec![("embedding_backward", Box::new(backward))]
}
