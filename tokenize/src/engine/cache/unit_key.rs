//! Keys of units: the exact bytes of a short unit as two numbers.

use ratdata_schemas::narrow;

/// Units up to this many bytes have a key.
pub(crate) const LONGEST: usize = 16;

/// The same, as lengths are counted.
const LONGEST_LEN: u32 = 16;

/// The bytes of a unit, padded with zeros; zero where the unit has no key.
///
/// A unit that ends with a zero byte has none, so that no two units share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitKey {
    /// The first eight bytes.
    pub(crate) low: u64,
    /// The others; zero for a unit of up to eight bytes.
    pub(crate) high: u64,
}

impl UnitKey {
    /// Returns the key of a unit of `len` bytes that begins with these sixteen.
    #[inline]
    pub(crate) fn of_words(low: u64, high: u64, len: u32) -> Self {
        let len = len.min(LONGEST_LEN + 1);
        // A full-width shift overflows; its result is 0 here.
        let kept = |bits: u32| u64::MAX.checked_shr(bits).unwrap_or(0);
        let (of_low, of_high) = (kept(64 - 8 * len.min(8)), kept(128_u32.wrapping_sub(8 * len)));
        let has_key = if len > LONGEST_LEN { 0 } else { u64::MAX };
        Self { low: low & of_low & has_key, high: high & of_high & has_key }
    }

    /// Returns the key of a whole unit.
    pub(crate) fn of(unit: &[u8]) -> Self {
        let (low, high) = words_at(unit, 0);
        Self::of_words(low, high, key_len(unit, 0, unit.len(), true))
    }

    /// Returns whether the unit has up to eight bytes, or no key.
    #[inline]
    pub(crate) fn is_short(self) -> bool {
        self.high == 0
    }

    /// Returns whether the unit has no key.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.low == 0 && self.high == 0
    }

    /// Returns a hash whose upper bits are the best.
    #[inline]
    pub(crate) fn hash(self) -> u64 {
        let mixed = self.low ^ self.high.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(29);
        (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Returns how many bytes of the unit `bytes[start..end]` its key has; more than [`LONGEST`] for
/// none. `zeros` says whether the unit may end with a zero byte.
#[inline]
pub(crate) fn key_len(bytes: &[u8], start: usize, end: usize, zeros: bool) -> u32 {
    let none = zeros && bytes[end - 1] == 0;
    if none { u32::MAX } else { narrow(end - start) }
}

/// Returns the sixteen bytes from `start`, with zeros after the last.
#[inline]
pub(crate) fn words_at(bytes: &[u8], start: usize) -> (u64, u64) {
    let rest = &bytes[start..];
    let word = rest.first_chunk::<LONGEST>().map_or_else(
        || match bytes.last_chunk::<LONGEST>() {
            // The last sixteen bytes, without those before `start`.
            Some(last) if !rest.is_empty() => {
                u128::from_le_bytes(*last) >> (8 * (LONGEST - rest.len()))
            }
            _ => u128::from_le_bytes(padded(rest)),
        },
        |word| u128::from_le_bytes(*word),
    );
    (low_half(word), low_half(word >> 64))
}

/// Reads the last bytes of a text, with zeros after them.
#[cold]
fn padded(bytes: &[u8]) -> [u8; LONGEST] {
    let mut word = [0; LONGEST];
    let len = bytes.len().min(LONGEST);
    word[..len].copy_from_slice(&bytes[..len]);
    word
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn low_half(word: u128) -> u64 {
    word as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Two units share a key only if they are the same.
        #[test]
        fn keys_are_exact(
            one in proptest::collection::vec(0..3_u8, 1..20),
            other in proptest::collection::vec(0..3_u8, 1..20),
            after in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let key = |unit: &[u8]| {
                let text = [unit, &after].concat();
                let (low, high) = words_at(&text, 0);
                UnitKey::of_words(low, high, key_len(&text, 0, unit.len(), true))
            };

            prop_assert_eq!(key(&one).is_none(), one.len() > LONGEST || one.ends_with(&[0]));
            if !key(&one).is_none() {
                prop_assert_eq!(key(&one) == key(&other), one == other);
                prop_assert_eq!(key(&one).is_short(), one.len() <= 8);
            }
        }
    }
}
