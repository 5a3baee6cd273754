//! The patterns of GPT-4's family: the ends of their units, found by masks.
//!
//! `gpt4.rs` has the alternatives of these patterns, and follows them word for word. Each character is a letter, a
//! number, white space or something else, and a unit ends before a character unless it is
//!
//! 1. a letter after a letter, after white space other than a line end, or after a single other character that no
//!    space before it has taken (`[^\r\n\p{L}\p{N}]?\p{L}+`); with cases (o200k), a unit also ends between a lower
//!    letter and an upper one;
//! 2. an other character after an other one or a plain space (` ?[^\s\p{L}\p{N}]+[\r\n]*`);
//! 3. a number after a number, but for each third (`\p{N}{1,3}`);
//! 4. within a run of white space. Such a run has up to four units: line ends that belong to the other character
//!    before them, what remains up to the last line end, what remains, and the last character, which the next unit
//!    may begin with.
//!
//! A contraction that begins a unit ends it, too; with cases, one that follows a letter belongs to the letter's unit.
//!
//! With cases there are characters that are upper and lower at once, such as marks and Chinese characters, and a slash
//! may follow line ends (`[\r\n/]*`). A block that has one of these is left to the walk. No pattern looks behind, so masks may begin again wherever a unit begins.

use std::sync::LazyLock;

use ratdata_schemas::narrow;

use super::char_class::{self, class_of};
use super::contraction;
use super::gpt4::Rules;
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{ClassMasks, Level, class_masks};

const LOWER: u8 = 1; // every letter, where case is not looked at
const NUMBER: u8 = 2;
const WHITE: u8 = 4;
const NEWLINE: u8 = 8; // also WHITE
const SPACE: u8 = 16; // also WHITE
const OTHER: u8 = 32;
const APOSTROPHE: u8 = 64; // also OTHER
const UPPER: u8 = 128;
const LETTER: u8 = LOWER | UPPER;

/// Returns the class that these patterns give a character of this class.
#[inline]
fn class_for(cased: bool, class: u8) -> u8 {
    let of = |theirs: u8, ours: u8| if class & theirs != 0 { ours } else { 0 };
    let upper = if cased { UPPER } else { LOWER };
    of(char_class::LOWER | char_class::UNCASED, LOWER)
        | of(char_class::UPPER, upper)
        | of(char_class::NUMBER, NUMBER)
        | of(char_class::WHITE, WHITE)
        | of(char_class::OTHER, OTHER)
}

/// The classes of ASCII, for the vector form.
static ASCII: LazyLock<[u8; 128]> = LazyLock::new(|| ascii(false));

/// The same with cases.
static CASED_ASCII: LazyLock<[u8; 128]> = LazyLock::new(|| ascii(true));

fn ascii(cased: bool) -> [u8; 128] {
    std::array::from_fn(|at| {
        let byte = u8::try_from(at).unwrap_or(0);
        class_for(cased, class_of(byte.into()))
            | match byte {
                b'\r' | b'\n' => NEWLINE,
                b' ' => SPACE,
                b'\'' => APOSTROPHE,
                _ => 0,
            }
    })
}

/// The state of the scan of one text, between two blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BlockState {
    class: u8, // of the last byte; 0 before the first
    /// Whether the last byte is of an other character that begins a unit.
    free: bool,
    /// How many numbers the last unit has so far.
    digits: usize,
    /// The run of white space that continues beyond the last block.
    white: WhiteRun,
    /// Cuts after a contraction, in the next block.
    set: u64,
    /// Places within a contraction, in the next block.
    clear: u64,
    /// Where the last contraction ended.
    contracted: usize,
    /// Where the scan began: a unit begins there.
    base: usize,
}

impl BlockState {
    /// The state of a scan that begins where a unit does.
    pub(crate) fn at(base: usize) -> Self {
        Self { base, ..Self::default() }
    }
}

/// Where a run of white space ends, and where the units in it begin; zero for no such place.
#[derive(Clone, Copy, Debug, Default)]
struct WhiteRun {
    end: usize,
    cuts: [usize; 3],
}

/// The classes of one block's bytes, one bit each; the bytes of a character all have its class.
#[derive(Default)]
struct Classes {
    lower: u64,
    upper: u64,
    number: u64,
    white: u64,
    newline: u64,
    space: u64,
    other: u64,
    apostrophe: u64,
    /// Bytes that continue a character.
    continuation: u64,
    /// White space of several bytes.
    wide_white: u64,
    /// Whether a character is both upper and lower, which matters with cases.
    both: bool,
}

impl Classes {
    fn of(cased: bool, level: Level, text: &str, from: usize, block: &[u8], before: u8) -> Self {
        let table = if cased { &CASED_ASCII } else { &ASCII };
        let ClassMasks { classes, beyond } = class_masks(level, table, block);
        let [lower, number, white, newline, space, other, apostrophe, upper] = classes;
        let mut found = Self {
            lower,
            upper,
            number,
            white,
            newline,
            space,
            other,
            apostrophe,
            continuation: 0,
            wide_white: 0,
            both: false,
        };
        if beyond != 0 {
            found.correct(cased, text, from, beyond, before);
        }
        found
    }

