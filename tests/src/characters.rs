//! The characters of Unicode, in surroundings where tables of characters disagree.

use std::collections::BTreeSet;
use std::fmt::Write;

use regex_syntax::hir::{Class, HirKind};

/// The general categories of Unicode that have more than one character.
const CATEGORIES: [&str; 26] = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Cc", "Cf", "Co",
];

/// Returns all characters.
pub fn all() -> Vec<char> {
    ('\0'..=char::MAX).collect()
}

/// Returns the characters at both ends of every range of a general category, those next to them, and the first and
/// last one of every length in UTF-8.
///
/// # Panics
///
/// Never: the categories are those of Unicode.
pub fn range_ends() -> Vec<char> {
    let lengths = ['\u{7f}', '\u{80}', '\u{7ff}', '\u{800}', '\u{ffff}', '\u{10000}', char::MAX];
    let mut ends = BTreeSet::from(lengths);
    for category in CATEGORIES {
        let parsed = regex_syntax::parse(&format!("\\p{{{category}}}"))
            .map(regex_syntax::hir::Hir::into_kind);
        let Ok(HirKind::Class(Class::Unicode(class))) = parsed else {
            unreachable!("{category} is a category");
        };
        for range in class.ranges() {
            let (start, end) = (u32::from(range.start()), u32::from(range.end()));
            let around = [start.saturating_sub(1), start, end, end + 1];
            ends.extend(around.into_iter().filter_map(char::from_u32));
        }
    }
    ends.into_iter().collect()
}

/// Writes characters, many in one text, in four surroundings each: after an emoji and before a space, within a
/// word, before combining marks, and twice among scripts without spaces.
///
/// # Panics
///
/// Never: a text can always be written.
#[expect(clippy::unwrap_used, reason = "a text can always be written")]
pub fn surrounded(characters: &[char]) -> [String; 4] {
    let mut texts = [const { String::new() }; 4];
    for character in characters {
        write!(texts[0], "😀{character} ").unwrap();
        write!(texts[1], "a{character}b, ").unwrap();
        write!(texts[2], "e{character}\u{301}\u{323} 1").unwrap();
        write!(texts[3], "中{character}{character}é가").unwrap();
    }
    texts
}
