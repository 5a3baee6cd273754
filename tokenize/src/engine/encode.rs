//! The engine's main path: windows of text to cuts, cuts to units, units to ids.

use std::sync::{Arc, LazyLock};

use ratdata_schemas::TokenId;

use super::batch::Batch;
use super::bpe::Bpe;
use super::classes;
use super::compiled::{Compiled, Prefix, Reading};
use super::cuts::{CutState, Cuts, Cutter, WINDOW};
use super::hot::HotUnits;
use super::key::Key;
use super::long::LongCache;
use super::merge::{MAX_UNIT, Merger};
use super::plain;
use super::scan::{BATCH, Level};
use super::table::{UnitTable, VALUE_IDS, Value};
use super::width::IdWidth;

/// A vocabulary made ready, and what all workers know of units: shared by them.
#[derive(Debug)]
pub(crate) struct Engine {
    bpe: Bpe,
    cutter: Cutter,
    prefix: Prefix,
    level: Level,
    /// Made when the first text is encoded: who decodes only does without.
    known: LazyLock<UnitTable>,
}

impl Engine {
    /// Makes the tables of a tokenizer.
    pub(crate) fn new(compiled: Compiled) -> Self {
        let Compiled { bpe, reading } = compiled;
        let (cutter, prefix) = match reading {
            Reading::Spaces { prefix, joins } => (Cutter::Joins(joins), prefix),
            Reading::ByteLevel { pattern, .. } => (Cutter::Pattern(pattern), Prefix::Never),
        };
        Self { bpe, cutter, prefix, level: Level::detect(), known: LazyLock::new(UnitTable::new) }
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
                let mut cuts = Cuts::default();
                let mut state = CutState::new(false);
                let mut start = 0;
                let mut ids = Vec::new();
                for from in (0..piece.len()).step_by(WINDOW) {
                    let to = piece.len().min(from + WINDOW);
                    self.cutter.cuts(Level::Plain, &mut state, piece, from, to, &mut cuts);
                    for &end in cuts.ends() {
                        let end = end as usize;
                        ids.extend(plain::encode(&self.bpe, &piece[start..end]));
                        start = end;
                    }
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
            Cutter::Pattern(_) => classes::memory(),
        };
        self.bpe.pairs.memory() + joins + self.known.memory()
    }
}

/// One thread's engine: the shared tables, and what the thread keeps for itself.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    engine: Arc<Engine>,
    units: Units,
}

impl Worker {
    /// Makes a worker.
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, units: Units::default() }
    }

    /// Appends the ids of a piece of text between special tokens.
    pub(crate) fn encode<W: IdWidth>(&mut self, piece: &str, at_start: bool, out: &mut Vec<W>) {
        let prefixed = self.engine.is_prefixed(piece, at_start);
        self.units.encode(&self.engine, piece, prefixed, out);
    }

    /// Appends the ids of a piece of text whose beginning was encoded before, up to a cut.
    pub(crate) fn encode_continuation<W: IdWidth>(&mut self, piece: &str, out: &mut Vec<W>) {
        self.units.encode(&self.engine, piece, false, out);
    }

    /// Returns how much memory the worker's own caches take, in bytes.
    pub(crate) fn memory() -> usize {
        HotUnits::memory() + LongCache::memory()
    }
}

/// What one thread keeps: what it knows of units, and buffers.
#[derive(Clone, Debug, Default)]
struct Units {
    own: Own,
    cuts: Cuts,
    batches: [Batch; 2],
}

impl Units {
    fn encode<W: IdWidth>(
        &mut self,
        engine: &Engine,
        text: &str,
        prefixed: bool,
        out: &mut Vec<W>,
    ) {
        let mut state = CutState::new(prefixed);
        let mut start = 0;
        let mut pending_prefix = prefixed;
        for from in (0..text.len()).step_by(WINDOW) {
            let to = text.len().min(from + WINDOW);
            engine.cutter.cuts(engine.level, &mut state, text, from, to, &mut self.cuts);
            let mut ends = self.cuts.ends();
            if let (true, Some((&end, rest))) = (pending_prefix, ends.split_first()) {
                // The first unit has a `▁` that the text has not.
                self.own.encode_one(engine, &format!(" {}", &text[..end as usize]), out);
                (start, ends, pending_prefix) = (end as usize, rest, false);
            }
            start = self.own.encode_all(engine, &mut self.batches, (text, start, ends), out);
        }
    }
}

