//! The loss of labels under the softmax of logits, and its derivative in the place of the logits: a cube for
//! each token.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::Operand;
use crate::rows::{UNITS, cubes, highest_of_units, sum_of_units};

#[cube(launch_unchecked, address_type = "dynamic")]
fn loss_kernel<F: Float, I: Int>(
    labels: &[I],
    logits: &mut [F],
    losses: &mut [f32],
    vocab: usize,
    #[comptime] ignored: i32,
    #[comptime] slopes: bool,
    #[define(F, I)] _elements: [ElemType; 2],
) {
    let token = CUBE_POS;
    if token >= losses.len() {
        terminate!();
    }
    let first = token * vocab;
    let mut highest = f32::new(f32::MIN);
    let mut at = UNIT_POS as usize;
    while at < vocab {
        highest = max(highest, f32::cast_from(logits[first + at]));
        at += UNITS;
    }
    let highest = highest_of_units(highest);
    let mut total = f32::new(0.0_f32);
    let mut at = UNIT_POS as usize;
    while at < vocab {
        total += (f32::cast_from(logits[first + at]) - highest).exp();
        at += UNITS;
    }
    // The sum waits for all units, so no logit has changed when the label's is read below.
    let total = sum_of_units(total);
    let label = i32::cast_from(labels[token]);
    let mut counted = f32::new(0.0_f32);
    let mut target = 0usize;
    if label != ignored {
        counted = f32::new(1.0_f32);
        target = usize::cast_from(label);
    }
    if UNIT_POS == 0 {
        let picked = f32::cast_from(logits[first + target]);
        losses[token] = counted * (highest + total.ln() - picked);
    }
    if comptime!(slopes) {
        sync_cube();
        let factor = counted / total;
        let mut at = UNIT_POS as usize;
        while at < vocab {
            let mut slope = (f32::cast_from(logits[first + at]) - highest).exp() * factor;
            if at == target {
                slope -= counted;
            }
            logits[first + at] = F::cast_from(slope);
            at += UNITS;
        }
    }
}

/// Computes the negative log-likelihood of each label and, with `slopes`, writes its derivative by the logits
/// in their place. A label of `ignored` counts for nothing.
///
/// # Shapes
/// `logits`: [tokens, vocabulary], which no other tensor may share; `labels`: [tokens, 1], integers of any width;
/// `losses`: `[tokens]`, in f32.
pub fn loss(
    client: &Client,
    labels: Operand,
    logits: Operand,
    losses: Operand,
    ignored: i32,
    slopes: bool,
) {
    let [tokens, vocab] = logits.shape();
    assert_eq!((labels.len(), losses.len()), (tokens, tokens), "each token has a label and a loss");
    if logits.len() == 0 {
        return;
    }
    let ((cubes, dim), addresses) = (cubes(client, tokens), logits.addresses());
    let elements = [logits.element(), labels.element()];
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: there are tokens · vocab logits and a label and a loss for each token, and a cube past the last token
    // ends at once. A label is an id of the vocabulary, which the reader of the data has checked, or is ignored.
    unsafe {
        loss_kernel::launch_unchecked(
            client,
            cubes,
            dim,
            addresses,
            labels.into_buffer(),
            logits.into_buffer(),
            losses.into_buffer(),
            vocab,
            ignored,
            slopes,
            elements,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let elements = [on.element, ElemType::Int(cubecl::ir::IntKind::I32)];
    let compiled = |slopes: bool| {
        compiled!(
            on,
            loss_kernel::LossKernel,
            on.buffer(),
            on.buffer(),
            on.buffer(),
            (),
            -100,
            slopes,
            elements
        )
    };
    vec![
        ("cross_entropy", Box::new(compiled(false))),
        ("cross_entropy_slopes", Box::new(compiled(true))),
    ]
}
