//! The classes of one block's bytes, as masks, for the patterns that have a mask form.

use std::sync::LazyLock;

use super::char_class::{self, class_of};
use super::deepseek;
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{ClassMasks, Level, class_masks};

/// The known patterns, by what decides their classes and cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// GPT-2's.
    Gpt2,
    /// cl100k, Llama 3, Qwen 2.
    Words,
    /// o200k, whose words end where their case does.
    CasedWords,
    /// DeepSeek-V3's three patterns, one after the other.
    DeepSeek,
}

// The places of a class's mask among all masks.
const LOWER: usize = 0; // every letter, where case is not looked at
const NUMBER: usize = 1;
const WHITE: usize = 2;
const NEWLINE: usize = 3; // also WHITE
const SPACE: usize = 4; // also WHITE
const OTHER: usize = 5;
const APOSTROPHE: usize = 6; // also OTHER
const UPPER: usize = 7; // with cases alone
const HAN: usize = 7; // with DeepSeek's patterns alone
/// Of characters beyond ASCII for which masks do not do.
const ODD: usize = 8;

/// The classes that a family gives characters.
#[derive(Debug)]
pub(super) struct ClassTable {
    /// Of ASCII: a bit for each mask.
    ascii: [u8; 128],
    /// Of every character: the place of its mask. Beyond ASCII each has one.
    all: Vec<u8>,
}

impl ClassTable {
    /// Returns the table of a family, built once.
    pub(super) fn of(family: Family) -> &'static Self {
        static TABLES: [LazyLock<ClassTable>; 4] = [
            LazyLock::new(|| ClassTable::new(Family::Gpt2)),
            LazyLock::new(|| ClassTable::new(Family::Words)),
            LazyLock::new(|| ClassTable::new(Family::CasedWords)),
            LazyLock::new(|| ClassTable::new(Family::DeepSeek)),
        ];
        &TABLES[family as usize]
    }

    fn new(family: Family) -> Self {
        let all: Vec<u8> = if family == Family::DeepSeek {
            let place = |(class, number): (&deepseek::Class, u32)| {
                let is_han = char::from_u32(number).is_some_and(deepseek::is_han);
                let place = match class {
                    deepseek::Class::Letter if is_han => HAN,
                    _ if is_han => ODD,
                    deepseek::Class::Letter => LOWER,
                    deepseek::Class::Number => NUMBER,
                    deepseek::Class::White => WHITE,
                    deepseek::Class::Sign => OTHER,
                    deepseek::Class::Nothing => ODD,
                };
                u8::try_from(place).unwrap_or(0)
            };
            deepseek::classes().iter().zip(0..).map(place).collect()
        } else {
            let place: [u8; 256] = std::array::from_fn(|class| {
                u8::try_from(place_of(family, u8::try_from(class).unwrap_or(0))).unwrap_or(0)
            });
            char_class::all().iter().map(|&class| place[usize::from(class)]).collect()
        };
        let ascii = std::array::from_fn(|at| {
            let bit =
                |place: usize| 1_u8.checked_shl(u32::try_from(place).unwrap_or(8)).unwrap_or(0);
            let more = match u8::try_from(at) {
                Ok(b'\r' | b'\n') if family != Family::Gpt2 => bit(NEWLINE),
                Ok(b' ') => bit(SPACE),
                Ok(b'\'') if family != Family::DeepSeek => bit(APOSTROPHE),
                _ => 0,
            };
            bit(usize::from(all[at])) | more
        });
        Self { ascii, all }
    }

    /// Returns how much memory a table takes, in bytes.
    pub(super) fn memory() -> usize {
        char_class::memory()
    }
}

/// Returns where a family has the mask of a character of this class.
fn place_of(family: Family, class: u8) -> usize {
    let is = |theirs: u8| class & theirs != 0;
    let cased = family == Family::CasedWords;
    if cased && is(char_class::UNCASED | char_class::MARK) {
        // Upper and lower at once.
        ODD
    } else if cased && is(char_class::UPPER) {
        UPPER
    } else if is(char_class::LETTER) {
        LOWER
    } else if is(char_class::NUMBER) {
        NUMBER
    } else if is(char_class::WHITE) {
        WHITE
    } else {
        OTHER
    }
}

