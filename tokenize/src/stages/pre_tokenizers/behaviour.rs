//! What becomes of the matches that a text is split at.

use super::pieces::Piece;

/// The five behaviours of `tokenizers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Behaviour {
    /// A match is dropped.
    Removed,
    /// A match is a piece.
    Isolated,
    /// A match belongs to what stands before it, unless that is a match.
    MergedWithPrevious,
    /// A match belongs to what stands after it, unless that is a match.
    MergedWithNext,
    /// Matches next to each other are one piece.
    Contiguous,
}

/// Takes the stretches of a text, matches and others, and adds the pieces that they make.
pub(super) struct Splits<'a> {
    behaviour: Behaviour,
    base: usize,
    out: &'a mut Vec<Piece>,
    /// How many pieces there were before this text.
    begin: usize,
    /// Whether the stretch before was a match.
    after_match: bool,
    /// A match that waits for what stands after it.
    waiting: Option<(usize, usize)>,
    /// Whether a piece may be empty.
    has_empty: bool,
}

impl<'a> Splits<'a> {
    /// Begins a text whose first byte has this place.
    pub(super) fn new(behaviour: Behaviour, base: usize, out: &'a mut Vec<Piece>) -> Self {
        let begin = out.len();
        let (after_match, waiting, has_empty) = (false, None, false);
        Self { behaviour, base, out, begin, after_match, waiting, has_empty }
    }

    /// Takes the next stretch.
    #[inline]
    pub(super) fn add(&mut self, start: usize, end: usize, is_match: bool) {
        self.has_empty |= start == end;
        match self.behaviour {
            Behaviour::Removed if is_match => {}
            Behaviour::Contiguous if is_match == self.after_match => self.extend(start, end),
            Behaviour::MergedWithPrevious if is_match && !self.after_match => {
                self.extend(start, end);
            }
            Behaviour::MergedWithNext => {
                let waiting = self.waiting.take();
                if is_match {
                    self.waiting = Some((start, end));
                    if let Some((start, end)) = waiting {
                        self.push(start, end);
                    }
                } else {
                    self.push(waiting.map_or(start, |(start, _)| start), end);
                }
            }
            _ => self.push(start, end),
        }
        self.after_match = is_match;
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        self.out.push(Piece::new(self.base + start, self.base + end));
    }

    /// Adds the stretch to the piece before it, where there is one.
    fn extend(&mut self, start: usize, end: usize) {
        let new = Piece::new(self.base + start, self.base + end);
        match self.out[self.begin..].last_mut() {
            Some(last) => last.end = new.end,
            None => self.out.push(new),
        }
    }

    /// Ends the text.
    pub(super) fn finish(mut self) {
        if let Some((start, end)) = self.waiting.take() {
            self.push(start, end);
        }
        if self.has_empty {
            let mut place = 0;
            let begin = self.begin;
            self.out.retain(|piece| {
                place += 1;
                place <= begin || piece.start != piece.end
            });
        }
    }
}
