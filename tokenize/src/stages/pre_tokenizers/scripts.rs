//! The pre-tokenizer `UnicodeScripts`: cuts where the script changes.
//!
//! The table of scripts in `tokenizers` is private, and older than others. So it is learned from the
//! pre-tokenizer itself: it drops a text whose characters are of any script, and does not cut between two of
//! the same one.

use std::sync::{Mutex, OnceLock, PoisonError};

use tokenizers::pre_tokenizers::unicode_scripts::UnicodeScripts;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::pieces::Piece;

/// The number of a script; 0 for characters that belong to any.
type Script = u8;

/// Cuts a text. What stands before the first character of a script is dropped.
pub(super) fn split(text: &str, base: usize, out: &mut Vec<Piece>) {
    let mut begun: Option<(usize, Script)> = None;
    for (place, character) in text.char_indices() {
        let script = script_of(character);
        if script == 0 || begun.is_some_and(|(_, last)| last == script) {
            continue;
        }
        if let Some((start, _)) = begun {
            out.push(Piece::new(base + start, base + place));
        }
        begun = Some((place, script));
    }
    if let Some((start, _)) = begun {
        out.push(Piece::new(base + start, base + text.len()));
    }
}

fn script_of(character: char) -> Script {
    static PAGES: [OnceLock<Box<[Script; 256]>>; 0x1100] = [const { OnceLock::new() }; 0x1100];
    let number = character as usize;
    PAGES[number >> 8].get_or_init(|| page(number >> 8))[number & 255]
}

/// Learns the scripts of 256 characters.
#[cold]
fn page(number: usize) -> Box<[Script; 256]> {
    /// One character of each script that was met, in the order of their numbers from 1 on.
    static MET: Mutex<Vec<char>> = Mutex::new(Vec::new());
    let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    let mut last = 0;
    Box::new(std::array::from_fn(|place| {
        let code = u32::try_from(number << 8 | place).unwrap_or(0);
        let Some(character) = char::from_u32(code) else { return 0 };
        if pieces(&character.to_string()) == 0 {
            return 0;
        }
        let is_of = |other: &char| pieces(&format!("{other}{character}")) == 1;
        // Neighbours are mostly of one script.
        if met.get(last).is_none_or(|other| !is_of(other)) {
            last = met.iter().position(is_of).unwrap_or_else(|| {
                met.push(character);
                met.len() - 1
            });
        }
        Script::try_from(last + 1).unwrap_or(Script::MAX)
    }))
}

/// Returns how many pieces `tokenizers` makes of a text.
fn pieces(text: &str) -> usize {
    let mut text = PreTokenizedString::from(text);
    match UnicodeScripts.pre_tokenize(&mut text) {
        Ok(()) => text.get_splits(OffsetReferential::Original, OffsetType::None).len(),
        Err(_) => 0,
    }
}
