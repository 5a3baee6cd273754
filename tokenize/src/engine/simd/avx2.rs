//! The forms with AVX2: 32 bytes at a time.
#![expect(unsafe_code, reason = "loading a vector from memory has no safe form")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_or_si128, _mm_unpackhi_epi64,
    _mm256_adds_epu8, _mm256_alignr_epi8, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_castsi256_pd, _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpeq_epi64,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_movemask_pd,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_xor_si256,
};

use ratdata_schemas::narrow;

use super::lanes::{ClassMasks, Kernel, Line, PairMask, PairTables};
use super::plain::write_places;
use crate::engine::mask::{self, BLOCK};

/// Returns a block's 64 bytes, with zeros after the last.
#[inline]
fn padded(block: &[u8]) -> [u8; BLOCK] {
    if let Some(whole) = block.first_chunk() {
        return *whole;
    }
    let mut whole = [0; BLOCK];
    whole[..block.len()].copy_from_slice(block);
    whole
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes can be read.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_row(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes can be read.
    let row: __m128i = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_broadcastsi128_si256(row)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[u64; 4]) -> __m256i {
    // SAFETY: 32 bytes can be read.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// Looks up each byte's low seven bits in a table of 128, a row of 16 at a time.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up(table: &[u8; 128], bytes: __m256i) -> __m256i {
    let places = _mm256_and_si256(bytes, _mm256_set1_epi8(0x7f));
    let mut found = _mm256_setzero_si256();
    for (first, row) in (0_i8..8).zip(table.as_chunks::<16>().0) {
        // A place in this row is below 16 now; adding sets the top bit of all others, and those find 0.
        let in_row = _mm256_xor_si256(places, _mm256_set1_epi8(first << 4));
        let in_row = _mm256_adds_epu8(in_row, _mm256_set1_epi8(0x70));
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(load_row(row), in_row));
    }
    found
}

/// Returns the top bits of the bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn top_bits(bytes: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(bytes).cast_unsigned())
}

/// Returns the joins of a block; see [`super::pair_mask`].
#[target_feature(enable = "avx2")]
pub(super) fn pair_mask(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let mut mask = PairMask { joined: 0, beyond: 0 };
    let mut last = _mm256_set1_epi8(before.cast_signed());
    for (half, bytes) in padded(block).as_chunks::<32>().0.iter().enumerate() {
        let bytes = load(bytes);
        // Each byte's neighbour before it; the lanes of 16 are shifted on their own.
        let shifted =
            _mm256_alignr_epi8::<15>(bytes, _mm256_permute2x128_si256::<0x21>(last, bytes));
        let met = _mm256_and_si256(look_up(tables.first, shifted), look_up(tables.second, bytes));
        let none = _mm256_cmpeq_epi8(met, _mm256_setzero_si256());
        mask.joined |= (top_bits(none) ^ 0xffff_ffff) << (32 * half);
        mask.beyond |= top_bits(bytes) << (32 * half);
        last = bytes;
    }
    PairMask { joined: mask.joined & mask::first(block.len()), ..mask }
}

/// Returns the classes of a block; see [`super::class_masks`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn class_masks(table: &[u8; 128], block: &[u8]) -> ClassMasks {
    let mut masks = ClassMasks { classes: [0; 8], beyond: 0 };
    for (half, bytes) in padded(block).as_chunks::<32>().0.iter().enumerate() {
        let bytes = load(bytes);
        // The top bit of each byte is looked at, then the one below it, and so on.
        let mut found = look_up(table, bytes);
        for mask in masks.classes.iter_mut().rev() {
            *mask |= top_bits(found) << (32 * half);
            found = _mm256_slli_epi16::<1>(found);
        }
        masks.beyond |= top_bits(bytes) << (32 * half);
    }
    let live = mask::first(block.len());
    ClassMasks { classes: masks.classes.map(|mask| mask & live), ..masks }
}

/// Does the work with AVX2.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Returns which lanes are not zero.
#[target_feature(enable = "avx2")]
pub(super) fn nonzero(lanes: &[u64; BLOCK]) -> u64 {
    let zero = _mm256_setzero_si256();
    (0..).zip(lanes.as_chunks::<4>().0).fold(0, |mask, (four, words)| {
        let none = _mm256_castsi256_pd(_mm256_cmpeq_epi64(load_words(words), zero));
        mask | u64::from((_mm256_movemask_pd(none) ^ 0b1111).cast_unsigned()) << (4 * four)
    })
}

/// Writes the places of a mask's bits; see [`super::places`].
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn places(mask: u64, out: &mut [u8; BLOCK]) {
    write_places(mask, out, |place| place.to_le_bytes()[0]);
}

/// Writes the places of a mask's bits; see [`super::places_from`].
#[inline]
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn places_from(mask: u64, at: u32, out: &mut [u32; BLOCK]) {
    write_places(mask, out, |place| at + place);
}

/// Looks up keys in lines; see [`super::look_up_four`].
#[target_feature(enable = "avx2")]
pub(super) fn look_up_four(lines: &[Line], (places, keys): (&[u64], &[u64]), values: &mut [u64]) {
    for ((&place, &key), value) in places.iter().zip(keys).zip(values) {
        let [known, known_values] = lines[narrow::<_, usize>(place)].0.as_chunks::<4>().0 else {
            return;
        };
        let met = _mm256_cmpeq_epi64(load_words(known), _mm256_set1_epi64x(key.cast_signed()));
        let found = _mm256_and_si256(met, load_words(known_values));
        // At most one of the four is not zero.
        let found =
            _mm_or_si128(_mm256_castsi256_si128(found), _mm256_extracti128_si256::<1>(found));
        let found = _mm_or_si128(found, _mm_unpackhi_epi64(found, found));
        *value = _mm_cvtsi128_si64(found).cast_unsigned();
    }
}
