//! Reads a SentencePiece `.model`: the pieces with their scores, and the few settings that change ids.
//!
//! The file is one protobuf message, `ModelProto`. Only the fields below are looked at; others are
//! stepped over, as protobuf asks of its readers.

use ratdata_schemas::TokenId;
use thiserror::Error;

use crate::bounds::limits::{LONGEST_PIECE, MOST_PIECES};
use crate::tokenizer::json::byte_level::byte_value;

/// What a SentencePiece model says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "the format has these flags")]
pub(crate) struct SentencePieceModel {
    /// The pieces; the place in the list is the id.
    pub(crate) pieces: Vec<ScoredPiece>,
    /// `trainer_spec.model_type`: 1 unigram, 2 BPE, 3 word, 4 char.
    pub(crate) model_type: u64,
    /// `trainer_spec.byte_fallback`.
    pub(crate) byte_fallback: bool,
    /// `trainer_spec.bos_piece`: what begins a document.
    pub(crate) bos_piece: String,
    /// `trainer_spec.eos_piece`: what ends a document.
    pub(crate) eos_piece: String,
    /// `normalizer_spec.add_dummy_prefix`.
    pub(crate) add_dummy_prefix: bool,
    /// `normalizer_spec.remove_extra_whitespaces`.
    pub(crate) remove_extra_whitespaces: bool,
    /// `normalizer_spec.escape_whitespaces`.
    pub(crate) escape_whitespaces: bool,
    /// `trainer_spec.treat_whitespace_as_suffix`.
    pub(crate) space_after: bool,
    /// `normalizer_spec.precompiled_charsmap`: what characters become; empty where they stay.
    pub(crate) character_map: Vec<u8>,
}

/// One piece of a SentencePiece vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScoredPiece {
    /// The text, with `▁` for a space.
    pub(crate) text: String,
    /// The log probability, or for BPE minus the merge's number.
    pub(crate) score: f32,
    /// What the piece is for.
    pub(crate) kind: PieceKind,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// Text.
    Normal,
    /// What cannot be spelt.
    Unknown,
    /// A mark such as `<s>`, never found in text.
    Control,
    /// A word that is always kept whole.
    UserDefined,
    /// One byte of what cannot be spelt.
    Byte,
    /// A piece that merges may pass through and that is split again.
    Unused,
}

/// Why the bytes are not a SentencePiece model.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("byte {at}: {reason}")]
pub(crate) struct ProtobufError {
    /// Where in the file.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) reason: &'static str,
}

