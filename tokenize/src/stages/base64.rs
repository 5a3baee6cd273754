//! Base64, as tokenizer files write character maps and the bytes of pieces.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be missing, and bits after the last byte have no meaning.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes standard Base64; `None` where it is none.
pub(crate) fn decode_base64(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(decode_base64("AQIDBP8=").unwrap(), [1, 2, 3, 4, 255]);
        assert_eq!(decode_base64("AQIDBP8").unwrap(), [1, 2, 3, 4, 255]);
        assert_eq!(decode_base64("AR").unwrap(), [1]);
        assert_eq!(decode_base64("").unwrap(), [0_u8; 0]);
        assert_eq!(decode_base64("A B"), None);
    }
}