    /// Puts right what the masks say of bytes beyond ASCII, which were looked up by their low seven bits.
    fn correct(&mut self, cased: bool, text: &str, from: usize, beyond: u64, before: u8) {
        let Self { lower, upper, number, white, newline, space, other, apostrophe, .. } = self;
        for mask in [lower, upper, number, white, newline, space, other, apostrophe] {
            *mask &= !beyond;
        }
        let mut rest = beyond;
        while rest != 0 {
            let place = rest.trailing_zeros() as usize;
            let character = text.get(from + place..).and_then(|after| after.chars().next());
            let (class, len) = match character {
                Some(character) => {
                    let class = class_of(character);
                    self.both |= class & (char_class::UNCASED | char_class::MARK) != 0;
                    (class_for(cased, class), character.len_utf8())
                }
                // Bytes before the first boundary belong to the character that the last block ends with.
                None => (before, 1),
            };
            let bytes = mask::first(len) << place;
            let of = |class_bit: u8| if class & class_bit != 0 { bytes } else { 0 };
            self.lower |= of(LOWER);
            self.upper |= of(UPPER);
            self.number |= of(NUMBER);
            self.white |= of(WHITE);
            self.other |= of(OTHER);
            self.wide_white |= of(WHITE);
            self.continuation |= if character.is_some() { bytes & bytes << 1 } else { bytes };
            rest &= !bytes;
        }
    }

    /// Returns whether a slash follows a line end; it may belong to an other character before that.
    #[inline]
    fn has_line_slash(&self, block: &[u8], before: u8) -> bool {
        let after_line = self.newline << 1 | u64::from(before & NEWLINE != 0);
        mask::places(self.other & after_line).any(|place| block[place] == b'/')
    }

    /// Returns the class of one byte.
    fn at(&self, place: usize) -> u8 {
        let bit = |mask: u64, class: u8| if mask >> place & 1 == 1 { class } else { 0 };
        bit(self.lower, LOWER)
            | bit(self.upper, UPPER)
            | bit(self.number, NUMBER)
            | bit(self.white, WHITE)
            | bit(self.newline, NEWLINE)
            | bit(self.space, SPACE)
            | bit(self.other, OTHER)
    }
}

/// Returns the cuts of the block of up to 64 bytes that begins at `from`; none where the walk has to find them.
pub(crate) fn cut_mask(
    rules: Rules,
    level: Level,
    text: &str,
    from: usize,
    state: &mut BlockState,
) -> Option<u64> {
    let bytes = text.as_bytes();
    let block = &bytes[from..bytes.len().min(from + BLOCK)];
    let live = mask::first(block.len());
    let classes = Classes::of(rules.cased, level, text, from, block, state.class);
    if rules.cased && (classes.both || classes.has_line_slash(block, state.class)) {
        return None;
    }
    let Classes { lower, upper, number, white, newline, space, other, continuation, .. } = classes;
    let letter = lower | upper;
    let last_class = state.class;
    let before = |mask: u64, class: u8| mask << 1 | u64::from(last_class & class != 0);
    let (white_before, other_before) = (before(white, WHITE), before(other, OTHER));

    let starts = live & !continuation;
    let mut free = other & starts & !(other_before | before(space, SPACE));
    let carried = u64::from(state.free);
    for _ in 1..char::MAX.len_utf8() {
        free |= (free << 1 | carried) & continuation;
    }
    let joined = letter & before(letter, LETTER) & !(upper & before(lower, LOWER))
        | letter & (white_before & !before(newline, NEWLINE) | (free << 1 | carried))
        | other & (other_before | before(space, SPACE))
        | white & white_before
        | number & before(number, NUMBER);
    let mut cuts = starts & !joined;
    // The last of several that something follows; runs that this is not true of are done one by one.
    cuts |= white & white_before & !(white >> 1) & first_but(block.len());
    cut_white(text, from, block.len(), &classes, state, &mut cuts);
    cut_numbers(rules, number & starts, number, state, &mut cuts);
    cuts = cuts & !state.clear | state.set & live;
    (state.set, state.clear) = (0, 0);
    let units = if rules.cased {
        classes.apostrophe & before(letter, LETTER)
    } else {
        classes.apostrophe & (cuts | u64::from(from == state.base))
    };
    cut_contractions(rules, (bytes, from), units, state, &mut cuts);
    let last = block.len() - 1;
    (state.class, state.free) = (classes.at(last), free >> last & 1 == 1);
    Some(if from == state.base { cuts & !1 } else { cuts })
}

/// Returns all places of a block but the last.
fn first_but(len: usize) -> u64 {
    mask::first(len - 1)
}

