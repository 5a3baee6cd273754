//! What a `Replace` of Hugging Face `tokenizers` looks for.

use serde::Deserialize;
use tokenizers::normalizers::Replace;

/// What is replaced in a text.
#[derive(Deserialize)]
pub(crate) enum Replaced {
    String(String),
    Regex(String),
}

impl Replaced {
    /// Reads it from what `tokenizers` writes for a replacement, since the pattern is not public.
    ///
    /// # Errors
    ///
    /// What it writes has another form.
    pub(crate) fn of(replace: &Replace) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Fields {
            pattern: Replaced,
        }
        let fields = serde_json::to_value(replace).and_then(serde_json::from_value);
        fields.map(|Fields { pattern }| pattern).map_err(|wrong| wrong.to_string())
    }
}
