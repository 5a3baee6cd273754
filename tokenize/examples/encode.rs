//! Encodes text with a tokenizer, and writes each id with its piece: `encode TOKENIZER [FILE…]`
//!
//! ```console
//! $ cargo run -p ratdata-tokenize --example encode -- tokenize/examples/tiny README.md
//! ```
//!
//! Without a file it reads standard input. The last line says how many ids there are, and that decoding
//! them gives the text back.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::io::Read;

use ratdata_tokenize::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let tokenizer = arguments.next().ok_or("usage: encode TOKENIZER [FILE…]")?;
    let tokenizer = Tokenizer::load(tokenizer)?;
    let mut text = String::new();
    for file in arguments {
        text += &std::fs::read_to_string(file)?;
    }
    if text.is_empty() {
        std::io::stdin().read_to_string(&mut text)?;
    }

    let ids = tokenizer.encode(&text)?;

    for &id in &ids {
        println!("{id:>8}  {}", tokenizer.piece(id).unwrap_or("?"));
    }
    let same = if tokenizer.decode(&ids) == text { "the text" } else { "another text" };
    println!("{} ids of {} bytes; decoded they are {same}", ids.len(), text.len());
    Ok(())
}
