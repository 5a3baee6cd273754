//! What normalizers and pre-tokenizers ask of a character, each by the tables that Hugging Face
//! `tokenizers` asks.
//!
//! Those tables are of different versions of Unicode, and a look-up in them takes a binary search. So the
//! answers are kept as one number a character, in pages of 256 characters that are filled when a text
//! first has one of their characters.

use std::sync::{LazyLock, OnceLock};

use regex_syntax::hir::{Class, ClassUnicode, HirKind};
use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization_alignments::{
    IsNormalized, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};
use unicode_segmentation::UnicodeSegmentation;

/// A set of traits of characters, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits(u16);

impl Traits {
    /// White space by `char::is_whitespace`.
    pub(crate) const WHITE: Self = Self(1);
    /// A number by `char::is_numeric`.
    pub(crate) const NUMERIC: Self = Self(1 << 1);
    /// `\w` of the `regex` crate.
    pub(crate) const WORD: Self = Self(1 << 2);
    /// `\s` of the `regex` crate.
    pub(crate) const SPACE: Self = Self(1 << 3);
    /// Punctuation as BERT has it.
    pub(crate) const PUNCTUATION: Self = Self(1 << 4);
    /// What BERT's cleaning removes: controls, and others that are no text.
    pub(crate) const REMOVED: Self = Self(1 << 5);
    /// A mark of the category Mn, which BERT strips.
    pub(crate) const NONSPACING: Self = Self(1 << 6);
    /// A Chinese character as BERT has it.
    pub(crate) const CHINESE: Self = Self(1 << 7);
    /// A combining mark, which `StripAccents` strips.
    pub(crate) const MARK: Self = Self(1 << 8);
    /// Its lower case is another character, or several.
    pub(crate) const CASED: Self = Self(1 << 9);
    /// It is a grapheme cluster of its own next to any other such character.
    pub(crate) const ALONE: Self = Self(1 << 10);
    /// It is unchanged by NFC, and what stands before it has no part in what stands after it.
    pub(crate) const NFC: Self = Self(1 << 11);
    /// The same of NFD.
    pub(crate) const NFD: Self = Self(1 << 12);
    /// The same of NFKC.
    pub(crate) const NFKC: Self = Self(1 << 13);
    /// The same of NFKD.
    pub(crate) const NFKD: Self = Self(1 << 14);

    /// Returns the traits of a character.
    #[inline]
    pub(crate) fn of(character: char) -> Self {
        let number = character as usize;
        PAGES[number >> 8].get_or_init(|| page(number >> 8))[number & 255]
    }

    /// Returns whether one of these traits is among them.
    #[inline]
    pub(crate) fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// Asks the tables.
    fn ask(character: char) -> Self {
        let starter = canonical_combining_class(character) == 0;
        let stays = |quick: IsNormalized| starter && quick == IsNormalized::Yes;
        let once = || std::iter::once(character);
        let in_class = |class: &ClassUnicode| {
            class.ranges().binary_search_by(|range| {
                if range.end() < character {
                    std::cmp::Ordering::Less
                } else if range.start() > character {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
        };
        [
            (Self::WHITE, character.is_whitespace()),
            (Self::NUMERIC, character.is_numeric()),
            (Self::WORD, in_class(&WORD).is_ok()),
            (Self::SPACE, in_class(&SPACE).is_ok()),
            (Self::PUNCTUATION, character.is_ascii_punctuation() || character.is_punctuation()),
            (Self::REMOVED, is_removed(character)),
            (Self::NONSPACING, character.is_mark_nonspacing()),
            (Self::CHINESE, is_chinese(character)),
            (Self::MARK, is_combining_mark(character)),
            (Self::CASED, !character.to_lowercase().eq([character])),
            (Self::ALONE, is_alone(character)),
            (Self::NFC, stays(is_nfc_quick(once()))),
            (Self::NFD, stays(is_nfd_quick(once()))),
            (Self::NFKC, stays(is_nfkc_quick(once()))),
            (Self::NFKD, stays(is_nfkd_quick(once()))),
        ]
        .into_iter()
        .filter(|(_, is_so)| *is_so)
        .fold(Self::default(), |all, (one, _)| Self(all.0 | one.0))
    }
}

impl std::ops::BitOr for Traits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The traits of 256 characters.
type Page = Box<[Traits; 256]>;

/// One page for each 256 code points.
static PAGES: [OnceLock<Page>; 0x1100] = [const { OnceLock::new() }; 0x1100];

#[cold]
fn page(number: usize) -> Page {
    Box::new(std::array::from_fn(|place| {
        let code = u32::try_from(number << 8 | place).unwrap_or(0);
        char::from_u32(code).map_or(Traits::default(), Traits::ask)
    }))
}

static WORD: LazyLock<ClassUnicode> = LazyLock::new(|| class(r"\w"));
static SPACE: LazyLock<ClassUnicode> = LazyLock::new(|| class(r"\s"));

fn class(pattern: &str) -> ClassUnicode {
    let parsed = regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind);
    match parsed {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        _ => ClassUnicode::empty(),
    }
}

fn is_removed(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => false,
        '\0' | '\u{fffd}' => true,
        _ => character.is_other(),
    }
}

/// The blocks that `BertNormalizer` puts spaces around. The range from U+2B920 is written so there.
fn is_chinese(character: char) -> bool {
    matches!(
        character,
        '\u{4e00}'..='\u{9fff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{20000}'..='\u{2a6df}'
            | '\u{2a700}'..='\u{2b73f}'
            | '\u{2b740}'..='\u{2b81f}'
            | '\u{2b920}'..='\u{2ceaf}'
            | '\u{f900}'..='\u{faff}'
            | '\u{2f800}'..='\u{2fa1f}'
    )
}

/// Returns whether no rule of grapheme clusters joins a character to another one of this kind.
///
/// Each rule joins by the classes of the two characters, and of what stands before them in their cluster.
/// Next to one character of each class that a rule names, this one is of none of those classes.
fn is_alone(character: char) -> bool {
    let breaks = |text: String| text.graphemes(true).nth(1).is_some();
    let before = ["a", "ᄀ", "가", "각", "🇩", "👩\u{200d}", "\u{915}\u{94d}"];
    let after = ["a", "ᄀ", "ᅡ", "ᆨ", "🇩"];
    character != '\r'
        && character != '\n'
        && before.iter().all(|other| breaks(format!("{other}{character}")))
        && after.iter().all(|other| breaks(format!("{character}{other}")))
        && breaks(format!("{character}\u{200d}👩"))
}
