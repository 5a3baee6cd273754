//! Finds the bytes of a text that each of its ids stands for.

use std::borrow::Cow;
use std::ops::Range;

use ratdata_schemas::TokenId;

use super::composed::composed;
use super::{EncodeError, Encoder, Tokenizer, json};

/// Ids, and for each the bytes of the text that it stands for.
pub type Aligned = (Vec<TokenId>, Vec<Range<usize>>);

impl Tokenizer {
    /// Returns the ids of a text, and for each the bytes of the text that it stands for.
    ///
    /// Where the engine covers the tokenizer its pieces spell the text. All else, such as a
    /// normalizer that rewrites it, is told by the offsets of Hugging Face `tokenizers`. `None`
    /// where neither says.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode_into`].
    pub fn encode_aligned(
        &self,
        text: &str,
        encoder: &mut Encoder,
    ) -> Result<Option<Aligned>, EncodeError> {
        let mut ids = Vec::new();
        if self.inner.engine.is_some() {
            encoder.encode_into(text, &mut ids)?;
            // Composed, a text may have other bytes than it has here.
            let as_it_stands = !self.inner.composes || matches!(composed(text), Cow::Borrowed(_));
            if let Some(places) = self.align(text, &ids).filter(|_| as_it_stands) {
                return Ok(Some((ids, places)));
            }
        }
        let Some(aligned) = self.inner.oracle_encode_aligned(text)? else { return Ok(None) };
        // The oracle's places are of the oracle's ids.
        Ok((self.inner.engine.is_none() || aligned.0 == ids).then_some(aligned))
    }

    /// Returns, for every id of `text`, the bytes of the text that it stands for.
    ///
    /// A `▁` that was put before the text stands for no byte. `None` where the ids cannot be laid
    /// over the text: they are another text's, or hold an unknown.
    pub fn align(&self, text: &str, ids: &[TokenId]) -> Option<Vec<Range<usize>>> {
        let mut ranges = Vec::with_capacity(ids.len());
        let mut at = 0;
        let mut after_token = true;
        for &id in ids {
            let rest = &text.as_bytes()[at..];
            let piece = self.piece(id)?;
            let added = self.inner.added_ids.contains_key(&id);
            let len = if added {
                rest.starts_with(piece.as_bytes()).then_some(piece.len())?
            } else if let Some(byte) = json::byte_value(piece) {
                (rest.first() == Some(&byte)).then_some(1)?
            } else if self.is_byte_level() {
                // Each character of a byte-level piece is one byte.
                piece.chars().count()
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
