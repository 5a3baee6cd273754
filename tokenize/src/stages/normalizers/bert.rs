//! The normalizer of BERT: cleans the text, puts spaces around Chinese characters, strips accents, and
//! writes all in lower case.
//!
//! `tokenizers` does the four one after the other over the whole text. Here they are one pass: only the
//! decomposition looks at more than one character, and only at a stretch of characters that it changes or
//! may move.

use unicode_normalization_alignments::UnicodeNormalization;

use super::super::traits::Traits;
use super::form::Form;
use super::local;

/// How many bytes of ASCII are written at once.
const BLOCK: usize = 32;

/// What of the four is done.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the four are independent")]
pub(in super::super) struct Bert {
    clean: bool,
    chinese: bool,
    strip: bool,
    lowercase: bool,
    /// Which bytes of ASCII are not written as they are.
    ascii: [bool; 128],
}

impl Bert {
    /// Makes the step.
    #[expect(clippy::fn_params_excessive_bools, reason = "the file has these four")]
    pub(in super::super) fn new(clean: bool, chinese: bool, strip: bool, lowercase: bool) -> Self {
        let changes =
            |byte: u8| clean && byte.is_ascii_control() || lowercase && byte.is_ascii_uppercase();
        let ascii = std::array::from_fn(|place| u8::try_from(place).is_ok_and(changes));
        Self { clean, chinese, strip, lowercase, ascii }
    }

    /// See [`super::Normalizer::apply`].
    pub(super) fn apply(&self, text: &str, out: &mut String) -> bool {
        let changes = |byte: u8| self.ascii.get(usize::from(byte)).copied().unwrap_or(true);
        let bytes = text.as_bytes();
        let Some(mut at) = bytes.iter().position(|&byte| changes(byte)) else { return false };
        out.reserve(text.len());
        out.push_str(&text[..at]);
        let mut held = String::new();
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii() {
                self.release(&mut held, out);
                let len = self.ascii_stretch(&bytes[at..], out);
                at += len;
                if len > 0 {
                    continue;
                }
            }
            let Some(character) = text[at..].chars().next() else { break };
            at += character.len_utf8();
            self.character(character, &mut held, out);
        }
        self.release(&mut held, out);
        true
    }

    /// Writes the beginning of a text that is all of ASCII, with no control that is removed; returns how many bytes
    /// it has.
    fn ascii_stretch(&self, bytes: &[u8], out: &mut String) -> usize {
        let mut done = 0;
        for bytes in bytes.chunks(BLOCK) {
            let mut block = [0; BLOCK];
            match bytes.first_chunk::<BLOCK>() {
                Some(whole) => block = *whole,
                None => block[..bytes.len()].copy_from_slice(bytes),
            }
            let odd = self.ascii_block(&mut block);
            let len = if odd == [0; BLOCK] {
                bytes.len()
            } else {
                let same = odd.iter().position(|&odd| odd != 0);
                same.unwrap_or(BLOCK).min(bytes.len())
            };
            let Ok(written) = std::str::from_utf8(&block[..len]) else { break };
            out.push_str(written);
            done += len;
            if len < BLOCK {
                break;
            }
        }
        done
    }

    /// Writes a block otherwise in place, and returns which bytes are not of ASCII or are removed: those are not zero.
    ///
    /// It has no branch, so that the compiler makes vector instructions of it.
    #[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch")]
    #[inline]
    fn ascii_block(&self, block: &mut [u8; BLOCK]) -> [u8; BLOCK] {
        let all = |is_so: bool| 0_u8.wrapping_sub(u8::from(is_so));
        let (cleaned, lowered) = (all(self.clean), all(self.lowercase) & 0x20);
        let mut odd = [0; BLOCK];
        for (byte, odd) in block.iter_mut().zip(&mut odd) {
            let white = all((*byte == b'\t') | (*byte == b'\n') | (*byte == b'\r')) & cleaned;
            let control = all((*byte < b' ') | (*byte == 0x7f)) & cleaned;
            *odd = *byte & 0x80 | control & !white;
            let upper = all(byte.wrapping_sub(b'A') < 26);
            *byte = (*byte | upper & lowered) & !white | white & b' ';
        }
        odd
    }

    /// Writes one character, or holds it back until its sequence of marks is whole.
    fn character(&self, character: char, held: &mut String, out: &mut String) {
        let traits = Traits::of(character);
        let mut character = character;
        if self.clean {
            if traits.has(Traits::REMOVED) {
                return;
            }
            if traits.has(Traits::WHITE) {
                character = ' ';
            }
        }
        if self.strip && !Traits::of(character).has(Traits::NFD) {
            // No Chinese character outside of the compatibility blocks gets here.
            if self.chinese && traits.has(Traits::CHINESE) {
                self.release(held, out);
                out.push(' ');
                held.push(character);
                self.release(held, out);
                out.push(' ');
            } else {
                held.push(character);
            }
            return;
        }
        self.release(held, out);
        let spaced = self.chinese && traits.has(Traits::CHINESE);
        if spaced {
            out.push(' ');
        }
        self.write(character, out);
        if spaced {
            out.push(' ');
        }
    }

    /// Decomposes what was held back, and writes it.
    fn release(&self, held: &mut String, out: &mut String) {
        if held.is_empty() {
            return;
        }
        for (character, _) in held.nfd() {
            self.write(character, out);
        }
        held.clear();
    }

    /// Writes a character that is decomposed.
    fn write(&self, character: char, out: &mut String) {
        let traits = Traits::of(character);
        if self.strip && traits.has(Traits::NONSPACING) {
            return;
        }
        if self.lowercase && traits.has(Traits::CASED) {
            out.extend(character.to_lowercase());
        } else {
            out.push(character);
        }
    }

    /// See [`super::Normalizer::first`]. The four are done one after the other.
    pub(super) fn first(&self, text: &str, first: usize) -> usize {
        let (mut text, mut first) = (text.to_owned(), first);
        let mut step = |is_done: bool, step: &dyn Fn(&str) -> String| {
            if is_done {
                first = step(&text[..first]).len();
                text = step(&text);
            }
        };
        step(self.clean, &cleaned);
        step(self.chinese, &spaced);
        if self.strip {
            let decomposed = Form::Nfd.first(&text, first);
            let mut written = String::new();
            Form::Nfd.write(&text, &mut written);
            let kept = |text: &str| {
                let keep = |character: &char| !Traits::of(*character).has(Traits::NONSPACING);
                text.chars().filter(keep).collect::<String>()
            };
            first = kept(&written[..decomposed]).len();
            text = kept(&written);
        }
        if self.lowercase {
            let mut lower = String::new();
            if local::lowercase(&text[..first], &mut lower) {
                first = lower.len();
            }
        }
        first
    }
}

fn cleaned(text: &str) -> String {
    let of = |character| {
        let traits = Traits::of(character);
        let written = if traits.has(Traits::WHITE) { ' ' } else { character };
        (!traits.has(Traits::REMOVED)).then_some(written)
    };
    text.chars().filter_map(of).collect()
}

fn spaced(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if Traits::of(character).has(Traits::CHINESE) {
            out.extend([' ', character, ' ']);
        } else {
            out.push(character);
        }
    }
    out
}
