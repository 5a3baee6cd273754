//! The forms with NEON: 16 bytes at a time.
//!
//! Tests on other processors run them with the instructions in plain code (`neon_twin.rs`).
#![expect(unsafe_code, reason = "loading a vector from memory has no safe form")]

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64;

use aarch64::{
    uint8x16_t, uint8x16x4_t, uint64x2_t, vandq_u8, vandq_u64, vceqq_u64, vdupq_n_u8, vdupq_n_u64,
    vextq_u8, vgetq_lane_u64, vld1q_u8, vld1q_u64, vorrq_u8, vorrq_u64, vpaddq_u8, vqtbl4q_u8,
    vreinterpretq_u64_u8, vsubq_u8, vtstq_u8,
};

use ratdata_schemas::narrow;

use super::lanes::{ClassMasks, Kernel, Line, PairMask, PairTables};
#[cfg(not(target_arch = "aarch64"))]
use super::neon_twin as aarch64;
use super::plain;
use crate::engine::mask::{self, BLOCK};

/// A block of 64 bytes.
type Block = [uint8x16_t; 4];

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 bytes can be read.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn load_words(words: &[u64; 2]) -> uint64x2_t {
    // SAFETY: 16 bytes can be read.
    unsafe { vld1q_u64(words.as_ptr()) }
}

#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn load_64(bytes: &[u8; BLOCK]) -> Block {
    let [a, b, c, d] = bytes.as_chunks::<16>().0 else { return [vdupq_n_u8(0); 4] };
    [load(a), load(b), load(c), load(d)]
}

/// Loads up to 64 bytes, with zeros after them.
#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn load_block(block: &[u8]) -> Block {
    if let Some(whole) = block.first_chunk() {
        return load_64(whole);
    }
    let mut whole = [0; BLOCK];
    whole[..block.len()].copy_from_slice(block);
    load_64(&whole)
}

/// A table of 128 bytes, as two halves that one instruction looks up each.
struct Table(uint8x16x4_t, uint8x16x4_t);

impl Table {
    #[inline]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    fn load(table: &[u8; 128]) -> Self {
        let half = |from: usize| {
            let [a, b, c, d] = load_block(&table[from..from + BLOCK]);
            uint8x16x4_t(a, b, c, d)
        };
        Self(half(0), half(BLOCK))
    }

    /// Looks up each byte's low seven bits; a place beyond a half finds 0 there.
    #[inline]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    fn look_up(&self, bytes: uint8x16_t) -> uint8x16_t {
        let places = vandq_u8(bytes, vdupq_n_u8(0x7f));
        let above = vsubq_u8(places, vdupq_n_u8(64));
        vorrq_u8(vqtbl4q_u8(self.0, places), vqtbl4q_u8(self.1, above))
    }
}

/// Returns one bit for each byte, which is all ones or all zeros.
#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn bits(bytes: Block) -> u64 {
    let bit = load(&[1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]);
    let [a, b, c, d] = bytes.map(|bytes| vandq_u8(bytes, bit));
    let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
}

/// Returns which bytes have one of these bits.
#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn with_bits(bytes: Block, of: u8) -> u64 {
    bits(bytes.map(|bytes| vtstq_u8(bytes, vdupq_n_u8(of))))
}

/// Returns the joins of a block; see [`super::pair_mask`].
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn pair_mask(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let (first, second) = (Table::load(tables.first), Table::load(tables.second));
    let bytes = load_block(block);
    let mut last = vdupq_n_u8(before);
    let met = bytes.map(|bytes| {
        let shifted = vextq_u8::<15>(last, bytes);
        last = bytes;
        vtstq_u8(first.look_up(shifted), second.look_up(bytes))
    });
    PairMask { joined: bits(met) & mask::first(block.len()), beyond: with_bits(bytes, 0x80) }
}

/// Returns the classes of a block; see [`super::class_masks`].
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn class_masks(table: &[u8; 128], block: &[u8]) -> ClassMasks {
    let table = Table::load(table);
    let bytes = load_block(block);
    let found = bytes.map(|bytes| table.look_up(bytes));
    let live = mask::first(block.len());
    let classes = std::array::from_fn(|bit| with_bits(found, 1 << bit) & live);
    ClassMasks { classes, beyond: with_bits(bytes, 0x80) }
}

/// Does the work with NEON, which the compiler uses anyway.
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Returns which lanes are not zero.
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn nonzero(lanes: &[u64; BLOCK]) -> u64 {
    plain::nonzero(lanes)
}

/// Writes the places of a mask's bits; see [`super::places`].
#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn places(mask: u64, out: &mut [u8; BLOCK]) {
    plain::places(mask, out);
}

/// Writes the places of a mask's bits; see [`super::places_from`].
#[inline]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn places_from(mask: u64, at: u32, out: &mut [u32; BLOCK]) {
    plain::places_from(mask, at, out);
}

/// Looks up keys in lines; see [`super::look_up_four`].
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn look_up_four(lines: &[Line], (places, keys): (&[u64], &[u64]), values: &mut [u64]) {
    for ((&place, &key), value) in places.iter().zip(keys).zip(values) {
        let [a, b, of_a, of_b] = lines[narrow::<_, usize>(place)].0.as_chunks::<2>().0 else {
            return;
        };
        let key = vdupq_n_u64(key);
        let found = |known: &[u64; 2], values: &[u64; 2]| {
            vandq_u64(vceqq_u64(load_words(known), key), load_words(values))
        };
        // At most one of the four is not zero.
        let found = vorrq_u64(found(a, of_a), found(b, of_b));
        *value = vgetq_lane_u64::<0>(found) | vgetq_lane_u64::<1>(found);
    }
}