/// Corrects the cuts of runs of white space with line ends, with characters of several bytes, and at the block's end.
#[inline]
fn cut_white(
    text: &str,
    from: usize,
    len: usize,
    classes: &Classes,
    state: &mut BlockState,
    cuts: &mut u64,
) {
    let mut special = classes.newline | classes.wide_white | classes.white & 1 << (len - 1);
    if state.white.end > from {
        let run = mask::first(state.white.end - from);
        special &= !run;
        *cuts = *cuts & !run | places_of(state.white, from, len);
    }
    while special != 0 {
        let place = special.trailing_zeros() as usize;
        let gap = !classes.white & mask::first(place);
        let start = BLOCK - gap.leading_zeros() as usize;
        let end = place + (!(classes.white >> place)).trailing_zeros() as usize;
        let bits = mask::first(end.min(BLOCK)) & !mask::first(start);
        let after_other = match start {
            0 => state.class & OTHER != 0,
            _ => classes.other >> (start - 1) & 1 == 1,
        };
        let end = if end >= len { white_end(text, from + len) } else { from + end };
        let run = WhiteRun::new(text, from + start, end, after_other);
        *cuts = *cuts & !bits | places_of(run, from, len);
        if end >= from + len {
            state.white = run;
        }
        special &= !bits;
    }
}

/// Returns where the run of white space that continues at `at` ends.
fn white_end(text: &str, mut at: usize) -> usize {
    // A character may reach beyond the block.
    while !text.is_char_boundary(at) {
        at += 1;
    }
    let white = |character: &char| class_of(*character) & char_class::WHITE != 0;
    at + text[at..].chars().take_while(white).map(char::len_utf8).sum::<usize>()
}

/// Returns the cuts of a run that are in a block.
fn places_of(run: WhiteRun, from: usize, len: usize) -> u64 {
    let bit = |cut: &usize| {
        let place = cut.wrapping_sub(from);
        if place < len { 1 << place } else { 0 }
    };
    run.cuts.iter().map(bit).fold(0, |all, bit| all | bit)
}

impl WhiteRun {
    /// Finds the units of the white space from `start` to `end`.
    fn new(text: &str, start: usize, end: usize, after_other: bool) -> Self {
        let run = &text.as_bytes()[start..end];
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let taken = if after_other { run.iter().take_while(is_line_end).count() } else { 0 };
        let first = start + taken;
        let lines = run[taken..].iter().rposition(|byte| is_line_end(&byte));
        let second = lines.map_or(first, |line| first + line + 1);
        let last = text.floor_char_boundary(end - 1);
        let within = |cut: usize, is: bool| if is && cut < end { cut } else { 0 };
        let followed = end < text.len();
        Self {
            end,
            cuts: [
                within(first, true),
                within(second, true),
                within(last, followed && last > second),
            ],
        }
    }
}

/// Adds the cuts within runs of numbers.
#[inline]
fn cut_numbers(rules: Rules, starts: u64, number: u64, state: &mut BlockState, cuts: &mut u64) {
    if rules.digits == 1 {
        *cuts |= starts;
        return;
    }
    let continues = number & 1 == 1 && state.digits > 0;
    if !continues && number & number << 1 & number << 2 & number << 3 == 0 {
        // Each run has up to three bytes. What the next block has to know is how many numbers the last one has.
        let after = mask::first(BLOCK - number.leading_ones() as usize);
        state.digits = (starts & !after).count_ones() as usize;
        return;
    }
    let mut count = state.digits;
    let before = number << 1 | u64::from(count > 0);
    for place in mask::places(starts) {
        count = if before >> place & 1 == 1 { count + 1 } else { 1 };
        if count > rules.digits {
            *cuts |= 1 << place;
            count = 1;
        }
    }
    state.digits = if number >> (BLOCK - 1) == 1 { count } else { 0 };
}

/// Adds the cuts after contractions, whose apostrophes are at `places`; a cut in the next block is noted.
///
/// With cases, nothing is cut within a contraction or before it, unless it follows another one.
#[inline]
fn cut_contractions(
    rules: Rules,
    (bytes, from): (&[u8], usize),
    places: u64,
    state: &mut BlockState,
    cuts: &mut u64,
) {
    for place in mask::places(places) {
        let len = contraction::any_case(&bytes[from + place + 1..]);
        if len == 0 || rules.cased && state.contracted == from + place {
            continue;
        }
        let after = place + 1 + len;
        if rules.cased {
            let (within, begun) = (u128::from(mask::first(1 + len)) << place, mask::first(BLOCK));
            *cuts &= !narrow::<_, u64>(within & u128::from(begun));
            state.clear |= narrow::<_, u64>(within >> BLOCK);
            state.contracted = from + after;
        }
        if from + after >= bytes.len() {
            continue;
        }
        if after < BLOCK {
            *cuts |= 1 << after;
        } else {
            state.set |= 1 << (after - BLOCK);
        }
    }
}
