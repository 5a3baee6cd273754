//! The normalizer `Replace`.

use crate::bounds::boundary::grow;

use super::super::pattern::Pattern;
use super::super::stop::Stop;
use super::rewrite::PART;

/// Writes something else for every match of a pattern.
#[derive(Debug)]
pub(in super::super) struct Replace {
    pattern: Pattern,
    content: Box<str>,
}

impl Replace {
    /// Makes the step.
    pub(in super::super) fn new(pattern: Pattern, content: &str) -> Self {
        Self { pattern, content: content.into() }
    }

    /// See [`super::Normalizer::apply`].
    pub(super) fn apply(&self, text: &str, out: &mut String) -> Result<bool, Stop> {
        let (mut done, mut changed) = (0, false);
        self.pattern.matches(text, |start, end| {
            if end == 0 {
                // What is put before the text stands for nothing there, and later steps of `tokenizers`
                // lose their place over it.
                return Err(Stop::Oracle);
            }
            grow(PART, self.content.len().saturating_sub(end - start))?;
            out.push_str(&text[done..start]);
            out.push_str(&self.content);
            (done, changed) = (end, true);
            Ok(true)
        })?;
        if changed {
            out.push_str(&text[done..]);
        }
        Ok(changed)
    }

    /// See [`super::Normalizer::first`]: a replacement stands for the last byte of what it replaces.
    pub(super) fn first(&self, text: &str, first: usize) -> Result<usize, Stop> {
        let (mut done, mut bytes) = (0, 0);
        self.pattern.matches(text, |start, end| {
            bytes += start.min(first).saturating_sub(done);
            if end > first {
                done = first;
                return Ok(false);
            }
            bytes += self.content.len();
            done = end;
            Ok(true)
        })?;
        Ok(bytes + first.saturating_sub(done))
    }
}
