//! The values of columns, and the types that a predicate knows of.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The value of a column in a row, or of a part of a predicate.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing, and what is computed from nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
}

/// What a column holds, or a part of a predicate gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// True and false.
    Bool,
    /// Whatever a row has: fields of JSON are not declared.
    Any,
}

impl Type {
    /// Returns whether values of the two can be compared.
    pub(super) fn fits(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::Any => "any value",
        })
    }
}

impl Value<'_> {
    /// Returns what the value is, in words.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
        }
    }

    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Any,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) | Self::Float(_) => Type::Number,
            Self::Text(_) => Type::Text,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Compares two values of one type; none where the types differ or a number is none.
    pub(super) fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
            (Self::Text(one), Value::Text(two)) => Some(one.as_ref().cmp(two.as_ref())),
            (Self::Int(one), Value::Int(two)) => Some(one.cmp(two)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }
}
