//! The engine's main path: windows of text to cuts, cuts to units, units to ids.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use ratdata_schemas::TokenId;

use super::bpe::definition;
use super::bpe::merger::Merger;
use super::bpe::vocabulary::Bpe;
use super::cache::SharedTables;
use super::cache::batch::{Batch, UnitRange};
use super::cache::frequent_units::FrequentUnits;
use super::cache::long_units::LongUnits;
use super::cache::shared_long_units::{LONGEST_LONG, LongHash};
use super::cache::shared_units::{UnitIds, VALUE_IDS, Value};
use super::cache::unit_key::{LONGEST, UnitKey};
use super::compiled::{Compiled, Prefix, Reading};
use super::counter::Counter;
use super::id_width::IdWidth;
use super::pre_tokenizer::cutter::{CutState, Cuts, Cutter, Window};
use super::runs::RunTokens;
use super::simd::{BATCH, Level};

/// A compiled vocabulary and the cache of units, shared by all workers.
#[derive(Debug)]
pub(crate) struct Engine {
    bpe: Bpe,
    cutter: Cutter,
    prefix: Prefix,
    runs: RunTokens,
    level: Level,
    /// Built on first encode, so that users who only decode do not pay for it.
    shared: LazyLock<SharedTables>,
    /// Units that were merged and that the shared caches have no place for.
    long_units: Counter,
}

impl Engine {
    /// Makes the tables of a tokenizer, to be used with the instructions of a level.
    pub(crate) fn new(compiled: Compiled, level: Level) -> Self {
        let Compiled { bpe, reading } = compiled;
        let (cutter, prefix, runs) = match reading {
            Reading::Spaces { prefix, joins, runs } => (Cutter::Joins(joins), prefix, runs),
            Reading::ByteLevel { pattern, .. } => {
                (Cutter::Pattern(pattern), Prefix::Never, RunTokens::default())
            }
        };
        let shared = LazyLock::new(SharedTables::new as fn() -> _);
        Self { bpe, cutter, prefix, runs, level, shared, long_units: Counter::default() }
    }

    /// Returns the ids of a piece of text by the definition; the engine's slow twin.
    pub(crate) fn encode_plainly(&self, piece: &str, at_start: bool) -> Vec<TokenId> {
        match &self.cutter {
            Cutter::Joins(_) => self.by_stretches(piece, at_start, |stretch, ids| {
                ids.extend(definition::encode(&self.bpe, stretch));
            }),
            Cutter::Pattern(_) => {
                let mut cuts = Cuts::default();
                let mut state = CutState::new(false);
                let mut start = 0;
                let mut ids = Vec::new();
                for window in Window::all(piece) {
                    self.cutter.cuts(Level::Plain, &mut state, window, &mut cuts);
                    for &end in cuts.ends() {
                        let end = end as usize;
                        ids.extend(definition::encode(&self.bpe, &piece[start..end]));
                        start = end;
                    }
                }
                ids
            }
        }
    }

    /// Returns the ids of a piece of text by one heap over all of it: exact, without cuts.
    pub(crate) fn encode_uncut(&self, piece: &str, at_start: bool) -> Vec<TokenId> {
        self.by_stretches(piece, at_start, |stretch, ids| {
            Merger::default().heap(&self.bpe, stretch, ids);
        })
    }