/// What one thread knows of units: those it meets most, and those that the shared table has no
/// place for.
#[derive(Clone, Debug, Default)]
struct Own {
    hot: HotUnits,
    long: LongCache,
    merger: Merger,
    ids: Vec<TokenId>,
}

impl Own {
    /// Appends the ids of one unit.
    fn encode_one<W: IdWidth>(&mut self, engine: &Engine, unit: &str, out: &mut Vec<W>) {
        let (one, more) = engine.known.get(Key::of(unit.as_bytes()));
        if one.is_none() {
            self.miss(engine, unit, out);
        } else {
            let ids = |value: Value| value.ids().into_iter().take(value.count());
            out.extend(ids(one).chain(ids(more)).map(W::of));
        }
    }

    /// Appends the ids of the units that end at `ends`, the first beginning at `start`; returns
    /// where the unit after them begins.
    fn encode_all<W: IdWidth>(
        &mut self,
        engine: &Engine,
        [this, next]: &mut [Batch; 2],
        (text, mut start, ends): (&str, usize, &[u32]),
        out: &mut Vec<W>,
    ) -> usize {
        let last = ends.last().map_or(start, |&end| end as usize);
        let zeros = memchr::memchr(0, &text.as_bytes()[start..last]).is_some();
        let known: &UnitTable = &engine.known;
        let (mut this, mut next) = (this, next);
        let mut ids = [W::default(); BATCH * 2 * VALUE_IDS];
        let (mut begun, mut waiting): (usize, Option<&[u32]>) = (start, None);
        // One batch ahead: what it needs from far away is fetched while the one before is written.
        for ends in ends.chunks(BATCH).map(Some).chain([None]) {
            if let Some(ends) = ends {
                let caches = (&self.hot, known);
                begun = next.begin(engine.level, caches, (text.as_bytes(), begun, ends), zeros);
            }
            if let Some(ends) = waiting {
                this.finish(&mut self.hot, known);
                let mut len = 0;
                for (&end, (one, more)) in ends.iter().zip(this.found()) {
                    if one.is_none() {
                        out.extend_from_slice(&ids[..len]);
                        len = 0;
                        self.miss(engine, &text[start..end as usize], out);
                    } else {
                        len += write(one, &mut ids[len..]);
                        if !more.is_none() {
                            len += write(more, &mut ids[len..]);
                        }
                    }
                    start = end as usize;
                }
                out.extend_from_slice(&ids[..len]);
            }
            std::mem::swap(&mut this, &mut next);
            waiting = ends;
        }
        start
    }

    /// Appends the ids of a unit that was not found among the known ones, and remembers it.
    #[cold]
    #[inline(never)]
    fn miss<W: IdWidth>(&mut self, engine: &Engine, unit: &str, out: &mut Vec<W>) {
        let ids = if let Some(ids) = self.long.get(unit.as_bytes()) {
            let key = Key::of(unit.as_bytes());
            if let Some(values) = Value::pair(key, ids) {
                self.hot.keep(HotUnits::place(key), key, values);
            }
            ids
        } else {
            self.ids.clear();
            self.merger.encode(&engine.bpe, unit, &mut self.ids);
            if !engine.known.insert(Key::of(unit.as_bytes()), &self.ids) {
                self.long.insert(unit.as_bytes(), &self.ids);
            }
            &self.ids
        };
        out.extend(ids.iter().map(|&id| W::of(id)));
    }
}

/// Writes the ids of a value and returns how many there are.
#[inline]
fn write<W: IdWidth>(value: Value, out: &mut [W]) -> usize {
    for (target, id) in out[..VALUE_IDS].iter_mut().zip(value.ids()) {
        *target = W::of(id);
    }
    value.count()
}

/// The longest piece of text that the engine takes; see [`MAX_UNIT`].
pub(crate) const MAX_TEXT: usize = MAX_UNIT;
