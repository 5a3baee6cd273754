//! Text normalized to NFC, for tokenizers that ask for it.

use std::borrow::Cow;

use tokenizers::{NormalizedString, Normalizer};
use unicode_normalization::{IsNormalized, is_nfc_quick};

/// Normalizes a text to NFC as Hugging Face `tokenizers` does.
///
/// Nearly every text is in NFC already, and then it is not copied. A text that is in NFC by newer tables
/// of Unicode is so by older ones, too: a character that they do not know neither composes nor moves.
/// Every text that may not be in NFC goes through the tables of `tokenizers`.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    let mut normalized = NormalizedString::from(text);
    match tokenizers::normalizers::NFC.normalize(&mut normalized) {
        Ok(()) => Cow::Owned(normalized.get().to_owned()),
        // It has no way to fail.
        Err(_) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn oracle(text: &str) -> String {
        let mut normalized = NormalizedString::from(text);
        tokenizers::normalizers::NFC.normalize(&mut normalized).unwrap();
        normalized.get().to_owned()
    }

    proptest! {
        /// Any text is normalized as `tokenizers` normalizes it.
        #[test]
        fn text_is_normalized_as_by_the_oracle(
            text in "([a-e]|[\u{300}-\u{330}]|[\u{1100}-\u{11ff}]|[é\u{37e}\u{2126}가각힣]|\\PC){0,60}"
        ) {
            prop_assert_eq!(nfc(&text), oracle(&text));
        }
    }

    #[test]
    fn every_character_alone_is_normalized_as_by_the_oracle() {
        for character in (0..0x11_0000).filter_map(char::from_u32) {
            let text = format!("a{character}\u{301}");
            assert_eq!(nfc(&text), oracle(&text), "{text:?}");
        }
    }
}
