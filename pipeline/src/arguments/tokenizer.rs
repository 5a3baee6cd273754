//! The tokenizer that an option names.

use ratdata_tokenize::hub::{FoundTokenizer, resolve_tokenizer};
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};

use crate::failure::{Failure, Kind};
use crate::library_failures::hub_failure;
use crate::progress::FetchBars;
use crate::ui::Ui;

/// Finds or fetches the tokenizer that the user named.
///
/// # Errors
///
/// It cannot be found or fetched.
pub(crate) fn resolve(wanted: &str, bars: &FetchBars) -> Result<FoundTokenizer, Failure> {
    resolve_tokenizer(wanted, bars).map_err(|wrong| hub_failure(&wrong))
}

/// Loads a tokenizer that was found.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn load(found: &FoundTokenizer) -> Result<Tokenizer, Failure> {
    Tokenizer::load(&found.path)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
}

/// Warns where texts are left to Hugging Face `tokenizers`, with its rate as measured now.
pub(crate) fn tell_oracle(ui: &Ui, tokenizer: &Tokenizer, specials: SpecialInText) {
    let Some(reason) = tokenizer.left_to_oracle(specials) else { return };
    let rate = tokenizer.oracle_rate(specials).map_or_else(String::new, |rate| {
        format!(", which encodes {:.1} MB/s on one thread here", rate / 1e6)
    });
    ui.warn(&format!("this tokenizer is left to Hugging Face `tokenizers`{rate}, since {reason}"));
}

/// Tells where a tokenizer is used otherwise than its file says.
pub(crate) fn tell_notes(ui: &Ui, tokenizer: &Tokenizer) {
    for note in tokenizer.notes() {
        ui.warn(&format!("{}: {note}", tokenizer.path().display()));
    }
}
