//! SentencePiece's normalizer: its character map, and what it does with spaces.

use crate::bounds::Bound;
use crate::bounds::boundary::grow;
use crate::bounds::limits::LONGEST_MAPPED;
use crate::stages::{CharacterMap, Trie};

use super::model::{PieceKind, SentencePieceModel};

/// What bounds call this part of a tokenizer.
const PART: &str = "normalizer";

/// The normalizer of a model.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the file has these flags")]
pub(crate) struct Normalizer {
    map: Option<CharacterMap>,
    /// The user-defined pieces, which stay as they are.
    kept: Option<Trie>,
    /// Whether spaces at both ends are dropped, and of several spaces one stays.
    drops_spaces: bool,
    /// Whether a space is put before the text, or after it where `space_after`.
    adds_space: bool,
    space_after: bool,
    /// Whether a space is written as `▁`.
    escapes: bool,
    /// Which bytes of ASCII stay as they are before another one or the end.
    stays: [bool; 128],
}

impl Normalizer {
    /// Makes the normalizer of a model.
    ///
    /// # Errors
    ///
    /// Its character map is malformed, or its user-defined pieces are too many.
    pub(super) fn new(model: &SentencePieceModel) -> Result<Self, String> {
        let map = match model.character_map.as_slice() {
            [] => None,
            map => Some(CharacterMap::new(map).ok_or("its character map is malformed")?),
        };
        let longest = map.as_ref().map_or(0, CharacterMap::longest);
        if longest > LONGEST_MAPPED {
            return Err(format!(
                "its character map writes {longest} bytes for one character, expected at most {LONGEST_MAPPED}"
            ));
        }
        let defined =
            model.pieces.iter().filter(|piece| piece.kind == PieceKind::UserDefined).zip(0..);
        let kept = match defined.clone().next() {
            None => None,
            Some(_) => Some(
                Trie::new(defined.map(|(piece, id)| (piece.text.as_str(), id)))
                    .ok_or("its user-defined pieces have too many beginnings")?,
            ),
        };
        let mut normalizer = Self {
            map,
            kept,
            drops_spaces: model.remove_extra_whitespaces,
            adds_space: model.add_dummy_prefix,
            space_after: model.space_after,
            escapes: model.escape_whitespaces,
            stays: [false; 128],
        };
        normalizer.stays = std::array::from_fn(|place| {
            u8::try_from(place).is_ok_and(|byte| byte != b' ' && normalizer.is_plain(byte))
        });
        Ok(normalizer)
    }

    /// Returns whether no rule speaks of a byte of ASCII alone, or with another one after it.
    fn is_plain(&self, byte: u8) -> bool {
        let is_kept = self.kept.as_ref().is_some_and(|kept| kept.step(kept.root(), byte).is_some());
        let is_mapped = |text: &[u8]| self.mapped(text).is_some();
        // A rule for more characters of ASCII begins with two of them, and may have none for the two alone.
        let leads =
            |next: u8| self.map.as_ref().is_some_and(|map| map.has_beginning(&[byte, next]));
        !is_kept && !is_mapped(&[byte]) && !(0..128).any(leads)
    }

    /// Returns the longest beginning of a text that the map has, as its length, and what it becomes.
    fn mapped(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut longest = None;
        let walked = self.map.as_ref()?.beginnings(text, |len, becomes| {
            longest = Some((len, becomes));
            true
        });
        // What SentencePiece does beyond the array is not defined; here it is the end of the search.
        walked.ok().and(longest).or(longest)
    }

    /// Returns the length of the first part of a text that is normalized at once, and what it becomes.
    fn first<'a>(&'a self, text: &'a str) -> (usize, &'a str) {
        if let Some(kept) = &self.kept {
            let mut node = kept.root();
            let mut longest = 0;
            for (&byte, len) in text.as_bytes().iter().zip(1..) {
                let Some(next) = kept.step(node, byte) else { break };
                node = next;
                if node.id().is_some() {
                    longest = len;
                }
            }
            if longest > 0 {
                return (longest, &text[..longest]);
            }
        }
        if let Some((len, becomes)) = self.mapped(text.as_bytes())
            && text.is_char_boundary(len)
        {
            return (len, becomes);
        }
        let len = text.chars().next().map_or(0, char::len_utf8);
        (len, &text[..len])
    }

    /// Writes a normalized text.
    ///
    /// # Errors
    ///
    /// It gets too long.
    pub(super) fn write(&self, text: &str, out: &mut String) -> Result<(), Bound> {
        out.clear();
        let mut rest = text;
        if self.drops_spaces {
            while let (len @ 1.., " ") = self.first(rest) {
                rest = &rest[len..];
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let space = if self.escapes { "▁" } else { " " };
        out.reserve(rest.len() + rest.len() / 2);
        if self.adds_space && !self.space_after {
            out.push_str(space);
        }
        let mut after_space = self.drops_spaces;
        while !rest.is_empty() {
            let plain = self.plain(rest.as_bytes());
            if plain > 0 {
                out.push_str(&rest[..plain]);
                after_space = false;
                rest = &rest[plain..];
                continue;
            }
            let (len, mut part) = self.first(rest);
            while after_space && let Some(less) = part.strip_prefix(' ') {
                part = less;
            }
            if !part.is_empty() {
                for stretch in part.split_inclusive(' ') {
                    match stretch.strip_suffix(' ') {
                        Some(before) => out.extend([before, space]),
                        None => out.push_str(stretch),
                    }
                }
                after_space = part.ends_with(' ');
            }
            after_space &= self.drops_spaces;
            rest = &rest[len..];
        }
        if self.drops_spaces {
            let kept = out.trim_end_matches(space).len();
            out.truncate(kept);
        }
        if self.adds_space && self.space_after {
            out.push_str(space);
        }
        grow(PART, out.len().saturating_sub(text.len()))
    }

    /// Returns how many bytes at the beginning stay as they are.
    fn plain(&self, text: &[u8]) -> usize {
        let stays = |byte: u8| self.stays.get(usize::from(byte)).copied().unwrap_or(false);
        let run = text.iter().position(|&byte| !stays(byte)).unwrap_or(text.len());
        match text.get(run) {
            // What follows may belong to the last one.
            Some(next) if !next.is_ascii() => run.saturating_sub(1),
            _ => run,
        }
    }

    /// Returns how much memory the tables take, in bytes.
    pub(super) fn memory(&self) -> usize {
        let map = self.map.as_ref().map_or(0, CharacterMap::memory);
        map + self.kept.as_ref().map_or(0, Trie::memory)
    }
}
