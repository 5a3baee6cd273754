//! How Unigram keeps the best way through a text: for each place, the last piece of the best way to it.

use ratdata_schemas::narrow;

/// How many bits of a link are an id; the others are a length.
const ID_BITS: u32 = 20;

/// How many pieces a model may have, so that each id fits in a link.
pub(crate) const MOST_LINKED: usize = 1 << ID_BITS;

/// The longest piece in bytes, whose length fits in a link.
pub(crate) const LONGEST_LINKED: usize = (1 << (u32::BITS - ID_BITS)) - 1;

/// Makes a link of the length of a piece and its id. No link of a piece is 0.
#[inline]
pub(crate) fn to_link(len: usize, id: u32) -> u32 {
    narrow::<_, u32>(len) << ID_BITS | id
}

/// Returns the length and the id of a link.
#[inline]
pub(crate) fn link(bits: u32) -> (usize, u32) {
    ((bits >> ID_BITS) as usize, bits & ((1 << ID_BITS) - 1))
}

/// Returns the length of the character that begins with a byte.
#[inline]
pub(crate) fn utf8_len(lead: u8) -> usize {
    match lead {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}
