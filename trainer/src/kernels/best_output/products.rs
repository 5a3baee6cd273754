//! Products of whole numbers for a block of outputs, by the instructions that the processor has.
//!
//! They are exact, so every level gives the same numbers.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_epi32, _mm512_dpbusd_epi32,
    _mm512_set1_epi32,
};

use bytemuck::{Pod, Zeroable};

/// Rows that are multiplied together: as many sums as a vector of AVX-512 has.
pub(super) const ROWS: usize = 16;

/// Outputs of a block: as many sums of rows as stay in the registers of AVX-512.
pub(super) const OUTPUTS: usize = 16;

/// Inputs of a quad: an instruction multiplies so many bytes and adds them up.
pub(super) const QUAD: usize = 4;

/// The numbers of rows are in 1..=MOST + OFFSET, so that two products fit into 16 bits.
pub(super) const OFFSET: u8 = 64;
pub(super) const MOST: u8 = 63;

/// A quad of each row: a line of the processor's cache.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct RowQuads(pub(super) [[u8; QUAD]; ROWS]);

/// A quad of each output of a block, its bytes as one number, the first the lowest.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct OutputQuads(pub(super) [i32; OUTPUTS]);

/// The products of the outputs of a block with each row.
pub(super) type Products = [[i32; ROWS]; OUTPUTS];

/// The instructions that multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Products of bytes, in vectors of 64.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// Products of bytes, in vectors of 32.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// Sums of two products of bytes, in vectors of 32.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the compiler makes of a loop: the definition, slower than products of floats.
    Plain,
}

impl Level {
    const ALL: &[Self] = &[
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Vnni,
        #[cfg(target_arch = "x86_64")]
        Self::AvxVnni,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        Self::Plain,
    ];

    /// Returns the levels of this processor, the fastest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|level| level.is_available())
    }

    /// Returns the fastest level of this processor.
    pub(super) fn of_machine() -> Self {
        Self::available().next().unwrap_or(Self::Plain)
    }

    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Plain => true,
        }
    }
}

/// Work that multiplies blocks of outputs. `run` must be marked `#[inline(always)]`.
pub(super) trait OnBlocks {
    /// Does the work; `products` multiplies the quads of rows and those of a block, as many.
    fn run(self, products: impl Fn(&[RowQuads], &[OutputQuads]) -> Products);
}

/// Does the work by the instructions of a level, which the processor must have.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "a function for instructions that not every processor has")
)]
pub(super) fn at_level<W: OnBlocks>(level: Level, work: W) {
    assert!(level.is_available(), "the processor has no {level:?}");
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has these instructions, as the line above checks.
        Level::Avx512Vnni => unsafe { avx512_vnni(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as before.
        Level::AvxVnni => unsafe { avx_vnni(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as before.
        Level::Avx2 => unsafe { avx2(work) },
        Level::Plain => work.run(plain),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn avx512_vnni<W: OnBlocks>(work: W) {
    work.run(|rows, outputs| {
        let mut sums = [__m512i::zeroed(); OUTPUTS];
        for (rows, outputs) in rows.iter().zip(outputs) {
            let rows = bytemuck::cast(*rows);
            for (sum, output) in sums.iter_mut().zip(outputs.0) {
                *sum = _mm512_dpbusd_epi32(*sum, rows, _mm512_set1_epi32(output));
            }
        }
        bytemuck::cast(sums)
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avxvnni")]
fn avx_vnni<W: OnBlocks>(work: W) {
    work.run(|rows, outputs| {
        by_halves(rows, outputs, |sum, rows, output| {
            _mm256_dpbusd_avx_epi32(sum, rows, _mm256_set1_epi32(output))
        })
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<W: OnBlocks>(work: W) {
    work.run(|rows, outputs| {
        by_halves(rows, outputs, |sum, rows, output| {
            let pairs = _mm256_maddubs_epi16(rows, _mm256_set1_epi32(output));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        })
    });
}

/// Multiplies with half of the rows in a vector; `add` adds the products of a quad to sums.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn by_halves(
    rows: &[RowQuads],
    outputs: &[OutputQuads],
    add: impl Fn(__m256i, __m256i, i32) -> __m256i,
) -> Products {
    /// As many outputs as leave registers for all else.
    const TOGETHER: usize = 4;
    let mut products: Products = [[0; ROWS]; OUTPUTS];
    for (number, products) in products.as_chunks_mut::<TOGETHER>().0.iter_mut().enumerate() {
        let mut sums = [[__m256i::zeroed(); 2]; TOGETHER];
        for (rows, outputs) in rows.iter().zip(outputs) {
            let rows: [__m256i; 2] = bytemuck::cast(*rows);
            for (at, sums) in sums.iter_mut().enumerate() {
                let output = outputs.0[number * TOGETHER + at];
                *sums = [add(sums[0], rows[0], output), add(sums[1], rows[1], output)];
            }
        }
        *products = bytemuck::cast(sums);
    }
    products
}

/// The definition.
#[inline(always)]
fn plain(rows: &[RowQuads], outputs: &[OutputQuads]) -> Products {
    let mut products: Products = [[0; ROWS]; OUTPUTS];
    for (rows, outputs) in rows.iter().zip(outputs) {
        for (products, output) in products.iter_mut().zip(outputs.0) {
            let output = output.to_le_bytes().map(|byte| i32::from(byte.cast_signed()));
            for (product, row) in products.iter_mut().zip(rows.0) {
                for (row, output) in row.into_iter().zip(output) {
                    *product += i32::from(row) * output;
                }
            }
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Keep<'a> {
        rows: &'a [RowQuads],
        outputs: &'a [OutputQuads],
        products: &'a mut Products,
    }

    impl OnBlocks for Keep<'_> {
        #[inline(always)]
        fn run(self, products: impl Fn(&[RowQuads], &[OutputQuads]) -> Products) {
            *self.products = products(self.rows, self.outputs);
        }
    }

    fn cut<const N: usize>(bytes: &[u8]) -> [[u8; QUAD]; N] {
        std::array::from_fn(|at| std::array::from_fn(|byte| bytes[at * QUAD + byte]))
    }

    proptest! {
        #[test]
        fn every_level_gives_what_the_definition_gives(
            quads in prop::collection::vec(
                (
                    prop::collection::vec(1..=OFFSET + MOST, QUAD * ROWS),
                    prop::collection::vec(-127..=127_i8, QUAD * OUTPUTS),
                ),
                0..40,
            ),
            extreme in any::<bool>(),
        ) {
            let rows = |bytes: &[u8]| RowQuads(if extreme { [[OFFSET + MOST; QUAD]; ROWS] } else { cut(bytes) });
            let outputs = |bytes: &[i8]| {
                let bytes: Vec<u8> = bytes.iter().map(|&byte| if extreme { -127_i8 } else { byte }.cast_unsigned()).collect();
                OutputQuads(cut::<OUTPUTS>(&bytes).map(i32::from_le_bytes))
            };
            let (rows, outputs): (Vec<_>, Vec<_>) =
                quads.iter().map(|(row, output)| (rows(row), outputs(output))).unzip();
            let expected = plain(&rows, &outputs);

            for level in Level::available() {
                let mut products = [[0; ROWS]; OUTPUTS];
                at_level(level, Keep { rows: &rows, outputs: &outputs, products: &mut products });
                prop_assert_eq!(products, expected, "{:?}", level);
            }
        }
    }
}
