//! The ends of units by masks: of all known patterns, 64 bytes at a time.
//!
//! A block begins where a unit does. No known pattern looks at what is in front of a unit, so nothing has to be kept
//! from one block to the next. Each character is a letter, a number, white space or something else, and a unit of
//! GPT-4's family ends before a character unless it is
//!
//! 1. a letter after a letter, after white space other than a line end, or after a single other character that no
//!    space before it has taken (`[^\r\n\p{L}\p{N}]?\p{L}+`); with cases (o200k), a unit also ends between a lower
//!    letter and an upper one;
//! 2. an other character after an other one or a plain space (` ?[^\s\p{L}\p{N}]+[\r\n]*`), or a line end after those;
//! 3. a number after a number, but for each third (`\p{N}{1,3}`);
//! 4. white space after white space, except behind the last line end of a run, and at the last character of a run
//!    that something follows (`\s*[\r\n]+|\s+(?!\S)|\s+`).
//!
//! GPT-2's units end where the class changes, but for a plain space in front, and at the last white space as above.
//! `DeepSeek`'s end as GPT-4's do, with these differences: numbers and Chinese or Japanese letters join nothing else, and
//! white space does not see them behind it; only ASCII's punctuation begins a word,
//! and then of ASCII letters alone; a mark is a letter.
//!
//! A contraction that begins a unit ends it, too; with cases, one that follows a letter belongs to the letter's unit.
//!
//! The end of a block hides what follows. Cuts within white space that reaches it are left out, and the next block
//! begins at the last cut that is certain. Where there is none, or where a character is of no class that masks know,
//! the unit is left to the pattern's walk, the slow twin.

use super::block_classes::{ClassTable, Classes, Family};
use super::contraction;
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::Level;

/// Where the units of one block end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockCuts {
    /// The cuts after the block's beginning and before `end`.
    pub(super) cuts: u64,
    /// The last cut that is certain, or the end of the text.
    pub(super) end: usize,
}

/// A known pattern over one text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks<'a> {
    pub(super) family: Family,
    /// How many digits make a unit at most.
    pub(super) digits: usize,
    pub(super) level: Level,
    pub(super) table: &'static ClassTable,
    pub(super) text: &'a str,
}

impl Blocks<'_> {
    /// Returns the cuts of the block at `at`, where a unit begins; none where it has no cut that is certain.
    ///
    /// `family` is that of the blocks, as a constant.
    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    pub(super) fn cuts(&self, family: Family, at: usize) -> Option<BlockCuts> {
        let bytes = self.text.as_bytes();
        let len = (bytes.len() - at).min(BLOCK);
        let live = mask::first(len);
        let classes = Classes::of(self.level, self.table, bytes, at);
        let (white, newline, space) = (classes.white(), classes.newline(), classes.space());
        let (number, other, letter) =
            (classes.number(), classes.other(), letters(family, &classes));
        let starts = live & !classes.continuation;
        // Line ends that belong to the other characters before them: a sum carries through the run.
        let absorbed = newline & !newline.wrapping_add(other << 1 & newline);
        let white_run = white & !absorbed;
        let within_white = white_run & white_run << 1;

        let free = free(family, &classes, starts);
        let joined = match family {
            Family::Gpt2 => {
                let spaced = space << 1;
                letter & (letter << 1 | spaced)
                    | number & (number << 1 | spaced)
                    | other & (other << 1 | spaced)
                    | within_white
            }
            Family::Words | Family::CasedWords | Family::DeepSeek => {
                let words = match family {
                    Family::CasedWords => letter << 1 & !(classes.upper() & classes.lower() << 1),
                    _ => letter << 1,
                };
                let led = if family == Family::DeepSeek {
                    led_ascii(&classes, free)
                } else {
                    letter & free << 1
                };
                let han = if family == Family::DeepSeek { classes.han() } else { 0 };
                letter & (words | (white_run & !newline) << 1)
                    | led
                    | other & (other | space) << 1
                    | number & number << 1
                    | han & han << 1
                    | absorbed
                    | within_white
            }
        };
        let mut cuts = starts & !joined;
        if family == Family::DeepSeek {
            cuts |= after_led_ascii(&classes, free);
        }

        // The last white space of a run goes to what follows it in the same text.
        let mut followed = live >> 1;
        if family == Family::DeepSeek {
            followed &= !((number | classes.han()) >> 1);
        }
        let last = white_run & !(white >> 1) & followed & !newline;
        cuts |= last & within_white & !classes.continuation;
        if last & classes.beyond != 0 {
            cuts |= last_wide(last & classes.beyond, white_run, starts);
        }
        // What a run has behind its last line end is a unit, or two.
        let inline = white_run & !newline;
        cuts |= after_last_newline(inline, newline, inline & (newline & white_run) << 1);
        cut_numbers(self.digits, number & starts, number, &mut cuts);

        let mut odd = classes.odd();
        if family == Family::DeepSeek {
            odd |= live & !(letter | number | white | other | classes.han());
        }
        match family {
            Family::Gpt2 => {
                let begin = classes.apostrophe() & (cuts | 1) & letter >> 1;
                cut_exact_contractions(bytes, at, begin, &mut cuts);
            }
            Family::Words => {
                // Where one letter follows, or none, the unit ends behind it anyway.
                let begin = classes.apostrophe() & (cuts | 1) & letter >> 1 & letter >> 2;
                cut_contractions(bytes, at, begin, &mut cuts);
            }
            Family::CasedWords => {
                let after_letter = classes.apostrophe() & letter << 1;
                take_contractions(bytes, at, after_letter & letter >> 1, &mut cuts);
                // Whether the last byte belongs to a contraction is not to be seen.
                odd |= after_letter & 1 << (BLOCK - 1);
                // A slash behind line ends belongs to the other characters before them.
                for place in mask::places(other & absorbed << 1) {
                    odd |= u64::from(bytes[at + place] == b'/') << place;
                }
            }
            Family::DeepSeek => {}
        }
        Self::certain(cuts, white_run, odd, (len, at + len == bytes.len()))
    }

    /// Keeps the cuts that are certain, of a block of `len` bytes, which the text ends with or not.
    #[inline]
    fn certain(
        cuts: u64,
        white_run: u64,
        odd: u64,
        (len, is_last): (usize, bool),
    ) -> Option<BlockCuts> {
        let seen = len.min(odd.trailing_zeros() as usize);
        if seen == len && is_last {
            return Some(BlockCuts { cuts: cuts & !1 & mask::first(len), end: len });
        }
        if seen == 0 {
            return None;
        }
        // Of white space that reaches the end, only the beginning is certain.
        let run = (white_run << (BLOCK - seen)).leading_ones() as usize;
        let known = if run == 0 { seen } else { seen - run.min(seen) + 1 };
        let cuts = cuts & mask::first(known) & !1;
        if cuts == 0 {
            return None;
        }
        let end = BLOCK - 1 - cuts.leading_zeros() as usize;
        Some(BlockCuts { cuts: cuts & !(1 << end), end })
    }
}

