//! Amounts of documents, as `mix` is asked for them.
//!
//! ```text
//! --tokens 10B          -> Amount
//! --take weight=0.7     -> Take      a share of what is left of the total
//!        tokens=1B      -> Take      an amount of its own
//!        epochs=2       -> Take      all of it, twice
//! ```

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most epochs that a source can be asked for.
pub const MOST_EPOCHS: f64 = 1000.0;

/// An amount of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Amount {
    /// This many tokens.
    Tokens(u64),
    /// This many documents.
    Documents(u64),
    /// This many bytes of text, by the mean of the artifact.
    Bytes(u64),
}

/// How much of one artifact is taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Take {
    /// This many tokens.
    Tokens(u64),
    /// This many documents.
    Documents(u64),
    /// This many bytes of text, by the mean of the artifact.
    Bytes(u64),
    /// A share of what other sources leave of the total, relative to the other weights.
    Weight(f64),
    /// Every document this often; of a fraction, some documents once more.
    Epochs(f64),
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found `{found}`, expected {expected}")]
pub struct AmountError {
    found: String,
    expected: &'static str,
}

/// What an amount of one artifact looks like.
const TAKE: &str = "`tokens=N`, `documents=N`, `bytes=N`, `weight=X` or `epochs=X`, such as `tokens=10B` or `weight=0.3`";

impl Take {
    /// Returns the amount that it names by itself.
    pub fn amount(self) -> Option<Amount> {
        match self {
            Self::Tokens(count) => Some(Amount::Tokens(count)),
            Self::Documents(count) => Some(Amount::Documents(count)),
            Self::Bytes(count) => Some(Amount::Bytes(count)),
            Self::Weight(_) | Self::Epochs(_) => None,
        }
    }

    /// Returns the weight, if it is one.
    pub fn weight(self) -> Option<f64> {
        match self {
            Self::Weight(weight) => Some(weight),
            _ => None,
        }
    }
}

impl FromStr for Take {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let wrong = |expected| AmountError { found: text.to_owned(), expected };
        let (unit, number) = text.split_once('=').ok_or_else(|| wrong(TAKE))?;
        let whole = || count(number).map_err(|inner| wrong(inner.expected));
        let share = |most: f64, expected| match number.trim().parse::<f64>() {
            Ok(share) if share > 0.0 && share <= most => Ok(share),
            _ => Err(wrong(expected)),
        };
        match unit.trim() {
            "tokens" => whole().map(Self::Tokens),
            "documents" => whole().map(Self::Documents),
            "bytes" => whole().map(Self::Bytes),
            "weight" => share(f64::MAX, "a weight above 0, such as `weight=0.3`").map(Self::Weight),
            "epochs" => share(MOST_EPOCHS, "epochs above 0 and at most 1000, such as `epochs=2`")
                .map(Self::Epochs),
            _ => Err(wrong(TAKE)),
        }
    }
}

impl fmt::Display for Take {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Tokens(count) => format!("tokens={count}"),
            Self::Documents(count) => format!("documents={count}"),
            Self::Bytes(count) => format!("bytes={count}"),
            Self::Weight(weight) => format!("weight={weight}"),
            Self::Epochs(epochs) => format!("epochs={epochs}"),
        };
        f.pad(&text)
    }
}

/// Reads how many of something there are: a number, also one such as `1.5M`, `10B` or `200GB`.
///
/// # Errors
///
/// It is no such number, or less than one.
pub fn count(text: &str) -> Result<u64, AmountError> {
    const EXPECTED: &str =
        "a number from 1 on, such as 250000, 1.5M or 10B (k, M, B or G, T: thousands)";
    let wrong = || AmountError { found: text.to_owned(), expected: EXPECTED };
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let power = match &lower[digits.len()..] {
        "" => 0,
        "k" | "kb" => 3,
        "m" | "mb" => 6,
        "b" | "g" | "gb" => 9,
        "t" | "tb" => 12,
        _ => return Err(wrong()),
    };
    // No floating point: `0.3B` is what it says.
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > power {
        return Err(wrong());
    }
    let zeros = "0".repeat(power - fraction.len());
    let number = format!("{whole}{fraction}{zeros}").parse::<u64>();
    number.ok().filter(|&number| number > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_take_is_read_and_written() {
        for (text, take) in [
            ("tokens=10B", Take::Tokens(10_000_000_000)),
            ("documents=1.5M", Take::Documents(1_500_000)),
            ("bytes=0.3GB", Take::Bytes(300_000_000)),
            ("weight=0.25", Take::Weight(0.25)),
            ("epochs=2", Take::Epochs(2.0)),
        ] {
            assert_eq!(text.parse(), Ok(take));
            assert_eq!(take.to_string().parse(), Ok(take), "{take}");
        }
    }

    #[test]
    fn what_is_no_amount_is_told_with_what_was_expected() {
        for (text, expected) in [
            ("10B", "`tokens=N`"),
            ("rows=3", "`tokens=N`"),
            ("tokens=0", "from 1 on"),
            ("tokens=1.5", "from 1 on"),
            ("tokens=-1", "from 1 on"),
            ("tokens=1x", "from 1 on"),
            ("tokens=99999999999999T", "from 1 on"),
            ("weight=0", "above 0"),
            ("weight=NaN", "above 0"),
            ("epochs=1001", "at most 1000"),
            ("epochs=inf", "at most 1000"),
        ] {
            let said = text.parse::<Take>().unwrap_err().to_string();

            assert!(
                said.starts_with(&format!("found `{text}`")) && said.contains(expected),
                "{said}"
            );
        }
    }
}
