//! SentencePiece's Unigram: the pieces of a text whose scores add up to the most.
//!
//! SentencePiece keeps sums as numbers of 32 bits, and adds scores from the beginning of the text; sums that get
//! large are made small again together. So what it rounds off depends on all that is in front, a text cannot be cut,
//! and each sum here is rounded as in its version 0.2.3. Of two ways with the same sum the one found first stays,
//! which is the one whose last piece begins first.

use std::sync::Arc;

use ratdata_schemas::TokenId;
use rustc_hash::FxHashMap;

use super::model::{PieceKind, ScoredPiece, SentencePieceModel};
use super::normalizer::Normalizer;
use crate::bounds::Bound;
use crate::engine::id_width::IdWidth;
use crate::stages::Trie;
use crate::stages::piece_link::{LONGEST_LINKED, MOST_LINKED, link, to_link, utf8_len};

/// What an unknown character is worth less than the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;

/// A sum that is further from zero than this becomes zero, and those after it are as much nearer to zero.
const LARGE: f32 = 100_000.0;

/// A model made ready.
#[derive(Debug)]
pub(crate) struct Unigram {
    normalizer: Normalizer,
    trie: Trie,
    /// By id. A user-defined piece is worth more than any piece with a score below zero.
    scores: Vec<f32>,
    unknown: TokenId,
    unknown_score: f32,
    /// The piece of each byte, where the model falls back to bytes.
    bytes: Option<Box<[TokenId; 256]>>,
    /// One less than a power of two: how far back sums are looked up.
    window: usize,
    /// The pieces that a text may be made of, for the slow twin.
    pieces: FxHashMap<Box<[u8]>, TokenId>,
    longest: usize,
}

impl Unigram {
    /// Makes a model, or says what in it is not covered.
    pub(crate) fn new(model: &SentencePieceModel) -> Result<Self, String> {
        if model.pieces.len() > MOST_LINKED {
            return Err(format!("it has more than {MOST_LINKED} pieces"));
        }
        let normal = model.pieces.iter().filter(|piece| piece.kind == PieceKind::Normal);
        let least = normal.fold(f32::MAX, |least, piece| least.min(piece.score));
        let mut pieces = FxHashMap::default();
        let mut unknown = None;
        for (piece, id) in model.pieces.iter().zip(0..) {
            let twice = || format!("its piece `{}` comes twice", piece.text);
            match piece.kind {
                PieceKind::Normal | PieceKind::UserDefined | PieceKind::Unused => {
                    if piece.text.is_empty() || piece.text.len() > LONGEST_LINKED {
                        return Err(format!(
                            "its piece {id} is empty, or has more than {LONGEST_LINKED} bytes"
                        ));
                    }
                    if pieces.insert(piece.text.as_bytes().into(), id).is_some() {
                        return Err(twice());
                    }
                }
                PieceKind::Unknown => {
                    if unknown.replace(id).is_some() {
                        return Err("it has two unknown pieces".into());
                    }
                }
                PieceKind::Control => {}
                PieceKind::Byte if model.byte_fallback => {}
                PieceKind::Byte => {
                    return Err(format!(
                        "it has the piece `{}` and does not fall back to bytes",
                        piece.text
                    ));
                }
            }
        }
        // These are in the way of no other piece, and are never taken.
        pieces.retain(|_, id: &mut TokenId| model.pieces[*id as usize].kind != PieceKind::Unused);
        let bytes = model.byte_ids();
        if model.byte_fallback && bytes.is_none() {
            return Err("it falls back to bytes, and some byte has no piece".into());
        }
        let in_text =
            model.pieces.iter().zip(0..).filter(|(piece, _)| {
                matches!(piece.kind, PieceKind::Normal | PieceKind::UserDefined)
            });
        let longest = in_text.clone().map(|(piece, _)| piece.text.len()).max().unwrap_or(0);
        let trie = Trie::new(in_text.map(|(piece, id)| (piece.text.as_str(), id)))
            .ok_or("its pieces have too many beginnings")?;
        let score = |piece: &ScoredPiece| match piece.kind {
            PieceKind::UserDefined => bonus(piece.text.len()),
            _ => piece.score,
        };
        Ok(Self {
            normalizer: Normalizer::new(model)?,
            trie,
            scores: model.pieces.iter().map(score).collect(),
            unknown: unknown.ok_or("it has no unknown piece")?,
            unknown_score: least - UNKNOWN_PENALTY,
            bytes: bytes.filter(|_| model.byte_fallback),
            window: (longest.max(4) + 1).next_power_of_two() - 1,
            pieces,
            longest,
        })
    }

    /// For each place where a piece may end, finds the best one, as its length and id.
    fn find_links(&self, text: &[u8], links: &mut Vec<u32>, sums: &mut Vec<f32>) {
        links.clear();
        links.resize(text.len() + 1, 0);
        sums.resize(self.window + 1, 0.0);
        sums[0] = 0.0;
        let mut start = 0;
        while let Some(&lead) = text.get(start) {
            let here = self.near_zero(start, links, sums);
            let char_len = utf8_len(lead).min(text.len() - start);
            let mut is_known = false;
            let mut node = self.trie.root();
            for (&byte, len) in text[start..].iter().zip(1..) {
                let Some(next) = self.trie.step(node, byte) else { break };
                node = next;
                if let Some(id) = node.id() {
                    let end = start + len;
                    let best = &mut sums[end & self.window];
                    let sum = self.scores[id as usize] + here;
                    if links[end] == 0 || sum > *best {
                        *best = sum;
                        links[end] = to_link(len, id);
                    }
                    is_known |= len == char_len;
                }
            }
            if !is_known {
                let end = start + char_len;
                let best = &mut sums[end & self.window];
                let sum = self.unknown_score + here;
                if links[end] == 0 || sum > *best {
                    *best = sum;
                    links[end] = to_link(char_len, self.unknown);
                }
            }
            start += char_len;
        }
    }

