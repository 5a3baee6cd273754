//! The pre-tokenizer `ByteLevel`: cuts by GPT-2's pattern, and writes each byte as a character.

use super::super::byte_chars;
use super::super::pattern::Pattern;
use super::super::stop::Stop;
use super::behaviour::Behaviour;
use super::pieces::{Piece, Pieces};
use super::split::split;

/// The step.
#[derive(Debug)]
pub(in super::super) struct ByteLevel {
    /// Whether a space is put before each piece that does not begin with one.
    prefix: bool,
    /// What the pieces are cut by.
    pattern: Option<Pattern>,
    /// Whether each byte is written as its character.
    writes: bool,
}

impl ByteLevel {
    /// Makes the step.
    pub(in super::super) fn new(prefix: bool, pattern: Option<Pattern>) -> Self {
        Self { prefix, pattern, writes: true }
    }

    /// Leaves bytes as they are: the model writes them.
    pub(super) fn leave_bytes(&mut self) {
        self.writes = false;
    }

    /// Cuts and writes the pieces.
    pub(super) fn apply(&self, text: &str, pieces: &mut Pieces) -> Result<(), Stop> {
        if self.prefix {
            pieces.rewrite(text, |text, _, out, pieces, of_first| {
                let begin = out.len();
                if !text.starts_with(' ') {
                    out.push(' ');
                }
                let kept = out.len() + of_first;
                out.push_str(text);
                pieces.push(Piece::new(begin, out.len()));
                kept
            })?;
        }
        if let Some(pattern) = &self.pattern {
            pieces.cut(text, |text, base, out| {
                split(pattern, Behaviour::Isolated, false, text, base, out)
            })?;
        }
        if self.writes {
            pieces.rewrite(text, |text, _, out, pieces, of_first| {
                let begin = out.len();
                byte_chars::write(&text[..of_first], out);
                let kept = out.len();
                byte_chars::write(&text[of_first..], out);
                pieces.push(Piece::new(begin, out.len()));
                kept
            })?;
        }
        Ok(())
    }
}
