//! The engine's main path: windows of text to cuts, cuts to units, units to ids.

use std::sync::Arc;

use ratdata_schemas::TokenId;

use super::bpe::Bpe;
use super::cache::{Key, LongCache, SHORT, ShortCache, Stored};
use super::compiled::{Compiled, Prefix, Reading};
use super::cuts::{CutState, Cutter};
use super::merge::{MAX_UNIT, Merger};
use super::plain;
use super::scan::Level;
use super::width::IdWidth;

/// How much text is cut at a time: the cuts then stay in the nearest cache.
const WINDOW: usize = 8192;

/// How many units are looked up together, so that their cache lines arrive together.
const BATCH: usize = 64;

/// Lines of 64 bytes in a worker's short cache: 4 MB.
const CACHE_BITS: u32 = 18;

/// A vocabulary made ready: what all workers share.
#[derive(Debug)]
pub(crate) struct Engine {
    bpe: Bpe,
    cutter: Cutter,
    prefix: Prefix,
    level: Level,
    warm: Warm,
}

/// The caches that a new worker begins with: the vocabulary's own pieces.
#[derive(Debug)]
enum Warm {
    Narrow(ShortCache<u16>),
    Wide(ShortCache<u32>),
}

impl Engine {
    /// Makes the tables of a tokenizer, and a cache of the pieces it has.
    pub(crate) fn new(compiled: Compiled) -> Self {
        let Compiled { bpe, reading } = compiled;
        let (cutter, prefix) = match reading {
            Reading::Spaces { prefix, joins } => (Cutter::Joins(joins), prefix),
            Reading::ByteLevel { pattern } => (Cutter::Pattern(pattern), Prefix::Never),
        };
        let warm = if bpe.num_ids <= 1 << 16 {
            Warm::Narrow(ShortCache::new(CACHE_BITS))
        } else {
            Warm::Wide(ShortCache::new(CACHE_BITS))
        };
        Self { bpe, cutter, prefix, level: Level::detect(), warm }
    }

    /// Returns the ids of a piece of text by the definition; the engine's slow twin.
    pub(crate) fn encode_plainly(&self, piece: &str, at_start: bool) -> Vec<TokenId> {
        let prefixed = if self.is_prefixed(piece, at_start) {
            std::borrow::Cow::Owned(format!(" {piece}"))
        } else {
            std::borrow::Cow::Borrowed(piece)
        };
        match &self.cutter {
            Cutter::Joins(_) => plain::encode(&self.bpe, &prefixed),
            Cutter::Pattern(_) => {
                let mut cuts = Vec::new();
                let mut state = CutState::new(false);
                self.cutter.cuts(Level::Plain, &mut state, piece, 0, piece.len(), &mut cuts);
                cuts.push(piece.len());
                let mut start = 0;
                let mut ids = Vec::new();
                for end in cuts {
                    ids.extend(plain::encode(&self.bpe, &piece[start..end]));
                    start = end;
                }
                ids
            }
        }
    }

    /// Returns the ids of a piece of text by one heap over all of it: exact, without cuts.
    pub(crate) fn encode_uncut(&self, piece: &str, at_start: bool) -> Vec<TokenId> {
        let mut ids = Vec::new();
        let mut merger = Merger::default();
        if self.is_prefixed(piece, at_start) {
            merger.heap(&self.bpe, &format!(" {piece}"), &mut ids);
        } else {
            merger.heap(&self.bpe, piece, &mut ids);
        }
        ids
    }

    /// Returns whether a `▁` is put before this piece of text.
    fn is_prefixed(&self, piece: &str, at_start: bool) -> bool {
        let spaced = piece.starts_with([' ', '▁']);
        !piece.is_empty()
            && match self.prefix {
                Prefix::Never => false,
                Prefix::EachPiece => true,
                Prefix::EachUnlessSpace => !spaced,
                Prefix::FirstUnlessSpace => at_start && !spaced,
            }
    }

    /// Returns whether a text may be cut between two characters, whatever stands around them.
    ///
    /// Every byte-level pattern ends a run of letters before punctuation other than an apostrophe,
    /// and neither side of that place is matched by what lies beyond it. Elsewhere a pattern looks
    /// further than two characters, so nothing is promised.
    pub(crate) fn is_cut(&self, before: char, after: char) -> bool {
        match &self.cutter {
            Cutter::Joins(joins) => !joins.joined(before, after),
            Cutter::Pattern(_) => {
                before.is_ascii_alphabetic() && matches!(after, ':' | '.' | ',' | ';' | '?' | '!')
            }
        }
    }

