//! The softmax of attention's scores under a mask: a cube for each row of weights, a thread for each score
//! of their derivative.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};
use crate::rows::{UNITS, cubes, highest_of_units, sum_of_units};

/// Writes the weights of a row, and the logarithm of its softmax sum.
#[cube(launch_unchecked, address_type = "dynamic")]
fn weights_kernel<F: Float, H: Int>(
    products: &[f32],
    hidden: &[H],
    weights: &mut [F],
    logs: &mut [f32],
    scale: f32,
    count: usize,
    keys: usize,
    queries: usize,
    #[define(F, H)] _elements: [ElemType; 2],
) {
    let row = CUBE_POS;
    if row >= logs.len() {
        terminate!();
    }
    let first = row * count;
    let mask = (row % queries) * keys;
    let mut highest = f32::new(f32::MIN);
    let mut at = UNIT_POS as usize;
    while at < count {
        if is_seen::<H>(hidden, mask, at, keys) {
            highest = max(highest, products[first + at] * scale);
        }
        at += UNITS;
    }
    let highest = highest_of_units(highest);
    let mut total = f32::new(0.0_f32);
    let mut at = UNIT_POS as usize;
    while at < count {
        if is_seen::<H>(hidden, mask, at, keys) {
            total += (products[first + at] * scale - highest).exp();
        }
        at += UNITS;
    }
    let total = sum_of_units(total);
    let log = highest + total.ln();
    if UNIT_POS == 0 {
        logs[row] = log;
    }
    let mut at = UNIT_POS as usize;
    while at < count {
        let mut weight = f32::new(0.0_f32);
        if is_seen::<H>(hidden, mask, at, keys) {
            weight = (products[first + at] * scale - highest).exp() / total;
        }
        weights[first + at] = F::cast_from(weight);
        at += UNITS;
    }
}

/// Computes the weights again, by their logarithms, and the derivatives by the products.
#[cube(launch_unchecked, address_type = "dynamic")]
fn slopes_kernel<F: Float, H: Int>(
    products: &[f32],
    hidden: &[H],
    logs: &[f32],
    by_weights: &[F],
    dots: &[f32],
    weights: &mut [F],
    by_products: &mut [F],
    scale: f32,
    count: usize,
    keys: usize,
    queries: usize,
    #[define(F, H)] _elements: [ElemType; 2],
) {
    if ABSOLUTE_POS >= products.len() {
        terminate!();
    }
    let row = ABSOLUTE_POS / count;
    let mut weight = f32::new(0.0_f32);
    if is_seen::<H>(hidden, (row % queries) * keys, ABSOLUTE_POS % count, keys) {
        weight = (products[ABSOLUTE_POS] * scale - logs[row]).exp();
    }
    let slope = weight * scale * (f32::cast_from(by_weights[ABSOLUTE_POS]) - dots[row]);
    weights[ABSOLUTE_POS] = F::cast_from(weight);
    by_products[ABSOLUTE_POS] = F::cast_from(slope);
}

/// Returns whether a query sees a score: what comes after the keys is its own key.
#[cube]
fn is_seen<H: Int>(hidden: &[H], mask: usize, at: usize, keys: usize) -> bool {
    let mut seen = true;
    if at < keys {
        seen = u32::cast_from(hidden[mask + at]) == 0u32;
    }
    seen
}

/// The scores of some queries before they are scaled and masked.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The products of queries and keys, in f32: [batch, heads, queries, scores].
    pub products: Operand,
    /// Not 0 where a query must not see a key, as an integer of any width: [1, 1, queries, keys]. There may be
    /// more scores than keys.
    pub hidden: Operand,
    /// What the products are multiplied by.
    pub scale: f32,
}

impl Scores {
    /// Returns the numbers of rows, queries, scores and keys.
    fn sizes(&self) -> [usize; 4] {
        let [batch, heads, queries, count] = self.products.shape();
        let [one, of_heads, rows, keys] = self.hidden.shape();
        assert!(
            (one, of_heads) == (1, 1) && rows == queries && keys <= count,
            "a query has a mask: {self:?}"
        );
        [batch * heads * queries, queries, count, keys]
    }
}

/// Computes the weights of each query and the logarithm of their sum before it was divided by.
///
/// # Shapes
/// `weights`: that of the products, `logs`: [batch, heads, queries, 1], in f32.
pub fn weights(client: &Client, scores: Scores, weights: Operand, logs: Operand) {
    let [rows, queries, count, keys] = scores.sizes();
    let Scores { products, hidden, scale } = scores;
    assert_eq!((products.shape::<4>(), logs.len()), (weights.shape::<4>(), rows));
    if products.len() == 0 {
        return;
    }
    let ((cubes, dim), addresses) = (cubes(client, rows), products.addresses());
    let elements = [weights.element(), hidden.element()];
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: products and weights have rows · count values, there is a log for each row and a mark for each key
    // of a query, and a cube past the last row ends at once.
    unsafe {
        weights_kernel::launch_unchecked(
            client,
            cubes,
            dim,
            addresses,
            products.into_buffer(),
            hidden.into_buffer(),
            weights.into_buffer(),
            logs.into_buffer(),
            scale,
            count,
            keys,
            queries,
            elements,
        );
    }
}

/// What the backward pass of the softmax reads, with the scores.
#[derive(Debug)]
pub struct Known {
    /// The logarithms that the forward pass gave, in f32.
    pub logs: Operand,
    /// The derivatives by the weights.
    pub by_weights: Operand,
    /// A number for each row, in f32: the dot product of its output and the derivative by it.
    pub dots: Operand,
}

/// Computes the weights again, and the derivatives by the products: `weight · scale · (by_weight - dot)`.
///
/// # Shapes
/// `weights`, `by_products` and `by_weights`: that of the products, `logs` and `dots`: [batch, heads, queries, 1].
pub fn slopes(
    client: &Client,
    scores: Scores,
    known: Known,
    weights: Operand,
    by_products: Operand,
) {
    let [rows, queries, count, keys] = scores.sizes();
    let Scores { products, hidden, scale } = scores;
    let Known { logs, by_weights, dots } = known;
    assert_alike([&weights, &by_products, &by_weights]);
    assert_eq!((products.shape::<4>(), logs.len(), dots.len()), (weights.shape::<4>(), rows, rows));
    if products.len() == 0 {
        return;
    }
    let ((cubes, dim), addresses) = (threads(client, products.len()), products.addresses());
    let elements = [weights.element(), hidden.element()];
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: the matrices have rows · count values, there is a log and a dot product for each row and a mark for
    // each key of a query, and a thread past the last score ends at once.
    unsafe {
        slopes_kernel::launch_unchecked(
            client,
            cubes,
            dim,
            addresses,
            products.into_buffer(),
            hidden.into_buffer(),
            logs.into_buffer(),
            by_weights.into_buffer(),
            dots.into_buffer(),
            weights.into_buffer(),
            by_products.into_buffer(),
            scale,
            count,
            keys,
            queries,
            elements,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    // A mark of Burn is a byte on CUDA.
    let elements = [on.element, ElemType::UInt(cubecl::ir::UIntKind::U8)];
    let weights =
        compiled!(on, weights_kernel::WeightsKernel, b(), b(), b(), b(), (), (), (), (), elements);
    let slopes = compiled!(
        on,
        slopes_kernel::SlopesKernel,
        b(),
        b(),
        b(),
        b(),
        b(),
        b(),
        b(),
        (),
        (),
        (),
        (),
        elements
    );
    vec![("softmax_weights", Box::new(weights)), ("softmax_slopes", Box::new(slopes))]
}