    /// Returns the ids of a piece of text, of which `encode` appends those of what is no run of an added token.
    fn by_stretches(
        &self,
        piece: &str,
        at_start: bool,
        encode: impl Fn(&str, &mut Vec<TokenId>),
    ) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for stretch in self.runs.stretches(&self.prefixed(piece, at_start)) {
            if self.runs.begin(stretch) {
                self.runs.encode(stretch, &mut ids);
            } else {
                encode(stretch, &mut ids);
            }
        }
        ids
    }

    /// Returns the piece of text with the `▁`, as a space, that is put before it.
    fn prefixed<'a>(&self, piece: &'a str, at_start: bool) -> Cow<'a, str> {
        if self.is_prefixed(piece, at_start) {
            Cow::Owned(format!(" {piece}"))
        } else {
            Cow::Borrowed(piece)
        }
    }

    /// Returns whether a `▁` is put before this piece of text.
    pub(crate) fn is_prefixed(&self, piece: &str, at_start: bool) -> bool {
        let spaced = piece.starts_with([' ', '▁']);
        !piece.is_empty()
            && match self.prefix {
                Prefix::Never => false,
                Prefix::EachPiece => true,
                Prefix::EachUnlessSpace => !spaced,
                Prefix::FirstUnlessSpace => at_start && !spaced,
            }
    }

    /// Returns the added tokens that the engine finds itself.
    pub(crate) fn runs(&self) -> &RunTokens {
        &self.runs
    }

    /// Returns the units that were merged and that the shared caches have no place for.
    pub(crate) fn long_units(&self) -> &Counter {
        &self.long_units
    }

    /// Appends the ids of a unit that no cache has.
    fn merge<W: IdWidth>(&self, merger: &mut Merger, unit: &str, out: &mut Vec<W>) {
        if self.runs.begin(unit) {
            self.runs.encode(unit, out);
        } else {
            merger.encode(self.level, &self.bpe, unit, out);
        }
    }

    /// Returns whether a text may be cut between two characters, whatever surrounds them.
    pub(crate) fn is_cut(&self, before: char, after: char) -> bool {
        match &self.cutter {
            Cutter::Joins(joins) => !joins.joined(before, after),
            Cutter::Pattern(pattern) => pattern.is_cut(before, after),
        }
    }

    /// Returns whether pieces spell bytes, one character each.
    pub(crate) fn is_byte_level(&self) -> bool {
        matches!(self.cutter, Cutter::Pattern(_))
    }

    /// Returns how much memory the shared tables take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let cutter = match &self.cutter {
            Cutter::Joins(joins) => joins.memory(),
            Cutter::Pattern(pattern) => pattern.memory(),
        };
        self.bpe.pairs.memory() + cutter + self.shared.memory()
    }
}

/// One thread's engine: the shared tables, and the thread's own caches and buffers.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    engine: Arc<Engine>,
    own: Own,
    cuts: Cuts,
    batches: [Batch; 2],
}

impl Worker {
    /// Makes a worker.
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, own: Own::default(), cuts: Cuts::default(), batches: Default::default() }
    }

    /// Appends the ids of a piece of text between special tokens.
    pub(crate) fn encode<W: IdWidth>(&mut self, piece: &str, at_start: bool, out: &mut Vec<W>) {
        let prefixed = self.engine.is_prefixed(piece, at_start);
        self.encode_units(piece, prefixed, out);
    }

    /// Appends the ids of a piece of text whose beginning was encoded before, up to a cut.
    pub(crate) fn encode_continuation<W: IdWidth>(&mut self, piece: &str, out: &mut Vec<W>) {
        self.encode_units(piece, false, out);
    }

    fn encode_units<W: IdWidth>(&mut self, text: &str, prefixed: bool, out: &mut Vec<W>) {
        let Self { engine, own, cuts, batches } = self;
        let engine: &Engine = engine;
        let mut state = CutState::new(prefixed);
        let mut start = 0;
        let mut pending_prefix = prefixed;
        for window in Window::all(text) {
            engine.cutter.cuts(engine.level, &mut state, window, cuts);
            let mut ends = cuts.ends();
            if let (true, Some((&end, rest))) = (pending_prefix, ends.split_first()) {
                // The first unit begins with a `▁` that the text does not have.
                own.encode_one(engine, &format!(" {}", &text[..end as usize]), out);
                (start, ends, pending_prefix) = (end as usize, rest, false);
            }
            start = own.encode_all(engine, batches, UnitEnds { text, start, ends }, out);
        }
    }

    /// Returns how much memory the worker's own caches take, in bytes.
    pub(crate) fn memory() -> usize {
        FrequentUnits::memory() + LongUnits::memory()
    }
}

/// Units of a text, one after the other: where the first begins, and where each ends.
#[derive(Clone, Copy)]
struct UnitEnds<'a> {
    text: &'a str,
    start: usize,
    ends: &'a [u32],
}

/// One thread's own caches: the units it meets most, and those that the shared caches have no place for.
#[derive(Clone, Debug, Default)]
struct Own {
    frequent: FrequentUnits,
    long: LongUnits,
    merger: Merger,
    ids: Vec<TokenId>,
}

