//! The forms with AVX-512: 64 bytes at a time.
#![expect(unsafe_code, reason = "loading a vector from memory has no safe form")]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi128_si64, _mm512_add_epi32, _mm512_castsi512_si128,
    _mm512_cmpeq_epi64_mask, _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32, _mm512_loadu_si512,
    _mm512_mask_set1_epi8, _mm512_maskz_compress_epi8, _mm512_maskz_compress_epi64,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_storeu_si512, _mm512_test_epi8_mask, _mm512_test_epi64_mask,
};

use ratdata_schemas::narrow;

use super::lanes::{ClassMasks, Kernel, Line, PairMask, PairTables};
use crate::engine::mask::{self, BLOCK};

/// Loads up to 64 bytes, zeros after them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn load(block: &[u8]) -> __m512i {
    if block.len() >= BLOCK {
        // SAFETY: 64 bytes can be read.
        return unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let there = mask::first(block.len());
    // SAFETY: only the bytes of the mask, which are those of the block, are read.
    unsafe { _mm512_maskz_loadu_epi8(there, block.as_ptr().cast()) }
}

/// Looks up each byte's low seven bits in a table of 128.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: &[u8; 128], places: __m512i) -> __m512i {
    let (low, high) = table.split_at(64);
    _mm512_permutex2var_epi8(load(low), places, load(high))
}

/// The numbers -1 … 62: each byte's neighbour before it.
static BEFORE: [u8; 64] = {
    let mut places = [0; 64];
    let mut at = 1_u8;
    while at < 64 {
        places[at as usize] = at - 1;
        at += 1;
    }
    places
};

/// Returns the joins of a block; see [`super::pair_mask`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn pair_mask(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let bytes = load(block);
    let shifted = _mm512_permutexvar_epi8(load(&BEFORE), bytes);
    let shifted = _mm512_mask_set1_epi8(shifted, 1, before.cast_signed());
    let met = _mm512_test_epi8_mask(look_up(tables.first, shifted), look_up(tables.second, bytes));
    PairMask { joined: met & mask::first(block.len()), beyond: _mm512_movepi8_mask(bytes) }
}

/// Returns the classes of a block; see [`super::class_masks`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn class_masks(table: &[u8; 128], block: &[u8]) -> ClassMasks {
    let bytes = load(block);
    let found = look_up(table, bytes);
    let live = mask::first(block.len());
    let classes = [1, 2, 4, 8, 16, 32, 64, i8::MIN]
        .map(|bit| _mm512_test_epi8_mask(found, _mm512_set1_epi8(bit)) & live);
    ClassMasks { classes, beyond: _mm512_movepi8_mask(bytes) }
}

/// Does the work with AVX-512.
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Returns which lanes are not zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn nonzero(lanes: &[u64; BLOCK]) -> u64 {
    let (eights, _) = lanes.as_chunks::<8>();
    (0..).zip(eights).fold(0, |mask, (at, eight)| {
        let eight = load_words(eight);
        mask | u64::from(_mm512_test_epi64_mask(eight, eight)) << (8 * at)
    })
}

/// The numbers 0 … 63.
static NUMBERS: [u8; BLOCK] = {
    let mut numbers = [0; BLOCK];
    let mut at = 1_u8;
    while at < 64 {
        numbers[at as usize] = at;
        at += 1;
    }
    numbers
};

/// Returns the places of a mask's bits, one a byte, the lowest first.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
fn compressed(mask: u64) -> __m512i {
    _mm512_maskz_compress_epi8(mask, load(&NUMBERS))
}

/// Writes the places of a mask's bits; see [`super::places`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
pub(super) fn places(mask: u64, out: &mut [u8; BLOCK]) {
    // SAFETY: 64 bytes can be written.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), compressed(mask)) }
}

/// Writes the places of a mask's bits; see [`super::places_from`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
pub(super) fn places_from(mask: u64, at: u32, out: &mut [u32; BLOCK]) {
    let places = compressed(mask);
    let [a, b, c, d] = out.as_chunks_mut::<16>().0 else { return };
    write_from(a, _mm512_castsi512_si128(places), at);
    write_from(b, _mm512_extracti32x4_epi32::<1>(places), at);
    // Few blocks have so many units, so that the branch is not guessed wrong.
    if mask.count_ones() > 32 {
        write_from(c, _mm512_extracti32x4_epi32::<2>(places), at);
        write_from(d, _mm512_extracti32x4_epi32::<3>(places), at);
    }
}

/// Writes sixteen places, counted from `at`.
#[inline]
#[target_feature(enable = "avx512f")]
fn write_from(out: &mut [u32; 16], places: __m128i, at: u32) {
    let places =
        _mm512_add_epi32(_mm512_cvtepu8_epi32(places), _mm512_set1_epi32(at.cast_signed()));
    // SAFETY: 64 bytes can be written.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), places) }
}

/// Looks up keys in lines; see [`super::look_up_four`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn look_up_four(lines: &[Line], (places, keys): (&[u64], &[u64]), values: &mut [u64]) {
    for ((&place, &key), value) in places.iter().zip(keys).zip(values) {
        let line = load_words(&lines[narrow::<_, usize>(place)].0);
        let met = _mm512_cmpeq_epi64_mask(line, _mm512_set1_epi64(key.cast_signed())) & 0b1111;
        let found = _mm512_maskz_compress_epi64(met << 4, line);
        *value = _mm_cvtsi128_si64(_mm512_castsi512_si128(found)).cast_unsigned();
    }
}

#[target_feature(enable = "avx512f")]
fn load_words(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 bytes can be read.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
