//! Conversions of numbers: an integer keeps its value or stops the program, a float is rounded.

pub(crate) use ratdata_schemas::narrow;

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
