//! BPE for tokenizers that the engine does not cover: the pieces of a unit by merging, as `tokenizers` merges.
//!
//! Each character, with the marks of the model at the ends of the unit, is a symbol. Pairs of symbols wait in a
//! heap by rank and place. What is merged follows `tokenizers` step by step, also where a pair has changed while
//! it waited and still becomes the same piece.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ratdata_schemas::narrow;
use rustc_hash::FxHashMap;

use crate::engine::bpe::pairs::Merge;

use super::super::byte_chars;
use super::super::stop::Stop;

/// What a file says of a BPE model in addition to its vocabulary and merges.
#[derive(Clone, Debug, Default)]
pub(crate) struct BpeOptions {
    /// What is put before each character that does not begin a unit.
    pub(crate) prefix: Option<String>,
    /// What is put after the last character of a unit.
    pub(crate) suffix: Option<String>,
    pub(crate) unknown: Option<String>,
    pub(crate) fuses_unknown: bool,
    pub(crate) byte_fallback: bool,
    /// Whether a unit that is a piece is that piece.
    pub(crate) ignores_merges: bool,
}

/// The model.
#[derive(Debug)]
pub(in super::super) struct Bpe {
    pieces: FxHashMap<Box<str>, u32>,
    /// The rank and the piece of each pair.
    merges: FxHashMap<u64, (u32, u32)>,
    options: BpeOptions,
    unknown: Option<u32>,
    /// The piece of each byte, where the model falls back to bytes.
    bytes: Option<Box<[Option<u32>; 256]>>,
    /// Whether units are bytes that have to be written as characters.
    writes_bytes: bool,
}

/// What one unit is merged in.
#[derive(Clone, Debug, Default)]
pub(super) struct Merging {
    symbols: Vec<Symbol>,
    /// Rank and place, and the piece that the pair becomes.
    waiting: BinaryHeap<Reverse<(u64, u32)>>,
    text: String,
    marked: String,
}

#[derive(Clone, Copy, Debug)]
struct Symbol {
    id: u32,
    before: u32,
    after: u32,
}

/// No symbol.
const NONE: u32 = u32::MAX;

impl Bpe {
    /// Makes a model of pieces and merges. Of two merges of the same pair, the later counts.
    pub(in super::super) fn new<'a>(
        pieces: impl Iterator<Item = (&'a str, u32)>,
        merges: &[Merge],
        options: BpeOptions,
        writes_bytes: bool,
    ) -> Self {
        let pieces: FxHashMap<Box<str>, u32> =
            pieces.map(|(piece, id)| (piece.into(), id)).collect();
        let bytes = options.byte_fallback.then(|| {
            let piece = |byte: usize| pieces.get(format!("<0x{byte:02X}>").as_str()).copied();
            Box::new(std::array::from_fn(piece))
        });
        let unknown = options.unknown.as_ref().and_then(|unknown| pieces.get(&**unknown)).copied();
        let merges =
            merges.iter().map(|merge| (pair(merge.left, merge.right), (merge.rank, merge.becomes)));
        Self { merges: merges.collect(), pieces, options, unknown, bytes, writes_bytes }
    }

    /// Appends the ids of a unit.
    pub(super) fn encode(
        &self,
        unit: &str,
        merging: &mut Merging,
        ids: &mut Vec<u32>,
    ) -> Result<(), Stop> {
        let mut text = std::mem::take(&mut merging.text);
        text.clear();
        let unit = if self.writes_bytes {
            byte_chars::write(unit, &mut text);
            &text
        } else {
            unit
        };
        let whole = self.pieces.get(unit).filter(|_| self.options.ignores_merges);
        let done = match whole {
            Some(&id) => {
                ids.push(id);
                Ok(())
            }
            None => self.merge(unit, merging, ids),
        };
        merging.text = text;
        done
    }