/// The classes of one block's bytes, one bit each; the bytes of a character all have its class.
#[derive(Debug)]
pub(super) struct Classes {
    masks: [u64; 9],
    /// Bytes beyond ASCII.
    pub(super) beyond: u64,
    /// Bytes that continue a character.
    pub(super) continuation: u64,
}

impl Classes {
    /// Returns the classes of the block at `at`, which begins with a whole character.
    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    pub(super) fn of(level: Level, table: &ClassTable, bytes: &[u8], at: usize) -> Self {
        let block = &bytes[at..bytes.len().min(at + BLOCK)];
        let ClassMasks { classes, beyond } = class_masks(level, &table.ascii, block);
        let mut masks = [0; 9];
        masks[..classes.len()].copy_from_slice(&classes);
        let mut found = Self { masks, beyond, continuation: 0 };
        if beyond != 0 {
            found.correct(table, bytes, at);
        }
        found
    }

    /// Puts right what the masks say of bytes beyond ASCII, which were looked up by their low seven bits.
    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn correct(&mut self, table: &ClassTable, bytes: &[u8], at: usize) {
        for mask in &mut self.masks {
            *mask &= !self.beyond;
        }
        let mut rest = self.beyond;
        while rest != 0 {
            let place = rest.trailing_zeros() as usize;
            let (code, len) = character_at(bytes, at + place);
            let bits = mask::first(len) << place;
            if let Some(mask) = self.masks.get_mut(usize::from(table.all[code])) {
                *mask |= bits;
            }
            self.continuation |= bits & bits << 1;
            rest &= !bits;
        }
    }

    /// Letters; the lower ones, where case is looked at.
    pub(super) fn lower(&self) -> u64 {
        self.masks[LOWER]
    }

    /// Upper letters, where case is looked at.
    pub(super) fn upper(&self) -> u64 {
        self.masks[UPPER]
    }

    /// Letters of `DeepSeek`'s second pattern.
    pub(super) fn han(&self) -> u64 {
        self.masks[HAN]
    }

    pub(super) fn number(&self) -> u64 {
        self.masks[NUMBER]
    }

    pub(super) fn white(&self) -> u64 {
        self.masks[WHITE]
    }

    pub(super) fn newline(&self) -> u64 {
        self.masks[NEWLINE]
    }

    pub(super) fn space(&self) -> u64 {
        self.masks[SPACE]
    }

    /// What is none of these.
    pub(super) fn other(&self) -> u64 {
        self.masks[OTHER]
    }

    pub(super) fn apostrophe(&self) -> u64 {
        self.masks[APOSTROPHE]
    }

    /// Bytes of characters for which masks do not do.
    pub(super) fn odd(&self) -> u64 {
        self.masks[ODD]
    }
}

/// Returns the number and the length of the character that begins at `at` and is beyond ASCII.
#[inline]
fn character_at(bytes: &[u8], at: usize) -> (usize, usize) {
    let byte = |after: usize| bytes.get(at + after).map_or(0, |&byte| usize::from(byte) & 0x3f);
    let first = usize::from(bytes[at]);
    if first < 0xe0 {
        ((first & 0x1f) << 6 | byte(1), 2)
    } else if first < 0xf0 {
        ((first & 0x0f) << 12 | byte(1) << 6 | byte(2), 3)
    } else {
        ((first & 0x07) << 18 | byte(1) << 12 | byte(2) << 6 | byte(3), 4)
    }
}

/// Returns the class of a character of GPT-2's pattern, as one that differs for each.
pub(super) fn gpt2_class(character: char) -> u8 {
    let class = class_of(character);
    if class & char_class::LETTER != 0 {
        char_class::LETTER
    } else {
        class & (char_class::NUMBER | char_class::WHITE | char_class::OTHER)
    }
}
