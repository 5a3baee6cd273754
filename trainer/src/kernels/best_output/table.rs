//! The weights of an output layer as bytes, and how far their products can be from the true ones.
//!
//! A row `w` of weights is `s · q + e`: a scale, bytes, and what rounding leaves. A row `x` of inputs is `t · p + d`
//! in the same way. Then `x · w = s · t · (p · q) + x · e + d · s q`, and by the inequality of Cauchy and Schwarz
//! the two last terms are at most `|x| |e| + |d| |s q|`. The table keeps the largest `|e| / s` and `|q|` of all
//! rows, so that one number for each row of inputs bounds the error of all its products.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use rayon::prelude::*;

use super::products::{
    Level, MOST, OFFSET, OUTPUTS, OnBlocks, OutputQuads, Products, QUAD, ROWS, RowQuads, at_level,
};
use crate::convert::rounded;
use crate::kernels::flex_tensors::column_parts;

/// The largest byte of a weight.
const LARGEST: f64 = 127.0;

/// The relative error of one operation with f32.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// Up to this size of a product, no sum of the exact kernel overflows.
const NO_OVERFLOW: f64 = 1e38;

/// How many parts each thread gets, so that none waits long for the others.
const PARTS: usize = 4;

/// The weights of an output layer as bytes.
#[derive(Clone, Debug)]
pub(crate) struct QuantizedRows {
    /// Inputs of a row.
    inner: usize,
    /// Rows of weights.
    outputs: usize,
    /// The bytes: those of each block one after the other.
    quads: Vec<OutputQuads>,
    blocks: Vec<Block>,
    /// The largest distance of a row from its bytes, in the row's scale.
    distance: f64,
    /// The largest norm of the bytes of a row.
    norm: f64,
    /// The largest norm of a row.
    largest: f64,
}

/// What a block has for each of its outputs.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// What a byte of 1 is worth; 0 for what is after the last output.
    scales: [f32; OUTPUTS],
    /// What the offset of the inputs adds to a product, with the other sign.
    starts: [i32; OUTPUTS],
}

/// A row of inputs as bytes.
#[derive(Clone, Debug)]
pub(super) struct QuantizedInput {
    /// The bytes, each with the offset.
    bytes: Vec<u8>,
    /// What a byte of 1 is worth.
    pub(super) scale: f64,
    /// How far a product of bytes can be from the true one, in the scales of both rows.
    reach: f32,
}

impl QuantizedRows {
    /// Makes the table of rows of weights, which come in pieces of whole rows; none where a weight is
    /// not finite, or where all of a row are so small that f32 has no scale for them.
    pub(crate) fn new(inner: usize, pieces: impl Iterator<Item = Vec<f32>>) -> Option<Self> {
        let mut table = Self {
            inner,
            outputs: 0,
            quads: Vec::new(),
            blocks: Vec::new(),
            distance: 0.0,
            norm: 0.0,
            largest: 0.0,
        };
        let mut rest: Vec<f32> = Vec::new();
        for piece in pieces {
            rest.extend(piece);
            let whole = rest.len() / (OUTPUTS * inner) * OUTPUTS * inner;
            table.add(&rest[..whole])?;
            rest.drain(..whole);
        }
        table.add(&rest)?;
        Some(table)
    }

    /// Adds rows of weights; only the last ones may leave a block unfilled.
    fn add(&mut self, weights: &[f32]) -> Option<()> {
        let quads = self.inner.div_ceil(QUAD);
        for block in weights.chunks(OUTPUTS * self.inner) {
            let first = self.quads.len();
            self.quads.resize(first + quads, OutputQuads([0; OUTPUTS]));
            let mut kept = Block::default();
            for (at, row) in block.chunks_exact(self.inner).enumerate() {
                let row = QuantizedRow::new(row)?;
                self.distance = self.distance.max(row.distance);
                self.norm = self.norm.max(row.norm);
                self.largest = self.largest.max(row.largest);
                kept.scales[at] = row.scale;
                kept.starts[at] = row.start;
                for (quad, line) in row.quads().zip(&mut self.quads[first..]) {
                    line.0[at] = quad;
                }
            }
            self.outputs += block.len() / self.inner;
            self.blocks.push(kept);
        }
        Some(())
    }

    /// Returns how many outputs there are.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns how many blocks of outputs there are.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Makes bytes of a row of inputs; none where a product could overflow or an input is not finite.
    pub(super) fn input(&self, x: &[f32]) -> Option<QuantizedInput> {
        let norm = norm(x.iter().map(|&x| f64::from(x)));
        if !norm.is_finite() || norm * self.largest >= NO_OVERFLOW {
            return None;
        }
        let most = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let scale = if most > 0.0 { f64::from(most) / f64::from(MOST) } else { 1.0 };
        let numbers: Vec<f64> = x.iter().map(|&x| (f64::from(x) / scale).round()).collect();
        let left = x.iter().zip(&numbers).map(|(&x, number)| f64::from(x) - scale * number);
        let left = self::norm(left) / scale;
        let own = self::norm(numbers.iter().copied());
        // The exact kernel rounds, too: `inner` times, relative to the sum of the sizes.
        #[expect(clippy::cast_precision_loss, reason = "a width is far below 2^52")]
        let exact = 2.0 * self.inner as f64 * ROUNDING * (self.norm + self.distance);
        let reach = norm / scale * (self.distance + exact) + left * self.norm;
        // The bound itself is rounded three times.
        let bound = 4.0 * ROUNDING * (own * self.norm + reach);
        let reach = rounded((reach + bound) * (1.0 + 1e-6));
        let bytes = numbers.iter().map(|&number| byte(number)).collect();
        Some(QuantizedInput { bytes, scale, reach })
    }

