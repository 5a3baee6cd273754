//! The pre-tokenizer `Metaspace`: spaces are written as another character, mostly `▁`, and a piece begins at
//! each.

use super::super::stop::Stop;
use super::pieces::{Piece, Pieces};

/// Before which pieces the character is put, unless they begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PrependScheme {
    /// Before those that stand for the first character of the document.
    First,
    Never,
    Always,
}

/// The step.
#[derive(Debug)]
pub(in super::super) struct Metaspace {
    replacement: Box<str>,
    scheme: PrependScheme,
    split: bool,
}

impl Metaspace {
    /// Makes the step.
    pub(in super::super) fn new(replacement: char, scheme: PrependScheme, split: bool) -> Self {
        Self { replacement: replacement.to_string().into(), scheme, split }
    }

    /// Returns whether the step asks which piece stands for the first character.
    pub(super) fn asks_for_first(&self) -> bool {
        self.scheme == PrependScheme::First
    }

    /// Writes and cuts the pieces.
    pub(super) fn apply(&self, text: &str, pieces: &mut Pieces) -> Result<(), Stop> {
        let mark = &*self.replacement;
        pieces.rewrite(text, |text, is_first, out, pieces, of_first| {
            let begin = out.len();
            let is_marked = text.starts_with(mark) || text.starts_with(' ');
            let wants = match self.scheme {
                PrependScheme::Always => true,
                PrependScheme::First => is_first,
                PrependScheme::Never => false,
            };
            if wants && !is_marked {
                out.push_str(mark);
            }
            let mut piece = begin;
            self.write(&text[..of_first], out, &mut piece, pieces);
            let kept = out.len();
            self.write(&text[of_first..], out, &mut piece, pieces);
            if piece < out.len() {
                pieces.push(Piece::new(piece, out.len()));
            }
            kept
        })
    }

    /// Appends a text with each space written as the mark, and adds the pieces that end before a mark;
    /// `start` is where the piece begins that has not ended.
    fn write(&self, text: &str, out: &mut String, start: &mut usize, pieces: &mut Vec<Piece>) {
        let mark = &*self.replacement;
        let lead = mark.as_bytes().first().copied().unwrap_or(b' ');
        let mut done = 0;
        for place in memchr::memchr2_iter(b' ', lead, text.as_bytes()) {
            let len = match text.as_bytes()[place] {
                b' ' => 1,
                _ if text[place..].starts_with(mark) => mark.len(),
                _ => continue,
            };
            out.push_str(&text[done..place]);
            done = place + len;
            if self.split && out.len() > *start {
                pieces.push(Piece::new(*start, out.len()));
                *start = out.len();
            }
            out.push_str(mark);
        }
        out.push_str(&text[done..]);
    }
}