    /// Returns the sum at a place, which is made small together with those after it where it is large.
    #[inline]
    fn near_zero(&self, at: usize, links: &[u32], sums: &mut [f32]) -> f32 {
        let here = sums[at & self.window];
        if here.abs() <= LARGE {
            return here;
        }
        for (place, link) in (at..).zip(&links[at..]).take(self.longest.max(4) + 1) {
            if *link != 0 {
                sums[place & self.window] -= here;
            }
        }
        sums[at & self.window]
    }

    /// Calls `each` for the pieces of the best way: its end, its length and its id, from the last to the first.
    fn backwards(links: &[u32], mut each: impl FnMut(usize, usize, TokenId)) {
        let mut end = links.len() - 1;
        while end > 0 {
            let (len, id) = link(links[end]);
            each(end, len, id);
            end -= len;
        }
    }

    /// Returns the ids of a text without special tokens by the definition; the slow twin.
    ///
    /// # Errors
    ///
    /// The text gets too long.
    pub(crate) fn encode_plainly(&self, text: &str) -> Result<Vec<TokenId>, Bound> {
        let mut normalized = String::new();
        self.normalizer.write(text, &mut normalized)?;
        let bytes = normalized.as_bytes();
        // The sum of the best way to each place, and the place and the piece before it.
        let mut best: Vec<Option<(f32, usize, TokenId)>> = vec![None; bytes.len() + 1];
        for (start, character) in normalized.char_indices() {
            let mut here = best[start].map_or(0.0, |(sum, ..)| sum);
            if here.abs() > LARGE {
                best[start..].iter_mut().flatten().for_each(|(sum, ..)| *sum -= here);
                here = 0.0;
            }
            let mut is_known = false;
            for end in start + 1..=bytes.len().min(start + self.longest) {
                let Some(&id) = self.pieces.get(&bytes[start..end]) else { continue };
                is_known |= end == start + character.len_utf8();
                let sum = self.scores[id as usize] + here;
                if best[end].is_none_or(|(other, ..)| sum > other) {
                    best[end] = Some((sum, start, id));
                }
            }
            let (end, sum) = (start + character.len_utf8(), self.unknown_score + here);
            if !is_known && best[end].is_none_or(|(other, ..)| sum > other) {
                best[end] = Some((sum, start, self.unknown));
            }
        }
        let (mut end, mut found) = (bytes.len(), Vec::new());
        while let Some((_, start, id)) = best[end] {
            found.push((start, end, id));
            end = start;
        }
        let mut ids: Vec<TokenId> = Vec::new();
        let mut after_unknown = false;
        for (start, end, id) in found.into_iter().rev() {
            let is_unknown = id == self.unknown;
            match &self.bytes {
                Some(of_byte) if is_unknown => {
                    ids.extend(bytes[start..end].iter().map(|byte| of_byte[usize::from(*byte)]));
                }
                _ if is_unknown && after_unknown => {}
                _ => ids.push(id),
            }
            after_unknown = is_unknown;
        }
        Ok(ids)
    }

    /// Returns how much memory the tables take that all workers share, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let pieces: usize = self.pieces.keys().map(|piece| piece.len()).sum();
        self.normalizer.memory()
            + self.trie.memory()
            + self.scores.len() * size_of::<f32>()
            + pieces
            + self.pieces.capacity() * size_of::<(Box<[u8]>, TokenId)>()
    }
}

/// One thread's part: the shared tables, and what the thread works in.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    unigram: Arc<Unigram>,
    normalized: String,
    links: Vec<u32>,
    sums: Vec<f32>,
    ids: Vec<TokenId>,
}

impl Worker {
    /// Makes a worker.
    pub(crate) fn new(unigram: Arc<Unigram>) -> Self {
        let (links, sums, ids) = (Vec::new(), Vec::new(), Vec::new());
        Self { unigram, normalized: String::new(), links, sums, ids }
    }

    /// Appends the ids of a text without special tokens.
    ///
    /// # Errors
    ///
    /// The text gets too long.
    pub(crate) fn encode<W: IdWidth>(&mut self, text: &str, out: &mut Vec<W>) -> Result<(), Bound> {
        let Self { unigram, normalized, links, sums, ids } = self;
        unigram.normalizer.write(text, normalized)?;
        unigram.find_links(normalized.as_bytes(), links, sums);
        ids.clear();
        Unigram::backwards(links, |end, len, id| {
            if id != unigram.unknown {
                ids.push(id);
                return;
            }
            match &unigram.bytes {
                Some(of_byte) => {
                    let bytes = normalized.as_bytes()[end - len..end].iter().rev();
                    ids.extend(bytes.map(|byte| of_byte[usize::from(*byte)]));
                }
                // Unknown pieces next to each other are one.
                None if ids.last() == Some(&id) => {}
                None => ids.push(id),
            }
        });
        out.extend(ids.iter().rev().map(|&id| W::of(id)));
        Ok(())
    }
}

/// Returns what a user-defined piece of so many bytes is worth.
#[expect(clippy::cast_precision_loss, reason = "a piece has few bytes")]
#[expect(clippy::cast_possible_truncation, reason = "scores have this width")]
fn bonus(bytes: usize) -> f32 {
    (bytes as f64 * 0.1 - 0.1) as f32
}