impl Own {
    /// Appends the ids of one unit.
    fn encode_one<W: IdWidth>(&mut self, engine: &Engine, unit: &str, out: &mut Vec<W>) {
        let found = engine.shared.units.get(UnitKey::of(unit.as_bytes()));
        if found.is_none() {
            self.miss(engine, unit, LongHash::of(unit.as_bytes()), out);
        } else {
            out.extend(found.ids().map(W::of));
        }
    }

    /// Appends the ids of units; returns where the unit after them begins.
    fn encode_all<W: IdWidth>(
        &mut self,
        engine: &Engine,
        [this, next]: &mut [Batch; 2],
        units: UnitEnds<'_>,
        out: &mut Vec<W>,
    ) -> usize {
        let UnitEnds { text, mut start, ends } = units;
        let last = ends.last().map_or(start, |&end| end as usize);
        let has_zeros = memchr::memchr(0, &text.as_bytes()[start..last]).is_some();
        let shared: &SharedTables = &engine.shared;
        let (mut this, mut next) = (this, next);
        let mut ids = [W::default(); BATCH * LONGEST];
        let (mut begun, mut waiting): (usize, Option<&[u32]>) = (start, None);
        // One batch ahead: what the next one needs from far memory is fetched while this one is written.
        for ends in ends.chunks(BATCH).map(Some).chain([None]) {
            if let Some(ends) = ends {
                let units = UnitRange { text: text.as_bytes(), start: begun, ends, has_zeros };
                begun = next.begin(engine.level, &self.frequent, shared, units);
            }
            if let Some(ends) = waiting {
                this.finish(&mut self.frequent, &self.long, shared);
                let mut len = 0;
                for (at, (&end, UnitIds { first, second })) in
                    ends.iter().zip(this.found()).enumerate()
                {
                    if let Some(record) = first.record() {
                        let ids = &mut ids[len..];
                        let places = ids.iter_mut().zip(shared.long.ids(record));
                        len += places.map(|(place, id)| *place = W::of(id)).count();
                    } else if first.is_none() {
                        out.extend_from_slice(&ids[..len]);
                        len = 0;
                        let unit = &text[start..end as usize];
                        self.miss(engine, unit, this.long_hash(at), out);
                    } else {
                        len += write(first, &mut ids[len..]);
                        if !second.is_none() {
                            len += write(second, &mut ids[len..]);
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

    /// Appends the ids of a unit that neither cache has found, and keeps them.
    #[cold]
    #[inline(never)]
    fn miss<W: IdWidth>(&mut self, engine: &Engine, unit: &str, hash: LongHash, out: &mut Vec<W>) {
        if unit.len() > LONGEST_LONG {
            // It is not kept, so its ids need no buffer of their own.
            engine.long_units.add(unit.len());
            engine.merge(&mut self.merger, unit, out);
            return;
        }
        let (key, bytes) = (UnitKey::of(unit.as_bytes()), unit.as_bytes());
        self.ids.clear();
        if let Some(place) = engine.shared.long.find(bytes, hash) {
            out.extend(engine.shared.long.ids(place as usize).map(W::of));
            // A batch has room for as many ids as a unit has bytes; a space without a piece has three.
            if !key.is_none() && engine.shared.long.ids(place as usize).count() <= LONGEST {
                let ids = UnitIds { first: Value::of_record(place), second: Value::default() };
                self.frequent.keep(FrequentUnits::place(key), key, ids);
            }
            return;
        }
        if let Some(ids) = self.long.get(bytes, hash) {
            self.ids.extend_from_slice(ids);
            if let Some(packed) = UnitIds::pack(key, ids) {
                self.frequent.keep(FrequentUnits::place(key), key, packed);
            }
        } else {
            engine.merge(&mut self.merger, unit, &mut self.ids);
            let kept = engine.shared.units.insert(key, &self.ids)
                || engine.shared.long.insert(bytes, hash, &self.ids);
            if !kept {
                engine.long_units.add(unit.len());
                self.long.insert(bytes, hash, &self.ids);
            }
        }
        out.extend(self.ids.iter().map(|&id| W::of(id)));
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
