//! Writes the ids of texts: `ids TOKENIZER parse|plain|oracle < TEXTS`
//!
//! Each line of the input is a text as a string of JSON, and each line of the output is a list of ids. A special token
//! in a text is its id, or with `plain` text. With `oracle` the slow twin encodes. `scripts/check_formats.py` compares
//! the ids with those of other programs.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;

use ratdata_tokenize::Tokenizer;
use ratdata_tokenize::tokenizer::SpecialInText;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, how] = arguments.as_slice() else {
        return Err("usage: ids TOKENIZER parse|plain|oracle < TEXTS".into());
    };
    let specials = if how == "parse" { SpecialInText::Parse } else { SpecialInText::Plain };
    let tokenizer = Tokenizer::load(path)?;
    let (mut encoder, oracle) = (tokenizer.encoder(specials), tokenizer.oracle());
    for line in std::io::stdin().lines() {
        let text: String = serde_json::from_str(&line?)?;
        let mut ids: Vec<u32> = Vec::new();
        if how == "oracle" {
            ids = oracle.encode(&text, specials)?;
        } else {
            encoder.encode_into(&text, &mut ids)?;
        }
        println!("{ids:?}");
    }
    Ok(())
}
