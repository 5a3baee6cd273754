//! Finds the bytes of a text that each of its ids stands for.

use std::borrow::Cow;
use std::ops::Range;

use ratdata_schemas::TokenId;

use super::aligned_ids::AlignedIds;
use super::encoder::Encoder;
use super::error::EncodeError;
use super::file::Semantics;
use super::json::byte_level::byte_value;
use super::loaded::{Loaded, Served};

/// Returns the ids of a text with the bytes of each; `None` where nothing says which those are.
///
/// Where the engine covers the tokenizer, its pieces spell the text. Everything else, such as a
/// normalizer that rewrites the text, needs the offsets of Hugging Face `tokenizers`.
///
/// # Errors
///
/// As [`Encoder::encode_into`].
pub(super) fn encode_aligned(
    loaded: &Loaded,
    text: &str,
    encoder: &mut Encoder,
) -> Result<Option<AlignedIds>, EncodeError> {
    // The other pieces spell a text that was normalized; where it stays, they spell it, too.
    let is_covered = loaded.engine().is_some() || matches!(loaded.served, Served::Unigram(_));
    let mut ids = Vec::new();
    if is_covered {
        encoder.encode_into(text, &mut ids)?;
        // Normalized, a text may have other bytes than it has here.
        let is_itself = matches!(loaded.normalized(text), Cow::Borrowed(_));
        if let Some(ranges) = ranges_of(loaded, text, &ids).filter(|_| is_itself) {
            return Ok(Some(AlignedIds { ids, ranges }));
        }
    }
    if loaded.file.semantics != Semantics::Json {
        return Ok(None);
    }
    let oracle = loaded.json_oracle().map_err(|reason| loaded.refused(reason))?;
    let aligned = oracle.encode_aligned(&loaded.file.path, text)?;
    // The oracle's ranges are those of the oracle's ids.
    Ok((!is_covered || aligned.ids == ids).then_some(aligned))
}

/// Returns the bytes of each id of a text; `None` where the pieces of the ids do not spell the text.
pub(super) fn ranges_of(loaded: &Loaded, text: &str, ids: &[TokenId]) -> Option<Vec<Range<usize>>> {
    let is_byte_level = loaded.engine().is_some_and(|engine| engine.is_byte_level());
    let mut ranges = Vec::with_capacity(ids.len());
    let mut at = 0;
    let mut after_token = true;
    for &id in ids {
        let rest = &text.as_bytes()[at..];
        let piece = loaded.vocabulary.piece(id)?;
        let added = loaded.vocabulary.added.has(id);
        let len = if added {
            rest.starts_with(piece.as_bytes()).then_some(piece.len())?
        } else if is_byte_level {
            // Each character of a byte-level piece is one byte.
            piece.chars().count()
        } else if let Some(byte) = byte_value(piece) {
            (rest.first() == Some(&byte)).then_some(1)?
        } else {
            spelt(piece, rest, after_token)?
        };
        if len > rest.len() {
            return None;
        }
        ranges.push(at..at + len);
        at += len;
        after_token = added;
    }
    (at == text.len()).then_some(ranges)
}

/// Returns how many bytes of `rest` a piece spells; its first `▁` may be the one put before a text.
fn spelt(piece: &str, rest: &[u8], after_token: bool) -> Option<usize> {
    let mut len = 0;
    for (place, char) in piece.chars().enumerate() {
        let left = &rest[len..];
        let mut bytes = [0; 4];
        let written = char.encode_utf8(&mut bytes).as_bytes();
        len += match char {
            '▁' if left.starts_with(b" ") => 1,
            '▁' if after_token && place == 0 && !left.starts_with(written) => 0,
            _ if left.starts_with(written) => written.len(),
            _ => return None,
        };
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_an_underline_and_the_first_may_be_nowhere() {
        assert_eq!(spelt("▁the", b"the cat", true), Some(3));
        assert_eq!(spelt("▁the", b" the cat", true), Some(4));
        assert_eq!(spelt("▁the", b"the cat", false), None);
        assert_eq!(spelt("▁", "▁x".as_bytes(), true), Some(3));
    }
}
