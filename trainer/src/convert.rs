//! Conversions of numbers: an integer keeps its value or stops the program, a float is rounded.

use std::fmt::Display;

/// Converts an integer to a type that holds its value.
///
/// It serves numbers that something else bounds, such as positions within a row and counts of
/// rows. A number out of bounds is a mistake of the program. The program stops there, so that no
/// wrong number reaches a batch.
///
/// # Panics
/// Panics where the type does not hold the value.
#[track_caller]
pub(crate) fn narrow<To>(value: impl TryInto<To> + Copy + Display) -> To {
    value.try_into().unwrap_or_else(|_| {
        unreachable!("{value} does not fit into `{}`", std::any::type_name::<To>())
    })
}

/// Makes a `NonZeroUsize` of a literal; a 0 does not compile.
macro_rules! non_zero {
    ($value:literal) => {
        const { std::num::NonZeroUsize::new($value).expect("the literal is not 0") }
    };
}
pub(crate) use non_zero;

/// Rounds to the nearest `f32`.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(crate) fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_fits_keeps_its_value() {
        assert_eq!(narrow::<i64>(7_usize), 7);
        assert_eq!(narrow::<u8>(255_u64), 255);
    }

    #[test]
    #[should_panic(expected = "256 does not fit into `u8`")]
    fn a_number_that_does_not_fit_stops_the_program() {
        narrow::<u8>(256_u64);
    }
}
