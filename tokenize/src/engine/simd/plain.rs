//! The forms without vector instructions: words of eight bytes.

use std::hint::select_unpredictable;

use ratdata_schemas::narrow;

use super::lanes::{ClassMasks, Kernel, Line, PairMask, PairTables};
use crate::engine::mask::BLOCK;

/// Returns the joins of a block; see [`super::pair_mask`].
pub(super) fn pair_mask(tables: PairTables<'_>, block: &[u8], mut before: u8) -> PairMask {
    let mut mask = PairMask { joined: 0, beyond: 0 };
    for (number, eight) in block[..block.len().min(BLOCK)].chunks(8).enumerate() {
        let mut met = 0_u64;
        for (at, &byte) in eight.iter().enumerate() {
            let (first, second) = (usize::from(before & 127), usize::from(byte & 127));
            met |= u64::from(tables.first[first] & tables.second[second]) << (8 * at);
            before = byte;
        }
        mask.joined |= top_bits(nonzero_bytes(met)) << (8 * number);
        mask.beyond |= top_bits(word(eight)) << (8 * number);
    }
    mask
}

/// Returns the classes of a block; see [`super::class_masks`].
pub(super) fn class_masks(table: &[u8; 128], block: &[u8]) -> ClassMasks {
    let mut masks = ClassMasks { classes: [0; 8], beyond: 0 };
    for (number, eight) in block[..block.len().min(BLOCK)].chunks(8).enumerate() {
        let mut classes = 0_u64;
        for (at, &byte) in eight.iter().enumerate() {
            classes |= u64::from(table[usize::from(byte & 127)]) << (8 * at);
        }
        let transposed = transpose(classes);
        for (bit, mask) in masks.classes.iter_mut().enumerate() {
            *mask |= (transposed >> (8 * bit) & 0xff) << (8 * number);
        }
        masks.beyond |= top_bits(word(eight)) << (8 * number);
    }
    masks
}

/// Returns up to eight bytes as a word, with zeros after them.
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => (0..).zip(bytes).fold(0, |word, (at, &byte)| word | u64::from(byte) << (8 * at)),
    }
}

/// Returns the top bits of the bytes of a word.
fn top_bits(word: u64) -> u64 {
    (word & 0x8080_8080_8080_8080).wrapping_mul(0x0002_0408_1020_4081) >> 56
}

/// Returns a word with the top bit of each byte set that is not zero; the other bits mean nothing.
fn nonzero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    ((word & LOW) + LOW) | word
}

/// Transposes the bits of a word: bit `i` of byte `k` becomes bit `k` of byte `i`.
fn transpose(mut word: u64) -> u64 {
    for (by, bits) in
        [(7, 0x00aa_00aa_00aa_00aa_u64), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)]
    {
        let swapped = (word ^ word >> by) & bits;
        word ^= swapped ^ swapped << by;
    }
    word
}

/// Does the work.
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Returns which lanes are not zero.
pub(super) fn nonzero(lanes: &[u64; BLOCK]) -> u64 {
    (0..).zip(lanes).fold(0, |mask, (at, &lane)| mask | u64::from(lane != 0) << at)
}

/// Writes the places of a mask's bits; see [`super::places`].
pub(super) fn places(mask: u64, out: &mut [u8; BLOCK]) {
    write_places(mask, out, |place| place.to_le_bytes()[0]);
}

/// Writes the places of a mask's bits; see [`super::places_from`].
pub(super) fn places_from(mask: u64, at: u32, out: &mut [u32; BLOCK]) {
    write_places(mask, out, |place| at + place);
}

/// Writes eight places at a time: how many there are is unpredictable, and a mispredicted branch costs more than a few
/// wasted stores.
#[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
#[inline(always)]
pub(super) fn write_places<T>(mut mask: u64, out: &mut [T; BLOCK], place: impl Fn(u32) -> T) {
    let count = mask.count_ones() as usize;
    for eight in out.as_chunks_mut::<8>().0.iter_mut().take(count.div_ceil(8)) {
        for out in eight {
            *out = place(mask.trailing_zeros());
            mask &= mask.wrapping_sub(1);
        }
    }
}

/// Looks up keys in lines; see [`super::look_up_four`].
pub(super) fn look_up_four(lines: &[Line], (places, keys): (&[u64], &[u64]), values: &mut [u64]) {
    for ((&place, &key), value) in places.iter().zip(keys).zip(values) {
        let line = &lines[narrow::<_, usize>(place)].0;
        let met = (0..4).fold(0, |met, way| met | u32::from(line[way] == key) << way);
        let way = (met | 1 << 3).trailing_zeros() as usize;
        // Without a branch: which of the four it is, or none, is unpredictable.
        *value = select_unpredictable(met != 0, line[4 + way], 0);
    }
}
