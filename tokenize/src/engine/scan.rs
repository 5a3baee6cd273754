//! The vector instructions of the crate, each with its plain twin: cut masks and prefetching.
#![expect(
    unsafe_code,
    reason = "vector instructions and prefetching have no safe form; see docs/performance.md for what they buy"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_loadu_si512, _mm512_mask_set1_epi8,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_test_epi8_mask,
};

/// Two tables over ASCII: neighbours `a`, `b` are joined where `first[a] & second[b] != 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairTables<'a> {
    pub(crate) first: &'a [u8; 128],
    pub(crate) second: &'a [u8; 128],
}

/// What one block of up to 64 bytes says, one bit a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PairMask {
    /// The byte and the one before it are joined; unspecified beside a byte beyond ASCII.
    pub(crate) joined: u64,
    /// The byte is beyond ASCII.
    pub(crate) beyond: u64,
}

/// Which instructions the processor has; chosen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// No vector instructions of ours.
    Plain,
    /// AVX-512 with byte permutations.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Asks the processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512bw") {
            return Self::Avx512;
        }
        Self::Plain
    }
}

/// Looks at up to 64 bytes; `before` is the byte in front of them.
#[inline]
pub(crate) fn pair_mask(
    level: Level,
    tables: PairTables<'_>,
    block: &[u8],
    before: u8,
) -> PairMask {
    match level {
        Level::Plain => pair_mask_plain(tables, block, before),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor has both features.
        Level::Avx512 => unsafe { pair_mask_avx512(tables, block, before) },
    }
}

/// The plain twin of the vector forms.
pub(crate) fn pair_mask_plain(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let mut mask = PairMask { joined: 0, beyond: 0 };
    let mut before = before;
    for (at, &byte) in block.iter().take(64).enumerate() {
        let met = tables.first[usize::from(before & 127)] & tables.second[usize::from(byte & 127)];
        mask.joined |= u64::from(met != 0) << at;
        mask.beyond |= u64::from(byte >= 128) << at;
        before = byte;
    }
    mask
}

/// Loads up to 64 bytes, zeros after them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn load(block: &[u8]) -> __m512i {
    if block.len() >= 64 {
        // SAFETY: 64 bytes can be read.
        return unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let there = (1_u64 << block.len()) - 1;
    // SAFETY: only the bytes of the mask, which are those of the block, are read.
    unsafe { _mm512_maskz_loadu_epi8(there, block.as_ptr().cast()) }
}

/// Looks up each byte's low seven bits in a table of 128.
#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[expect(clippy::cast_possible_wrap, reason = "the instruction takes a byte as `i8`")]
fn pair_mask_avx512(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let bytes = load(block);
    let shifted = _mm512_permutexvar_epi8(load(&BEFORE), bytes);
    let shifted = _mm512_mask_set1_epi8(shifted, 1, before as i8);
    let met = _mm512_test_epi8_mask(look_up(tables.first, shifted), look_up(tables.second, bytes));
    PairMask { joined: met & live(block), beyond: _mm512_movepi8_mask(bytes) }
}

fn live(block: &[u8]) -> u64 {
    if block.len() >= 64 { u64::MAX } else { (1 << block.len()) - 1 }
}

/// Returns, for each of six bits, which bytes have that bit set in `classes`.
///
/// Bytes beyond ASCII are looked up by their low seven bits; the caller corrects them.
#[inline]
pub(crate) fn class_masks(level: Level, classes: &[u8; 128], block: &[u8]) -> ([u64; 6], u64) {
    match level {
        Level::Plain => class_masks_plain(classes, block),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor has both features.
        Level::Avx512 => unsafe { class_masks_avx512(classes, block) },
    }
}

/// The plain twin of the vector forms.
pub(crate) fn class_masks_plain(classes: &[u8; 128], block: &[u8]) -> ([u64; 6], u64) {
    let (mut masks, mut beyond) = ([0; 6], 0);
    for (at, &byte) in block.iter().take(64).enumerate() {
        let class = classes[usize::from(byte & 127)];
        for (bit, mask) in masks.iter_mut().enumerate() {
            *mask |= u64::from(class >> bit & 1) << at;
        }
        beyond |= u64::from(byte >= 128) << at;
    }
    (masks, beyond)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn class_masks_avx512(classes: &[u8; 128], block: &[u8]) -> ([u64; 6], u64) {
    let bytes = load(block);
    let found = look_up(classes, bytes);
    let live = live(block);
    let masks =
        [1, 2, 4, 8, 16, 32].map(|bit| _mm512_test_epi8_mask(found, _mm512_set1_epi8(bit)) & live);
    (masks, _mm512_movepi8_mask(bytes))
}

/// Asks the processor to fetch the line that holds `place`, which is about to be read.
#[inline]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: fetching is a hint without effect on memory, and the address is a live reference's.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _: &T = place;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The vector form sees what the plain one sees.
        #[test]
        fn vectors_agree_with_the_plain_form(
            block in proptest::collection::vec(any::<u8>(), 0..70),
            first in proptest::collection::vec(any::<u8>(), 128),
            second in proptest::collection::vec(any::<u8>(), 128),
            before in any::<u8>(),
        ) {
            let (first, second): ([u8; 128], [u8; 128]) =
                (first.try_into().unwrap(), second.try_into().unwrap());
            let tables = PairTables { first: &first, second: &second };
            let level = Level::detect();

            prop_assert_eq!(pair_mask(level, tables, &block, before), pair_mask_plain(tables, &block, before));
            prop_assert_eq!(class_masks(level, &first, &block), class_masks_plain(&first, &block));
        }
    }
}
