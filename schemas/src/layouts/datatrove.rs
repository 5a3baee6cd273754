//! datatrove's `.ds`: headerless ids with the files `.ds.index`, `.ds.loss` and `.ds.metadata`.
//!
//! `.ds.index` is the same as our document index: `u64` ends without a leading 0. `.ds.loss` has one
//! byte a token, 1 where it is trained on. `.ds.metadata` is three lines: the tokenizer's name with
//! the bytes per token after a `|`, the number of tokens, and that number in readable form.

use super::LayoutError;
use crate::token::Dtype;

/// What `.ds.metadata` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatatroveMetadata {
    /// The tokenizer as the writer called it.
    pub tokenizer: String,
    /// The width of the ids.
    pub dtype: Dtype,
    /// How many tokens the writer counted.
    pub tokens: u64,
}

impl DatatroveMetadata {
    /// Reads the text of a `.ds.metadata`.
    ///
    /// # Errors
    ///
    /// A line is missing or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or("");
        let expected = "a tokenizer's name, `|` and 2 or 4";
        let wrong =
            || LayoutError::field("the first line", format!("`{}`", brief(first)), expected);
        let (tokenizer, width) = first.rsplit_once('|').ok_or_else(wrong)?;
        let dtype = match width.trim() {
            "2" => Dtype::U16,
            "4" => Dtype::U32,
            _ => return Err(wrong()),
        };
        let second = lines.next().unwrap_or("");
        let tokens = second.trim().parse().map_err(|_| {
            LayoutError::field(
                "the second line",
                format!("`{}`", brief(second)),
                "a number of tokens",
            )
        })?;
        Ok(Self { tokenizer: tokenizer.to_owned(), dtype, tokens })
    }

    /// Returns the text of the file.
    pub fn to_text(&self) -> String {
        format!(
            "{}|{}\n{}\n{}",
            self.tokenizer,
            self.dtype.width(),
            self.tokens,
            metric(self.tokens)
        )
    }
}

fn brief(line: &str) -> String {
    line.chars().take(60).collect()
}

/// Writes a number of tokens in readable form: three digits and a unit, as in `1.23 GT`.
fn metric(tokens: u64) -> String {
    let exponent = tokens.checked_ilog10().unwrap_or(0);
    let value = tokens as f64 / 10_f64.powi((exponent / 3 * 3).cast_signed());
    let decimals = 2 - exponent as usize % 3;
    let prefix = ["", "k", "M", "G", "T", "P", "E"][exponent as usize / 3];
    format!("{value:.decimals$} {prefix}T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_comes_back() {
        let metadata =
            DatatroveMetadata { tokenizer: "a|b".into(), dtype: Dtype::U32, tokens: 1_234_567 };

        assert_eq!(metadata.to_text(), "a|b|4\n1234567\n1.23 MT");
        assert_eq!(DatatroveMetadata::parse(metadata.to_text().as_bytes()), Ok(metadata));
    }

    #[test]
    fn numbers_have_three_digits() {
        for (tokens, says) in
            [(0, "0.00 T"), (7, "7.00 T"), (12_345, "12.3 kT"), (999_000_000, "999 MT")]
        {
            assert_eq!(metric(tokens), says);
        }
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for text in ["", "gpt2", "gpt2|3\n1\n", "gpt2|2", "gpt2|2\nmany\n", "\u{fffd}"] {
            assert!(DatatroveMetadata::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