    /// Returns whether pieces spell bytes, one character each.
    pub(crate) fn is_byte_level(&self) -> bool {
        matches!(self.cutter, Cutter::Pattern(_))
    }

    /// Returns how much memory the shared tables take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let joins = match &self.cutter {
            Cutter::Joins(joins) => joins.memory(),
            Cutter::Pattern(_) => 0x11_0000,
        };
        let warm = match &self.warm {
            Warm::Narrow(cache) => cache.memory(),
            Warm::Wide(cache) => cache.memory(),
        };
        self.bpe.pairs.memory() + joins + warm
    }
}

/// One thread's engine: the shared tables and a cache of its own.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    engine: Arc<Engine>,
    lookup: Lookup,
}

#[derive(Clone, Debug)]
enum Lookup {
    Narrow(Units<u16>),
    Wide(Units<u32>),
}

impl Worker {
    /// Makes a worker with the warm cache.
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let lookup = match &engine.warm {
            Warm::Narrow(cache) => Lookup::Narrow(Units::new(cache.clone())),
            Warm::Wide(cache) => Lookup::Wide(Units::new(cache.clone())),
        };
        Self { engine, lookup }
    }

    /// Appends the ids of a piece of text between special tokens.
    pub(crate) fn encode<W: IdWidth>(&mut self, piece: &str, at_start: bool, out: &mut Vec<W>) {
        let prefixed = self.engine.is_prefixed(piece, at_start);
        match &mut self.lookup {
            Lookup::Narrow(units) => units.encode(&self.engine, piece, prefixed, out),
            Lookup::Wide(units) => units.encode(&self.engine, piece, prefixed, out),
        }
    }

    /// Appends the ids of a piece of text whose beginning was encoded before, up to a cut.
    pub(crate) fn encode_continuation<W: IdWidth>(&mut self, piece: &str, out: &mut Vec<W>) {
        match &mut self.lookup {
            Lookup::Narrow(units) => units.encode(&self.engine, piece, false, out),
            Lookup::Wide(units) => units.encode(&self.engine, piece, false, out),
        }
    }

    /// Returns how much memory the worker's own caches take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let short = match &self.lookup {
            Lookup::Narrow(units) => units.short.memory(),
            Lookup::Wide(units) => units.short.memory(),
        };
        short + LongCache::memory()
    }
}

/// The caches of one thread and the buffers it works in.
#[derive(Debug)]
struct Units<I: Stored> {
    short: ShortCache<I>,
    long: LongCache,
    merger: Merger,
    cuts: Vec<usize>,
    ids: Vec<TokenId>,
}

impl<I: Stored> Clone for Units<I> {
    fn clone(&self) -> Self {
        Self { long: self.long.clone(), ..Self::new(self.short.clone()) }
    }
}

impl<I: Stored> Units<I> {
    fn new(short: ShortCache<I>) -> Self {
        Self {
            short,
            long: LongCache::new(),
            merger: Merger::default(),
            cuts: Vec::new(),
            ids: Vec::new(),
        }
    }

    fn encode<W: IdWidth>(
        &mut self,
        engine: &Engine,
        text: &str,
        prefixed: bool,
        out: &mut Vec<W>,
    ) {
        let mut state = CutState::new(prefixed);
        let mut cuts = std::mem::take(&mut self.cuts);
        let mut start = 0;
        let mut pending_prefix = prefixed;
        for from in (0..text.len()).step_by(WINDOW) {
            let to = text.len().min(from + WINDOW);
            cuts.clear();
            engine.cutter.cuts(engine.level, &mut state, text, from, to, &mut cuts);
            if to == text.len() {
                cuts.push(to);
            }
            let mut ends = &cuts[..];
            if let (true, Some((&end, rest))) = (pending_prefix, ends.split_first()) {
                // The first unit has a `▁` that the text has not.
                let first = format!(" {}", &text[..end]);
                self.look_up_one(engine, &first, out);
                (start, ends, pending_prefix) = (end, rest, false);
            }
            start = self.look_up(engine, text, start, ends, out);
        }
        self.cuts = cuts;
    }

