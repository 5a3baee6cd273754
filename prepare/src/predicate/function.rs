//! The functions of predicates.

use std::borrow::Cow;
use std::ops::Range;

use regex::Regex;

use super::error::PredicateError;
use super::value::{Type, Value};

/// A function of the language.
#[derive(Clone, Debug)]
pub(super) enum Function {
    /// How many characters a text has.
    Len,
    /// How many bytes a text has in UTF-8.
    Bytes,
    /// How many words a text has, which white space parts.
    Words,
    /// How many lines a text has.
    Lines,
    Lower,
    Contains,
    StartsWith,
    EndsWith,
    /// Whether a regular expression finds something.
    Matches(Option<Regex>),
    Abs,
    /// The number that a text is, as separated values have numbers.
    Number,
    /// The language of a text, as ISO 639-3 has it.
    Lang,
}

const NAMES: [&str; 12] = [
    "len",
    "bytes",
    "words",
    "lines",
    "lower",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "abs",
    "number",
    "lang",
];

impl Function {
    /// Returns the function of a name.
    pub(super) fn named(text: &str, name: &str, at: Range<usize>) -> Result<Self, PredicateError> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "len" => Self::Len,
            "bytes" => Self::Bytes,
            "words" => Self::Words,
            "lines" => Self::Lines,
            "lower" => Self::Lower,
            "contains" => Self::Contains,
            "starts_with" => Self::StartsWith,
            "ends_with" => Self::EndsWith,
            "matches" => Self::Matches(None),
            "abs" => Self::Abs,
            "number" => Self::Number,
            "lang" => Self::Lang,
            _ => {
                let wrong = PredicateError::new(text, at, format!("no function `{name}`"));
                return Err(wrong.hinted(format!("the functions are: {}", NAMES.join(", "))));
            }
        })
    }

    /// Returns whether [`Function::Lang`] gives this code for some texts.
    pub(super) fn is_language(code: &str) -> bool {
        whatlang::Lang::from_code(code).is_some_and(|lang| lang.code() == code)
    }

    fn arguments(&self) -> &'static [Type] {
        match self {
            Self::Len | Self::Bytes | Self::Words | Self::Lines | Self::Lower | Self::Lang => {
                &[Type::Text]
            }
            Self::Abs => &[Type::Number],
            Self::Number => &[Type::Any],
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches(_) => {
                &[Type::Text, Type::Text]
            }
        }
    }

    /// Returns what it gives.
    pub(super) fn result(&self) -> Type {
        match self {
            Self::Len | Self::Bytes | Self::Words | Self::Lines | Self::Abs | Self::Number => {
                Type::Number
            }
            Self::Lower | Self::Lang => Type::Text,
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches(_) => Type::Bool,
        }
    }

    /// Returns what it takes at a place.
    pub(super) fn argument(&self, place: usize) -> Type {
        self.arguments().get(place).copied().unwrap_or(Type::Any)
    }

    /// Checks how many arguments there are.
    pub(super) fn check_count(
        &self,
        text: &str,
        found: usize,
        at: &Range<usize>,
    ) -> Result<(), PredicateError> {
        let wanted = self.arguments().len();
        if found == wanted {
            return Ok(());
        }
        let wrong = format!("found {found} arguments, expected {wanted}");
        Err(PredicateError::new(text, at.clone(), wrong))
    }

    /// Compiles the regular expression of [`Function::Matches`]; `pattern` is the last argument, where it
    /// is a text in quotes.
    pub(super) fn compiled(
        self,
        text: &str,
        pattern: Option<&str>,
        at: Range<usize>,
    ) -> Result<Self, PredicateError> {
        if !matches!(self, Self::Matches(_)) {
            return Ok(self);
        }
        let Some(pattern) = pattern else {
            return Err(PredicateError::new(text, at, "expected a regular expression in quotes"));
        };
        let compiled = Regex::new(pattern).map_err(|wrong| {
            let lines = wrong.to_string();
            let reason = lines.lines().last().unwrap_or_default().to_owned();
            PredicateError::new(text, at, reason)
        })?;
        Ok(Self::Matches(Some(compiled)))
    }

    /// Computes the function; the arguments have its types, or are null.
    pub(super) fn call<'a>(&self, arguments: &[Value<'a>]) -> Value<'a> {
        let count = |count: usize| i64::try_from(count).map_or(Value::Null, Value::Int);
        match (self, arguments) {
            (Self::Len, [Value::Text(text)]) => count(text.chars().count()),
            (Self::Bytes, [Value::Text(text)]) => count(text.len()),
            (Self::Words, [Value::Text(text)]) => count(text.split_whitespace().count()),
            (Self::Lines, [Value::Text(text)]) => count(text.lines().count()),
            (Self::Lower, [Value::Text(text)]) => Value::Text(Cow::Owned(text.to_lowercase())),
            (Self::Lang, [Value::Text(text)]) => language(text),
            (Self::Abs, [Value::Int(number)]) => {
                number.checked_abs().map_or(Value::Float((*number as f64).abs()), Value::Int)
            }
            (Self::Abs, [Value::Float(number)]) => Value::Float(number.abs()),
            (Self::Number, [number @ (Value::Int(_) | Value::Float(_))]) => number.clone(),
            (Self::Number, [Value::Text(text)]) => number_of(text.trim()),
            (Self::Contains, [Value::Text(text), Value::Text(part)]) => {
                Value::Bool(text.contains(part.as_ref()))
            }
            (Self::StartsWith, [Value::Text(text), Value::Text(part)]) => {
                Value::Bool(text.starts_with(part.as_ref()))
            }
            (Self::EndsWith, [Value::Text(text), Value::Text(part)]) => {
                Value::Bool(text.ends_with(part.as_ref()))
            }
            (Self::Matches(Some(regex)), [Value::Text(text), _]) => {
                Value::Bool(regex.is_match(text))
            }
            _ => Value::Null,
        }
    }
}

/// Returns the number that a text is; null where it is none.
fn number_of<'a>(text: &str) -> Value<'a> {
    if let Ok(whole) = text.parse::<i64>() {
        return Value::Int(whole);
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map_or(Value::Null, Value::Float)
}

/// How much of a text says its language.
const READ: usize = 4096;

/// Returns the language of a text; null where there is no letter to tell it by.
fn language<'a>(text: &str) -> Value<'a> {
    let mut end = READ.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let found = whatlang::detect_lang(&text[..end]);
    found.map_or(Value::Null, |lang| Value::Text(Cow::Borrowed(lang.code())))
}
