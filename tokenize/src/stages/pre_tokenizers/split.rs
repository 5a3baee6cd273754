//! Splits a text by a pattern.

use super::super::pattern::Pattern;
use super::super::stop::Stop;
use super::behaviour::{Behaviour, Splits};
use super::pieces::Piece;

/// Splits a text by a pattern.
pub(super) fn split(
    pattern: &Pattern,
    behaviour: Behaviour,
    invert: bool,
    text: &str,
    base: usize,
    out: &mut Vec<Piece>,
) -> Result<(), Stop> {
    let mut splits = Splits::new(behaviour, base, out);
    let mut done = 0;
    pattern.matches(text, |start, end| {
        if done != start {
            splits.add(done, start, invert);
        }
        splits.add(start, end, !invert);
        done = end;
        Ok(true)
    })?;
    if done != text.len() {
        splits.add(done, text.len(), invert);
    }
    splits.finish();
    Ok(())
}
