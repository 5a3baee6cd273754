//! Random text made of what vocabularies, patterns and normalizers stumble over.

use proptest::prelude::*;

/// A part of a random text.
#[derive(Clone, Debug)]
pub enum Part {
    /// A piece of the vocabulary.
    Piece(u32),
    /// A piece with one of its characters moved to a neighbour in Unicode.
    Near(u32, u8, i8),
    /// The beginning of a piece, so that merges begin and do not end.
    Head(u32, u8),
    /// Any character.
    Char(char),
    /// A character many times over.
    Run(char, u8),
    /// Text that patterns and normalizers look at.
    Odd(u8),
}

const ODD: [&str; 30] = [
    " ",
    "  ",
    "   ",
    "\n",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "▁",
    "▁▁",
    "'s",
    "'LL",
    "’re",
    "0",
    "1234567",
    "e\u{301}",
    "\u{200d}",
    "🙂",
    "👩\u{200d}🚀",
    "<s>",
    "</s>",
    "<unk>",
    "<|endoftext|>",
    "\0",
    "中文",
    "カタ",
    "한글",
    "$+=",
    "//",
    "_a",
];

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        8 => any::<u32>().prop_map(Part::Piece),
        2 => (any::<u32>(), any::<u8>(), -2_i8..=2).prop_map(|(id, at, by)| Part::Near(id, at, by)),
        2 => (any::<u32>(), any::<u8>()).prop_map(|(id, keep)| Part::Head(id, keep)),
        2 => any::<char>().prop_map(Part::Char),
        1 => (any::<char>(), 1..40_u8).prop_map(|(c, times)| Part::Run(c, times)),
        1 => (0..32_usize, 1..80_u8).prop_map(|(at, times)| {
            let letters = b"abcdefghijklmnopqrstuvwxyz =-#\n.";
            Part::Run(char::from(letters[at]), times)
        }),
        4 => any::<u8>().prop_map(Part::Odd),
    ]
}

/// Returns parts of random texts.
pub fn parts() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(part(), 1..120)
}

/// Spells the parts with the pieces of a vocabulary, which write a space as `▁` or `Ġ`.
pub fn spell<'a>(parts: &[Part], size: u32, piece: impl Fn(u32) -> Option<&'a str>) -> String {
    let piece = |id: u32| {
        let piece = piece(id % size).unwrap_or(" ");
        piece.replace(['▁', 'Ġ'], " ").replace('Ċ', "\n")
    };
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Piece(id) => text += &piece(*id),
            Part::Near(id, at, by) => {
                let piece = piece(*id);
                let at = usize::from(*at) % piece.chars().count().max(1);
                text.extend(piece.chars().enumerate().map(|(number, c)| {
                    let moved = u32::from(c).saturating_add_signed(i32::from(*by));
                    if number == at { char::from_u32(moved).unwrap_or(c) } else { c }
                }));
            }
            Part::Head(id, keep) => text.extend(piece(*id).chars().take(usize::from(*keep) % 8)),
            Part::Char(c) => text.push(*c),
            Part::Run(c, times) => text.extend(std::iter::repeat_n(*c, usize::from(*times))),
            Part::Odd(number) => text += ODD[usize::from(*number) % ODD.len()],
        }
    }
    text
}