impl SentencePieceModel {
    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    ///
    /// The bytes are not a protobuf message, or hold no piece.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ProtobufError> {
        // Defaults of the message's own definition, for fields that are not written.
        let mut model = Self {
            model_type: 1,
            bos_piece: "<s>".into(),
            eos_piece: "</s>".into(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            ..Self::default()
        };
        let mut fields = Fields::new(bytes, 0);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(at, piece)) => {
                    if model.pieces.len() >= MOST_PIECES {
                        return Err(ProtobufError { at, reason: "more than 1048576 pieces" });
                    }
                    model.pieces.push(read_piece(piece, at)?);
                }
                (2, Value::Bytes(at, trainer)) => model.read_trainer(trainer, at)?,
                (3, Value::Bytes(at, normalizer)) => model.read_normalizer(normalizer, at)?,
                _ => {}
            }
        }
        if model.pieces.is_empty() {
            return Err(ProtobufError { at: 0, reason: "no vocabulary piece" });
        }
        Ok(model)
    }

    /// Returns the piece of each byte; none where some byte has no piece.
    pub(crate) fn byte_ids(&self) -> Option<Box<[TokenId; 256]>> {
        let mut ids = [None; 256];
        for (id, piece) in (0..).zip(&self.pieces) {
            if let (PieceKind::Byte, Some(byte)) = (piece.kind, byte_value(&piece.text)) {
                ids[usize::from(byte)] = Some(id);
            }
        }
        ids.into_iter().collect::<Option<Box<[TokenId]>>>()?.try_into().ok()
    }

    fn read_trainer(&mut self, bytes: &[u8], at: usize) -> Result<(), ProtobufError> {
        let mut fields = Fields::new(bytes, at);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (3, Value::Int(model_type)) => self.model_type = model_type,
                (24, Value::Int(flag)) => self.space_after = flag != 0,
                (35, Value::Int(flag)) => self.byte_fallback = flag != 0,
                (46, Value::Bytes(at, text)) => self.bos_piece = read_text(text, at)?,
                (47, Value::Bytes(at, text)) => self.eos_piece = read_text(text, at)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, bytes: &[u8], at: usize) -> Result<(), ProtobufError> {
        let mut fields = Fields::new(bytes, at);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (2, Value::Bytes(_, map)) => self.character_map = map.to_vec(),
                (3, Value::Int(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Value::Int(flag)) => self.remove_extra_whitespaces = flag != 0,
                (5, Value::Int(flag)) => self.escape_whitespaces = flag != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_piece(bytes: &[u8], at: usize) -> Result<ScoredPiece, ProtobufError> {
    let mut piece = ScoredPiece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    let mut fields = Fields::new(bytes, at);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(at, text)) if text.len() > LONGEST_PIECE => {
                return Err(ProtobufError { at, reason: "a piece of more than 65536 bytes" });
            }
            (1, Value::Bytes(at, text)) => piece.text = read_text(text, at)?,
            (2, Value::Fixed32(bits)) => piece.score = f32::from_bits(bits),
            (3, Value::Int(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    _ => return Err(ProtobufError { at, reason: "a piece of an unknown kind" }),
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

fn read_text(bytes: &[u8], at: usize) -> Result<String, ProtobufError> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| ProtobufError { at, reason: "a piece is not UTF-8" })
}

/// A field's value, with its place in the file where it has parts of its own.
enum Value<'a> {
    Int(u64),
    Fixed32(u32),
    Bytes(usize, &'a [u8]),
    Skipped,
}

/// The fields of one protobuf message, in the order they are written.
struct Fields<'a> {
    bytes: &'a [u8],
    read: usize,
    start: usize,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, read: 0, start }
    }

    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, ProtobufError> {
        if self.read == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Int(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Skipped
            }
            2 => {
                let len = usize::try_from(self.varint()?)
                    .map_err(|_| self.wrong("a length beyond the address space"))?;
                let at = self.start + self.read;
                Value::Bytes(at, self.take(len)?)
            }
            5 => {
                let word = self.take(4)?;
                Value::Fixed32(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            }
            _ => return Err(self.wrong("not a protobuf field")),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.wrong("an integer of more than ten bytes"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ProtobufError> {
        let end = self.read.checked_add(len).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return Err(self.wrong("the file ends within a field")) };
        let taken = &self.bytes[self.read..end];
        self.read = end;
        Ok(taken)
    }

    fn wrong(&self, reason: &'static str) -> ProtobufError {
        ProtobufError { at: self.start + self.read, reason }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_piece_has_text_score_and_kind() {
        // field 1 (len 7): text "ab", score 1.5, kind 6
        let bytes = [0x0a, 11, 0x0a, 2, b'a', b'b', 0x15, 0, 0, 0xc0, 0x3f, 0x18, 6];

        let model = SentencePieceModel::parse(&bytes).unwrap();

        assert_eq!(
            model.pieces,
            [ScoredPiece { text: "ab".into(), score: 1.5, kind: PieceKind::Byte }]
        );
        assert!(model.add_dummy_prefix);
    }

    #[test]
    fn a_file_that_ends_early_is_refused_with_the_place() {
        let refused = SentencePieceModel::parse(&[0x0a, 50, 1]).unwrap_err();

        assert_eq!(refused, ProtobufError { at: 2, reason: "the file ends within a field" });
    }

    proptest! {
        /// Any bytes are a model or an error, never a panic.
        #[test]
        fn any_bytes_are_read_safely(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(SentencePieceModel::parse(&bytes));
        }
    }
}
