//! The pieces of a text, as ranges of one buffer.

use crate::bounds::boundary::grow;

use super::super::stop::Stop;

/// What bounds call this part of a tokenizer.
pub(in super::super) const PART: &str = "pre-tokenizer";

/// A piece of a text, by the places of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Piece {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether a mark is to be put before it, where marks are left to the reader of the piece.
    pub(in super::super) is_marked: bool,
}

impl Piece {
    /// Makes a piece of places that [`Pieces::begin`] has bounded.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(start), end: place(end), is_marked: false }
    }

    /// Returns the piece as a range.
    #[inline]
    pub(in super::super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The pieces of a text, and the buffers that it is rewritten in.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Pieces {
    ranges: Vec<Piece>,
    next: Vec<Piece>,
    text: String,
    next_text: String,
    is_rewritten: bool,
    /// How many bytes of the text stand for the first character of the document, where a step asks.
    first: Option<usize>,
}

impl Pieces {
    /// Begins with a text as one piece.
    pub(super) fn begin(&mut self, text: &str, first: Option<usize>) {
        self.is_rewritten = false;
        self.first = first;
        self.ranges.clear();
        if !text.is_empty() {
            self.ranges.push(Piece::new(0, text.len()));
        }
    }

    /// Replaces each piece by those that `cut` adds for its text, as places in that text.
    pub(super) fn cut(
        &mut self,
        text: &str,
        mut cut: impl FnMut(&str, usize, &mut Vec<Piece>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let text = if self.is_rewritten { &self.text } else { text };
        self.next.clear();
        for piece in &self.ranges {
            cut(&text[piece.range()], piece.start as usize, &mut self.next)?;
        }
        std::mem::swap(&mut self.ranges, &mut self.next);
        Ok(())
    }

    /// Writes the text of each piece otherwise, one after the other. `write` gets whether the piece stands
    /// for the first character of the document, and adds pieces.
    ///
    /// # Errors
    ///
    /// The text gets too long.
    pub(super) fn rewrite(
        &mut self,
        text: &str,
        mut write: impl FnMut(&str, bool, &mut String, &mut Vec<Piece>, usize) -> usize,
    ) -> Result<(), Stop> {
        let old = if self.is_rewritten { &self.text } else { text };
        self.next.clear();
        self.next_text.clear();
        self.next_text.reserve(old.len());
        let (mut new_first, mut before) = (0, 0);
        for piece in &self.ranges {
            let range = piece.range();
            before += range.len();
            let first = self.first.unwrap_or(0);
            let is_first = range.start < first;
            let of_first = first.saturating_sub(range.start).min(range.len());
            let kept = write(&old[range], is_first, &mut self.next_text, &mut self.next, of_first);
            if is_first {
                new_first = kept;
            }
        }
        self.first = self.first.map(|_| new_first);
        grow(PART, self.next_text.len().saturating_sub(before))?;
        if u32::try_from(self.next_text.len()).is_err() {
            return Err(Stop::Oracle);
        }
        std::mem::swap(&mut self.text, &mut self.next_text);
        std::mem::swap(&mut self.ranges, &mut self.next);
        self.is_rewritten = true;
        Ok(())
    }

    /// Replaces each piece by those that `cut` adds for its text, where they stand for more than that text.
    /// `cut` gets whether the piece stands for the first character of the document, and returns by how many bytes.
    ///
    /// # Errors
    ///
    /// The text gets too long.
    pub(super) fn cut_shortened(
        &mut self,
        text: &str,
        mut cut: impl FnMut(&str, usize, bool, &mut Vec<Piece>) -> usize,
    ) -> Result<(), Stop> {
        let text = if self.is_rewritten { &self.text } else { text };
        self.next.clear();
        let first = self.first.unwrap_or(0);
        let mut added = 0;
        for piece in &self.ranges {
            let start = piece.start as usize;
            added += cut(&text[piece.range()], start, start < first, &mut self.next);
        }
        grow(PART, added)?;
        if u32::try_from(text.len() + added).is_err() {
            return Err(Stop::Oracle);
        }
        std::mem::swap(&mut self.ranges, &mut self.next);
        Ok(())
    }

    /// Returns the pieces of the text that they began with, and the text that they are places of.
    pub(super) fn of<'a>(&'a self, text: &'a str) -> (&'a str, &'a [Piece]) {
        (if self.is_rewritten { &self.text } else { text }, &self.ranges)
    }
}