    /// Appends the ids of the units that end at `ends`, the first beginning at `start`; returns
    /// where the unit after them begins.
    fn look_up<W: IdWidth>(
        &mut self,
        engine: &Engine,
        text: &str,
        mut start: usize,
        ends: &[usize],
        out: &mut Vec<W>,
    ) -> usize {
        let bytes = text.as_bytes();
        for ends in ends.chunks(BATCH) {
            let mut keys = [0; BATCH];
            let mut places = [0; BATCH];
            let first = start;
            for ((&end, key), place) in ends.iter().zip(&mut keys).zip(&mut places) {
                *key = key_of(bytes, start, end);
                *place = self.short.place(*key);
                self.short.prefetch(*place);
                start = end;
            }
            // Room for a full slot a unit, so that every slot is copied whole.
            let mut len = out.len();
            out.resize(len + (BATCH + 1) * (I::INLINE + 1), W::default());
            let mut from = first;
            for ((&end, &key), &place) in ends.iter().zip(&keys).zip(&places) {
                let entry = self.short.get(place, key);
                if entry.key == key && key != 0 {
                    let slot = entry.slot.as_ref();
                    for (target, &id) in out[len..len + I::INLINE].iter_mut().zip(slot) {
                        *target = W::of(id.id());
                    }
                    len += slot[I::INLINE].id() as usize;
                } else {
                    out.truncate(len);
                    self.miss(engine, &text[from..end], key, out);
                    len = out.len();
                    out.resize(len + (BATCH + 1) * (I::INLINE + 1), W::default());
                }
                from = end;
            }
            out.truncate(len);
        }
        start
    }

    /// Appends the ids of one unit that lies outside the text.
    fn look_up_one<W: IdWidth>(&mut self, engine: &Engine, unit: &str, out: &mut Vec<W>) {
        let key = key_of(unit.as_bytes(), 0, unit.len());
        let place = self.short.place(key);
        let entry = self.short.get(place, key);
        if entry.key == key && key != 0 {
            let (ids, count) = entry.slot.as_ref().split_at(I::INLINE);
            out.extend(ids[..count[0].id() as usize].iter().map(|id| W::of(id.id())));
        } else {
            self.miss(engine, unit, key, out);
        }
    }

    /// Merges a unit that the short cache does not know, and remembers it.
    #[cold]
    #[inline(never)]
    fn miss<W: IdWidth>(&mut self, engine: &Engine, unit: &str, key: Key, out: &mut Vec<W>) {
        if let Some(ids) = self.long.get(unit.as_bytes()) {
            out.extend(ids.iter().map(|&id| W::of(id)));
            return;
        }
        self.ids.clear();
        self.merger.encode(&engine.bpe, unit, &mut self.ids);
        if key != 0 && self.ids.len() <= I::INLINE {
            self.short.insert(self.short.place(key), key, &self.ids);
        } else {
            self.long.insert(unit.as_bytes(), &self.ids);
        }
        out.extend(self.ids.iter().map(|&id| W::of(id)));
    }
}

/// For each length, the bytes of a word that belong to the unit.
const MASKS: [Key; SHORT + 1] = {
    let mut masks = [0; SHORT + 1];
    let mut len = 1;
    while len <= SHORT {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

/// Returns the key of a unit, or zero where it is too long for one.
#[inline]
fn key_of(bytes: &[u8], start: usize, end: usize) -> Key {
    let len = end - start;
    if len > SHORT {
        return 0;
    }
    let word = if let Some(word) = bytes[start..].first_chunk::<16>() {
        Key::from_le_bytes(*word)
    } else {
        let mut word = [0; 16];
        word[..len].copy_from_slice(&bytes[start..end]);
        Key::from_le_bytes(word)
    };
    (word & MASKS[len]) | (len as Key) << 120
}

/// The longest piece of text that the engine takes; see [`MAX_UNIT`].
pub(crate) const MAX_TEXT: usize = MAX_UNIT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_units_of_zeros_apart() {
        let text = b"a\0\0bcdefghijklmnopq";

        assert_ne!(key_of(text, 0, 1), key_of(text, 0, 2));
        assert_eq!(key_of(text, 3, 5), key_of(b"bc", 0, 2));
        assert_eq!(key_of(text, 0, 16), 0);
    }
}
