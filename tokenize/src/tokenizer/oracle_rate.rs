//! Whether texts are left to Hugging Face `tokenizers`, and how fast it is here.

use std::time::Instant;

use ratdata_schemas::recipe::SpecialInText;

use super::loaded::{Loaded, Served};

/// A text to measure with, of several scripts. Its number makes each one another text.
fn sample(number: usize) -> String {
    format!(
        "In {number} the committee of {number} members, which hadn't met before, wrote: \"A text is data.\"\n\
         def f_{number}(x): return x[{number}:] + 'é'  # {number:x}\n\
         Привет, мир {number}! 你好，世界。नमस्ते दुनिया\n"
    )
}

/// How many sample texts are encoded: about 50 KB.
const SAMPLES: usize = 250;

/// Returns why texts are left to Hugging Face `tokenizers`, if they are.
pub(super) fn left_to_oracle(loaded: &Loaded, specials: SpecialInText) -> Option<&str> {
    match &loaded.served {
        Served::Oracle(reason) => Some(reason),
        Served::Engine { .. }
            if specials == SpecialInText::Plain && !loaded.vocabulary.added.are_special() =>
        {
            Some("special tokens are plain text and it has added tokens that are not special")
        }
        Served::Engine { .. } | Served::Stages(_) | Served::Unigram(_) => None,
    }
}

/// Returns how many bytes a second Hugging Face `tokenizers` encodes on one thread; none where it refuses the
/// sample.
pub(super) fn oracle_rate(loaded: &Loaded, specials: SpecialInText) -> Option<f64> {
    let texts: Vec<String> = (0..SAMPLES).map(|number| sample(1900 + 7 * number)).collect();
    loaded.oracle_encode(&texts[0], specials).ok()?; // the first one may load tables
    let begun = Instant::now();
    for text in &texts {
        loaded.oracle_encode(text, specials).ok()?;
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    Some(bytes as f64 / begun.elapsed().as_secs_f64().max(1e-9))
}
