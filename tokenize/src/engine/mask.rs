//! Masks over a block of text or a batch of units: one bit each.

/// How many bytes of text, or units, one mask speaks of.
pub(crate) const BLOCK: usize = 64;

/// Returns the mask of the first `len` places of a block.
#[inline]
pub(crate) fn first(len: usize) -> u64 {
    if len >= BLOCK { u64::MAX } else { (1 << len) - 1 }
}

/// Returns the places of a mask's bits, the lowest first.
#[inline]
pub(crate) fn places(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (place < BLOCK).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_as_many_places_as_bits() {
        for len in 0..=BLOCK {
            assert_eq!(places(first(len)).collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
        }
        assert_eq!(places(1 << 63 | 1 << 5).collect::<Vec<_>>(), [5, 63]);
    }
}
