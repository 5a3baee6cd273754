//! The pre-tokenizer `Metaspace`: spaces are written as another character, mostly `▁`, and a piece begins at
//! each.

use memchr::memmem::Finder;

use super::super::stop::Stop;
use super::{Piece, Pieces};

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
    finder: Finder<'static>,
    scheme: PrependScheme,
    split: bool,
}

impl Metaspace {
    /// Makes the step.
    pub(in super::super) fn new(replacement: char, scheme: PrependScheme, split: bool) -> Self {
        let replacement: Box<str> = replacement.to_string().into();
        let finder = Finder::new(replacement.as_bytes()).into_owned();
        Self { replacement, finder, scheme, split }
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
            self.write(&text[..of_first], out);
            let kept = out.len();
            self.write(&text[of_first..], out);
            self.cut(out, begin, pieces);
            kept
        })
    }

    /// Appends a text with each space written as the mark.
    fn write(&self, text: &str, out: &mut String) {
        let mut done = 0;
        for space in memchr::memchr_iter(b' ', text.as_bytes()) {
            out.push_str(&text[done..space]);
            out.push_str(&self.replacement);
            done = space + 1;
        }
        out.push_str(&text[done..]);
    }

    /// Adds the pieces of what was written from `begin` on.
    fn cut(&self, out: &str, begin: usize, pieces: &mut Vec<Piece>) {
        let mut start = begin;
        if self.split {
            for place in self.finder.find_iter(&out.as_bytes()[begin..]) {
                let place = begin + place;
                if place > start {
                    pieces.push(Piece::new(start, place));
                }
                start = place;
            }
        }
        if start < out.len() {
            pieces.push(Piece::new(start, out.len()));
        }
    }
}
