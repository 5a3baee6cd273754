//! Compares the ids of a tokenizer with those of its oracle: `agree TOKENIZER FILE…`
//!
//! Each file is text; every line of it is encoded, and the whole file in stretches of about 8 KB. Prints one line of
//! JSON, and fails at the first text whose ids differ.
#![expect(clippy::print_stdout, reason = "a check prints its result")]

use std::error::Error;

use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, files @ ..] = arguments.as_slice() else {
        return Err("usage: agree TOKENIZER FILE…".into());
    };
    let tokenizer = Tokenizer::load(path)?;
    let oracle = tokenizer.oracle();
    let mut encoder = tokenizer.encoder(SpecialInText::Parse);
    let (mut texts, mut bytes, mut ids) = (0, 0, Vec::<u32>::new());
    for file in files {
        let text = std::fs::read_to_string(file)?;
        for stretch in text.lines().chain(stretches(&text)) {
            ids.clear();
            encoder.encode_into(stretch, &mut ids)?;
            let expected = oracle.encode(stretch, SpecialInText::Parse)?;
            if ids != expected {
                let at = ids.iter().zip(&expected).take_while(|(one, other)| one == other).count();
                return Err(
                    format!("{file}: the ids differ from place {at} on: {stretch:?}").into()
                );
            }
            texts += 1;
            bytes += stretch.len();
        }
    }
    println!(
        "{{\"texts\": {texts}, \"bytes\": {bytes}, \"left_to_tokenizers\": {:?}, \"differences\": 0}}",
        tokenizer.uncovered()
    );
    Ok(())
}

/// Cuts a text at line ends into stretches of about 8 KB.
fn stretches(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.floor_char_boundary(8192);
        let end = rest[from..].find('\n').map_or(rest.len(), |line| from + line + 1);
        let (stretch, after) = rest.split_at(end);
        rest = after;
        (!stretch.is_empty()).then_some(stretch)
    })
}
