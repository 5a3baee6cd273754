//! What a tokenizer file and a text may cost, and the boundary that ends what costs more.
//!
//! [`limits`] has the numbers, [`boundary`] draws on what one text may cost and catches panics of libraries, and
//! [`pattern`] runs regular expressions within their bounds, and [`replaced`] says what a replacement looks for.

pub(crate) mod boundary;
pub(crate) mod limits;
pub(crate) mod pattern;
pub(crate) mod replaced;
mod shown;

pub use boundary::Bound;
pub(crate) use shown::shown;
