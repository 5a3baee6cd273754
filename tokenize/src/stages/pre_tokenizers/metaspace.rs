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
    /// Whether the text is written otherwise; if not, the reader of a piece does so.
    writes: bool,
}

/// A text up to this length is looked through byte by byte.
const SHORT: usize = 24;

impl Metaspace {
    /// Makes the step.
    pub(in super::super) fn new(replacement: char, scheme: PrependScheme, split: bool) -> Self {
        Self { replacement: replacement.to_string().into(), scheme, split, writes: true }
    }

    /// Returns whether the step asks which piece stands for the first character.
    pub(super) fn asks_for_first(&self) -> bool {
        self.scheme == PrependScheme::First
    }

    /// Leaves spaces as they are: the reader of a piece writes it by [`Metaspace::unit`].
    pub(super) fn leave_marks(&mut self) {
        self.writes = false;
    }

    /// Returns what a piece stands for, where marks are left out of it.
    pub(super) fn unit<'a>(&self, text: &'a str, is_marked: bool, out: &'a mut String) -> &'a str {
        if self.writes || !is_marked && memchr::memchr(b' ', text.as_bytes()).is_none() {
            return text;
        }
        out.clear();
        if is_marked {
            out.push_str(&self.replacement);
        }
        for (number, part) in text.split(' ').enumerate() {
            if number > 0 {
                out.push_str(&self.replacement);
            }
            out.push_str(part);
        }
        out
    }

    /// Returns whether a mark is put before a piece.
    fn prepends(&self, text: &str, is_first: bool) -> bool {
        let wants = match self.scheme {
            PrependScheme::Always => true,
            PrependScheme::First => is_first,
            PrependScheme::Never => false,
        };
        wants && !text.starts_with(' ') && !text.starts_with(&*self.replacement)
    }

    /// Writes and cuts the pieces.
    pub(super) fn apply(&self, text: &str, pieces: &mut Pieces) -> Result<(), Stop> {
        let mark = &*self.replacement;
        if !self.writes {
            return pieces.cut_shortened(text, |text, base, is_first, out| {
                self.cut(text, base, self.prepends(text, is_first), out)
            });
        }
        pieces.rewrite(text, |text, is_first, out, pieces, of_first| {
            let begin = out.len();
            if self.prepends(text, is_first) {
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

    /// Adds the pieces of a text as they would be without marks, and returns how many bytes marks add to it.
    fn cut(&self, text: &str, base: usize, is_marked: bool, out: &mut Vec<Piece>) -> usize {
        let mark = &*self.replacement;
        let lead = mark.as_bytes().first().copied().unwrap_or(b' ');
        let begin = out.len();
        let mut start = 0;
        let mut spaces = 0;
        let mut each = |place: usize| {
            let is_space = text.as_bytes()[place] == b' ';
            spaces += usize::from(is_space);
            if self.split && place > start && (is_space || text[place..].starts_with(mark)) {
                out.push(Piece::new(base + start, base + place));
                start = place;
            }
        };
        if text.len() <= SHORT {
            for (place, &byte) in text.as_bytes().iter().enumerate() {
                if byte == b' ' || byte == lead {
                    each(place);
                }
            }
        } else {
            memchr::memchr2_iter(b' ', lead, text.as_bytes()).for_each(each);
        }
        if start < text.len() {
            out.push(Piece::new(base + start, base + text.len()));
        }
        if let Some(first) = out.get_mut(begin) {
            first.is_marked = is_marked;
        }
        spaces * (mark.len() - 1) + usize::from(is_marked) * mark.len()
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