#[inline]
fn letters(family: Family, classes: &Classes) -> u64 {
    match family {
        Family::CasedWords => classes.lower() | classes.upper(),
        _ => classes.lower(),
    }
}

/// Returns the bytes of other characters that begin a unit, and may lead a word.
#[inline]
fn free(family: Family, classes: &Classes, starts: u64) -> u64 {
    let other = classes.other();
    let mut free = other & starts & !((other | classes.space()) << 1);
    if family == Family::DeepSeek {
        return free & !classes.beyond;
    }
    if classes.continuation != 0 {
        for _ in 1..char::MAX.len_utf8() {
            free |= free << 1 & classes.continuation;
        }
    }
    free
}

/// Returns the ASCII letters that follow a sign of ASCII which leads them.
#[inline]
fn led_ascii(classes: &Classes, free: u64) -> u64 {
    classes.lower() & !classes.beyond & free << 1
}

/// Returns the letters beyond ASCII that follow a word of ASCII letters led by a sign, and are not of its unit.
#[inline]
fn after_led_ascii(classes: &Classes, free: u64) -> u64 {
    let ascii = classes.lower() & !classes.beyond;
    ascii.wrapping_add(led_ascii(classes, free)) & !ascii & classes.lower()
}

/// Returns the beginnings of the last characters of runs of white space, where those have several bytes.
#[cold]
fn last_wide(ends: u64, white_run: u64, starts: u64) -> u64 {
    mask::places(ends).fold(0, |cuts, end| {
        let start = BLOCK - 1 - (starts & mask::first(end + 1)).leading_zeros() as usize;
        cuts | (1 << start & white_run << 1)
    })
}

/// Returns the beginnings of white space behind the last line end of a run, out of those behind any.
#[inline]
fn after_last_newline(inline: u64, newline: u64, begun: u64) -> u64 {
    if inline.wrapping_add(begun) & !inline & newline == 0 {
        return begun;
    }
    // Some line has white space alone.
    mask::places(begun).fold(0, |cuts, place| {
        let end = place + (inline >> place).trailing_ones() as usize;
        let continues = end < BLOCK && newline >> end & 1 == 1;
        cuts | if continues { 0 } else { 1 << place }
    })
}

/// Adds the cuts within runs of numbers.
#[inline]
fn cut_numbers(digits: usize, starts: u64, number: u64, cuts: &mut u64) {
    if digits == 1 {
        *cuts |= starts;
    } else if digits < BLOCK && number & number << 1 & number << 2 & number << 3 != 0 {
        let mut count = 0;
        for place in mask::places(starts) {
            count = if number << 1 >> place & 1 == 1 { count + 1 } else { 1 };
            if count > digits {
                *cuts |= 1 << place;
                count = 1;
            }
        }
    }
}

/// Returns the mask of one place; none beyond the block.
#[inline]
fn bit(place: usize) -> u64 {
    if place < BLOCK { 1 << place } else { 0 }
}

/// Corrects the cuts of contractions of GPT-2's pattern, whose apostrophes begin units.
#[inline]
fn cut_exact_contractions(bytes: &[u8], at: usize, apostrophes: u64, cuts: &mut u64) {
    for place in mask::places(apostrophes) {
        let len = contraction::exact(&bytes[at + place + 1..]);
        if len > 0 {
            *cuts = *cuts & !bit(place + 1) | bit(place + 1 + len);
        }
    }
}

/// Adds the cuts behind contractions, whose apostrophes begin units.
#[inline]
fn cut_contractions(bytes: &[u8], at: usize, apostrophes: u64, cuts: &mut u64) {
    for place in mask::places(apostrophes) {
        let len = contraction::any_case(&bytes[at + place + 1..]);
        if len > 0 {
            *cuts |= bit(place + 1 + len);
        }
    }
}

/// Makes contractions that follow letters belong to their units, unless they follow another contraction.
#[inline]
fn take_contractions(bytes: &[u8], at: usize, apostrophes: u64, cuts: &mut u64) {
    let mut taken = BLOCK;
    for place in mask::places(apostrophes) {
        let len = contraction::any_case(&bytes[at + place + 1..]);
        if len > 0 && taken != place {
            taken = place + 1 + len;
            *cuts = *cuts & !(mask::first(taken) & !mask::first(place)) | bit(taken);
        }
    }
}
