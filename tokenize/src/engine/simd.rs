//! The vector instructions of the crate, each with its plain twin: cut masks, looking up a batch of
//! units, and prefetching.
#![expect(
    unsafe_code,
    reason = "vector instructions and prefetching have no safe form; see docs/performance.md for what they buy"
)]

use std::hint::select_unpredictable;

use ratdata_schemas::narrow;

use super::mask::{self, BLOCK};

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_cvtsi128_si64, _mm_prefetch, _mm512_castsi512_si128,
    _mm512_cmpeq_epi64_mask, _mm512_loadu_si512, _mm512_mask_set1_epi8,
    _mm512_maskz_compress_epi64, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask,
    _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi64,
    _mm512_test_epi8_mask, _mm512_test_epi64_mask,
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
    /// The byte and the one before it are joined; unspecified next to a byte beyond ASCII.
    pub(crate) joined: u64,
    /// The byte is beyond ASCII.
    pub(crate) beyond: u64,
}

/// Which instructions the processor has; chosen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// No vector instructions of ours.
    Plain,
    /// AVX-512 with byte permutations and 64-bit products.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Asks the processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("bmi2")
        {
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
        // SAFETY: `Level::Avx512` is made only where the processor has the features.
        Level::Avx512 => unsafe { pair_mask_avx512(tables, block, before) },
    }
}

/// The plain twin of the vector forms.
pub(crate) fn pair_mask_plain(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let mut mask = PairMask { joined: 0, beyond: 0 };
    let mut before = before;
    for (at, &byte) in block.iter().take(BLOCK).enumerate() {
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
    if block.len() >= BLOCK {
        // SAFETY: 64 bytes can be read.
        return unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let there = mask::first(block.len());
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
    PairMask { joined: met & mask::first(block.len()), beyond: _mm512_movepi8_mask(bytes) }
}

/// Returns, for each of eight bits, which bytes have that bit set in `classes`.
///
/// Bytes beyond ASCII are looked up by their low seven bits; the caller corrects them.
#[inline]
pub(crate) fn class_masks(level: Level, classes: &[u8; 128], block: &[u8]) -> ([u64; 8], u64) {
    match level {
        Level::Plain => class_masks_plain(classes, block),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor has the features.
        Level::Avx512 => unsafe { class_masks_avx512(classes, block) },
    }
}

/// The plain twin of the vector forms.
pub(crate) fn class_masks_plain(classes: &[u8; 128], block: &[u8]) -> ([u64; 8], u64) {
    let (mut masks, mut beyond) = ([0; 8], 0);
    for (at, &byte) in block.iter().take(BLOCK).enumerate() {
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
fn class_masks_avx512(classes: &[u8; 128], block: &[u8]) -> ([u64; 8], u64) {
    let bytes = load(block);
    let found = look_up(classes, bytes);
    let live = mask::first(block.len());
    let masks = [1, 2, 4, 8, 16, 32, 64, i8::MIN]
        .map(|bit| _mm512_test_epi8_mask(found, _mm512_set1_epi8(bit)) & live);
    (masks, _mm512_movepi8_mask(bytes))
}

/// How many units are looked up together.
pub(crate) const BATCH: usize = BLOCK;

/// A number for each unit of a batch.
pub(crate) type Lanes = [u64; BATCH];

/// Work on plain arrays that a compiler makes vector instructions of.
pub(crate) trait Kernel {
    /// Does the work; to be inlined wherever it is used.
    fn run(self);
}

/// Does the work with the instructions of a level.
#[inline]
pub(crate) fn run(level: Level, kernel: impl Kernel) {
    match level {
        Level::Plain => kernel.run(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor has the features.
        Level::Avx512 => unsafe { run_avx512(kernel) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn run_avx512(kernel: impl Kernel) {
    kernel.run();
}

/// Returns which lanes are not zero, one bit a lane.
#[inline]
pub(crate) fn nonzero(level: Level, lanes: &Lanes) -> u64 {
    match level {
        Level::Plain => nonzero_plain(lanes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor has the features.
        Level::Avx512 => unsafe { nonzero_avx512(lanes) },
    }
}

fn nonzero_plain(lanes: &Lanes) -> u64 {
    (0..).zip(lanes).fold(0, |mask, (at, &lane)| mask | u64::from(lane != 0) << at)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn nonzero_avx512(lanes: &Lanes) -> u64 {
    let (eights, _) = lanes.as_chunks::<8>();
    (0..).zip(eights).fold(0, |mask, (at, eight)| {
        let eight = load_words(eight);
        mask | u64::from(_mm512_test_epi64_mask(eight, eight)) << (8 * at)
    })
}

/// Four keys and then their values, or anything else of that size.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) [u64; 8]);

/// For each lane of `keys`, looks for it among the first four words of its line, and writes the word
/// four further, or zero where it is not there. Keys within a line differ, but for zeros.
#[inline]
pub(crate) fn look_up_four(
    level: Level,
    lines: &[Line],
    places: &Lanes,
    keys: &Lanes,
    values: &mut Lanes,
) {
    match level {
        Level::Plain => look_up_four_plain(lines, places, keys, values),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor has the features.
        Level::Avx512 => unsafe { look_up_four_avx512(lines, places, keys, values) },
    }
}

/// The plain twin of the vector form.
fn look_up_four_plain(lines: &[Line], places: &Lanes, keys: &Lanes, values: &mut Lanes) {
    for ((&place, &key), value) in places.iter().zip(keys).zip(values) {
        let line = &lines[narrow::<_, usize>(place)].0;
        let met = (0..4).fold(0, |met, way| met | u32::from(line[way] == key) << way);
        let way = (met | 1 << 3).trailing_zeros() as usize;
        // Without a branch: which of the four it is, or none, is not to be foreseen.
        *value = select_unpredictable(met != 0, line[4 + way], 0);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the instructions take `i64`"
)]
fn look_up_four_avx512(lines: &[Line], places: &Lanes, keys: &Lanes, values: &mut Lanes) {
    for ((&place, &key), value) in places.iter().zip(keys).zip(values) {
        let line = load_words(&lines[narrow::<_, usize>(place)].0);
        let met = _mm512_cmpeq_epi64_mask(line, _mm512_set1_epi64(key as i64)) & 0b1111;
        let found = _mm512_maskz_compress_epi64(met << 4, line);
        *value = _mm_cvtsi128_si64(_mm512_castsi512_si128(found)) as u64;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn load_words(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 bytes can be read.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
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

        /// The vector form finds what the plain one finds.
        #[test]
        fn vectors_look_up_what_the_plain_form_does(
            lines in proptest::collection::vec(any::<[u64; 4]>(), 4),
            picks in proptest::collection::vec((0..4_u64, 0..6_usize), BATCH),
        ) {
            let lines: Vec<Line> = lines
                .iter()
                .map(|&[a, b, values, c]| Line([1, 2 + a % 3, 5 + b % 3, 0, values, c, a, 0]))
                .collect();
            let places: Lanes = std::array::from_fn(|at| picks[at].0);
            let keys: Lanes = std::array::from_fn(|at| {
                let line = &lines[usize::try_from(picks[at].0).unwrap()].0;
                line.get(picks[at].1).copied().filter(|_| picks[at].1 < 4).unwrap_or(99)
            });
            let (mut found, mut expected) = ([7; BATCH], [8; BATCH]);

            look_up_four(Level::detect(), &lines, &places, &keys, &mut found);
            look_up_four_plain(&lines, &places, &keys, &mut expected);

            prop_assert_eq!(found, expected);
            prop_assert_eq!(nonzero(Level::detect(), &found), nonzero_plain(&found));
        }
    }
}
