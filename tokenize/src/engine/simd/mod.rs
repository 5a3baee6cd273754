//! Vector instructions, by level; the plain level is the twin of the others.
//!
//! - masks of a block of text: which neighbours are joined, and the classes of its bytes;
//! - the places of a mask's bits;
//! - looking up a batch of units in lines of a table;
//! - prefetching.
#![expect(
    unsafe_code,
    reason = "functions with vector instructions, and prefetching, have no safe call; docs/performance.md says what they gain"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
mod level;
#[cfg(any(target_arch = "aarch64", test))]
mod neon;
#[cfg(all(test, not(target_arch = "aarch64")))]
mod neon_twin;
mod plain;
#[cfg(test)]
mod tests;

use crate::engine::mask::BLOCK;

pub(crate) use lanes::{BATCH, ClassMasks, Kernel, Lanes, Line, PairMask, PairTables};
pub(crate) use level::{Level, VARIABLE};

/// Calls a function of the level's module.
macro_rules! at_level {
    ($level:expr, $function:ident($($argument:expr),*)) => {
        match $level {
            Level::Plain => plain::$function($($argument),*),
            // SAFETY: a level is made only where the processor has its instructions.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::$function($($argument),*) },
            #[cfg(all(test, not(target_arch = "aarch64")))]
            Level::Neon => neon::$function($($argument),*),
        }
    };
}

/// Returns the joins of up to 64 bytes; `before` is the byte in front of them.
#[inline]
pub(crate) fn pair_mask(
    level: Level,
    tables: PairTables<'_>,
    block: &[u8],
    before: u8,
) -> PairMask {
    at_level!(level, pair_mask(tables, block, before))
}

/// Returns the classes of up to 64 bytes, looked up in a table over ASCII.
///
/// Bytes beyond ASCII are looked up by their low seven bits; the caller corrects them.
#[inline]
pub(crate) fn class_masks(level: Level, table: &[u8; 128], block: &[u8]) -> ClassMasks {
    at_level!(level, class_masks(table, block))
}

/// Does work with the instructions of a level.
#[inline]
pub(crate) fn run<K: Kernel>(level: Level, kernel: K) -> K::Output {
    at_level!(level, run(kernel))
}

/// Returns which lanes are not zero, one bit a lane.
#[inline]
pub(crate) fn nonzero(level: Level, lanes: &[u64; BLOCK]) -> u64 {
    at_level!(level, nonzero(lanes))
}

/// Writes the places of a mask's bits, the lowest first. What is behind the last one has no meaning.
#[inline]
pub(crate) fn places(level: Level, mask: u64, out: &mut [u8; BLOCK]) {
    at_level!(level, places(mask, out));
}

/// Writes the places of a mask's bits counted from `at`, the lowest first. What is behind the last one has no meaning.
#[inline]
pub(crate) fn places_from(level: Level, mask: u64, at: u32, out: &mut [u32; BLOCK]) {
    at_level!(level, places_from(mask, at, out));
}

/// For each of `keys`, looks for it among the first four words of its line, and writes the word
/// four further, or zero where it is not there. Keys within a line differ, but for zeros.
#[inline]
pub(crate) fn look_up_four(
    level: Level,
    lines: &[Line],
    (places, keys): (&[u64], &[u64]),
    values: &mut [u64],
) {
    at_level!(level, look_up_four(lines, (places, keys), values));
}

/// Asks the processor to fetch the cache line of `place`, which is about to be read.
#[inline]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: fetching is a hint without effect on memory, and the address is a live reference's.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes no register, flag or memory.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{place}]",
            place = in(reg) std::ptr::from_ref(place),
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _: &T = place;
}
