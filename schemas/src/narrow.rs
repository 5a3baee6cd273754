//! The one conversion between widths of integers.

use std::fmt::Display;

/// Converts a length, a place or an id to another width, which it fits.
///
/// It is for numbers that a bound elsewhere keeps within the width: what lies in memory, or what was
/// checked when it was read. A number that may be larger is an error of its input, and is read with
/// `try_from`.
///
/// ```
/// use ratdata_schemas::narrow;
///
/// let ids = [3_u32, 1, 4];
/// let count: u32 = narrow(ids.len());
/// assert_eq!(count, 3);
/// ```
///
/// # Panics
///
/// The number does not fit: the bound is broken, which is a defect of this program.
#[inline]
#[track_caller]
pub fn narrow<Wide: Copy + Display, Narrow: TryFrom<Wide>>(number: Wide) -> Narrow {
    match Narrow::try_from(number) {
        Ok(number) => number,
        Err(_) => broken(&number),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a number that changes in silence is worse than a program that ends"
)]
fn broken(number: &dyn Display) -> ! {
    panic!("{number} does not fit the width that its bound promises");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_fit_keep_their_value() {
        assert_eq!(narrow::<usize, u32>(7), 7);
        assert_eq!(narrow::<u64, u8>(255), 255);
    }

    #[test]
    #[should_panic(expected = "256 does not fit")]
    fn a_number_that_does_not_fit_is_seen() {
        let _: u8 = narrow(256_u64);
    }
}