    fn merge(&self, unit: &str, merging: &mut Merging, ids: &mut Vec<u32>) -> Result<(), Stop> {
        self.spell(unit, merging)?;
        let Merging { symbols, waiting, .. } = merging;
        waiting.clear();
        for place in 1..symbols.len() {
            self.offer(symbols, waiting, place - 1, place);
        }
        while let Some(Reverse((key, becomes))) = waiting.pop() {
            let place: usize = narrow(key & u64::from(u32::MAX));
            let symbol = symbols[place];
            if symbol.id == NONE || symbol.after == NONE {
                continue;
            }
            let next = symbol.after as usize;
            let now = self.merges.get(&pair(symbol.id, symbols[next].id));
            if now.is_none_or(|(_, now)| *now != becomes) {
                continue;
            }
            let after = symbols[next].after;
            symbols[next].id = NONE;
            symbols[place] = Symbol { id: becomes, before: symbol.before, after };
            if after != NONE {
                symbols[after as usize].before = narrow(place);
            }
            if symbol.before != NONE {
                self.offer(symbols, waiting, symbol.before as usize, place);
            }
            if after != NONE {
                self.offer(symbols, waiting, place, after as usize);
            }
        }
        ids.extend(symbols.iter().map(|symbol| symbol.id).filter(|id| *id != NONE));
        Ok(())
    }

    /// Adds a pair of neighbours to those that wait, where it can be merged.
    #[inline]
    fn offer(
        &self,
        symbols: &[Symbol],
        waiting: &mut BinaryHeap<Reverse<(u64, u32)>>,
        left: usize,
        right: usize,
    ) {
        if let Some((rank, becomes)) = self.merges.get(&pair(symbols[left].id, symbols[right].id)) {
            waiting.push(Reverse((u64::from(*rank) << 32 | left as u64, *becomes)));
        }
    }

    /// Writes a unit as symbols.
    fn spell(&self, unit: &str, merging: &mut Merging) -> Result<(), Stop> {
        let Merging { symbols, marked, .. } = merging;
        symbols.clear();
        let mut add = |id: u32| {
            let place: u32 = narrow(symbols.len());
            if let Some(last) = symbols.last_mut() {
                last.after = place;
            }
            symbols.push(Symbol { id, before: place.checked_sub(1).unwrap_or(NONE), after: NONE });
        };
        // An unknown character waits for the next one, which it may be fused with. Bytes overtake it, as in
        // `tokenizers`.
        let mut unknown: Option<u32> = None;
        for (start, character) in unit.char_indices() {
            let end = start + character.len_utf8();
            let mut symbol = &unit[start..end];
            let prefix = self.options.prefix.as_deref().filter(|_| start > 0).unwrap_or("");
            let suffix = self.options.suffix.as_deref().filter(|_| end == unit.len()).unwrap_or("");
            if !prefix.is_empty() || !suffix.is_empty() {
                marked.clear();
                marked.extend([prefix, symbol, suffix]);
                symbol = marked;
            }
            if let Some(&id) = self.pieces.get(symbol) {
                unknown.take().into_iter().for_each(&mut add);
                add(id);
                continue;
            }
            if let Some(bytes) = &self.bytes {
                let ids = symbol.bytes().map(|byte| bytes[usize::from(byte)]);
                if ids.clone().all(|id| id.is_some()) {
                    ids.flatten().for_each(&mut add);
                    continue;
                }
            }
            if self.options.unknown.is_some() {
                if !self.options.fuses_unknown {
                    unknown.take().into_iter().for_each(&mut add);
                }
                // A vocabulary without the unknown piece has an error to tell.
                unknown = Some(unknown.or(self.unknown).ok_or(Stop::Oracle)?);
            }
        }
        unknown.into_iter().for_each(add);
        Ok(())
    }

    /// Returns how much memory the tables take, in bytes.
    pub(super) fn memory(&self) -> usize {
        let texts: usize = self.pieces.keys().map(|piece| piece.len()).sum();
        texts
            + self.pieces.capacity() * size_of::<(Box<str>, u32)>()
            + self.merges.capacity() * size_of::<(u64, (u32, u32))>()
    }
}

#[inline]
fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}