    /// Returns a bound for the products of each row with the outputs of each block, in the scale of the
    /// row: [rows, blocks].
    ///
    /// # Panics
    /// There are more than [`ROWS`] rows.
    pub(super) fn bounds(&self, rows: &[QuantizedInput], level: Level) -> Vec<f32> {
        assert!(rows.len() <= ROWS, "{} rows, at most {ROWS}", rows.len());
        let quads = self.inner.div_ceil(QUAD);
        let mut lines = vec![RowQuads([[OFFSET; QUAD]; ROWS]); quads];
        let mut reach = [0.0; ROWS];
        for (at, row) in rows.iter().enumerate() {
            reach[at] = row.reach;
            for (line, bytes) in lines.iter_mut().zip(row.bytes.chunks(QUAD)) {
                line.0[at][..bytes.len()].copy_from_slice(bytes);
            }
        }
        let blocks = self.blocks.len();
        let mut bounds = vec![0.0; rows.len() * blocks];
        let part = blocks.div_ceil(PARTS * rayon::current_num_threads()).max(1);
        let mut pieces = column_parts(&mut bounds, blocks, part);
        pieces.par_iter_mut().enumerate().for_each(|(number, bounds)| {
            let (first, rows) = (number * part, &lines[..]);
            let blocks = &self.blocks[first..(first + part).min(blocks)];
            let quads = &self.quads[first * quads..];
            at_level(level, BlockBounds { rows, reach, quads, blocks, out: bounds });
        });
        bounds
    }
}

/// A row of weights as bytes.
struct QuantizedRow {
    bytes: Vec<i8>,
    scale: f32,
    start: i32,
    distance: f64,
    norm: f64,
    largest: f64,
}

impl QuantizedRow {
    fn new(row: &[f32]) -> Option<Self> {
        let largest = norm(row.iter().map(|&weight| f64::from(weight)));
        if !largest.is_finite() {
            return None;
        }
        let most = row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
        // What the scale loses by rounding is in the distance.
        let scale = rounded(f64::from(most) / LARGEST);
        if most == 0.0 {
            let bytes = vec![0; row.len()];
            return Some(Self { bytes, scale, start: 0, distance: 0.0, norm: 0.0, largest });
        }
        // The scale of weights below 1e-43 is 0.
        if scale == 0.0 {
            return None;
        }
        let wide = f64::from(scale);
        let numbers = row.iter().map(|&weight| (f64::from(weight) / wide).round());
        let numbers: Vec<f64> = numbers.map(|number| number.clamp(-LARGEST, LARGEST)).collect();
        let left =
            row.iter().zip(&numbers).map(|(&weight, number)| f64::from(weight) - wide * number);
        let distance = norm(left) / wide;
        let norm = norm(numbers.iter().copied());
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 127")]
        let bytes: Vec<i8> = numbers.iter().map(|&number| number as i8).collect();
        let start = -bytes.iter().map(|&byte| i32::from(byte) * i32::from(OFFSET)).sum::<i32>();
        Some(Self { bytes, scale, start, distance, norm, largest })
    }

    /// Returns the bytes as numbers of four, with zeros after their end.
    fn quads(&self) -> impl Iterator<Item = i32> {
        self.bytes.chunks(QUAD).map(|bytes| {
            let mut quad = [0; QUAD];
            for (to, from) in quad.iter_mut().zip(bytes) {
                *to = from.cast_unsigned();
            }
            i32::from_le_bytes(quad)
        })
    }
}

/// Bounds for the products of rows with some blocks.
struct BlockBounds<'a, 'b> {
    rows: &'a [RowQuads],
    reach: [f32; ROWS],
    /// The bytes of the blocks, and of what follows.
    quads: &'a [OutputQuads],
    blocks: &'a [Block],
    /// The bounds of each row.
    out: &'a mut [&'b mut [f32]],
}

impl OnBlocks for BlockBounds<'_, '_> {
    #[inline(always)]
    fn run(self, products: impl Fn(&[RowQuads], &[OutputQuads]) -> Products) {
        let Self { rows, reach, quads, blocks, out } = self;
        let quads = quads.chunks_exact(rows.len().max(1));
        for (number, (block, quads)) in blocks.iter().zip(quads).enumerate() {
            let products = products(rows, quads);
            let mut highest = [f32::NEG_INFINITY; ROWS];
            for ((products, start), scale) in products.iter().zip(block.starts).zip(block.scales) {
                for ((highest, product), reach) in highest.iter_mut().zip(products).zip(reach) {
                    #[expect(clippy::cast_precision_loss, reason = "the reach counts the rounding")]
                    let bound = ((product + start) as f32 + reach) * scale;
                    *highest = if bound > *highest { bound } else { *highest };
                }
            }
            for (out, highest) in out.iter_mut().zip(highest) {
                out[number] = highest;
            }
        }
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Returns a whole number of at most `MOST` with the offset.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 1 and 127"
)]
fn byte(number: f64) -> u8 {
    let most = f64::from(MOST);
    (number.clamp(-most, most) + f64::from(OFFSET)) as u8
}
