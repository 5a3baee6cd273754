//! Why a row of data gives no example.

use serde_json::Value;

use super::error::SftError;
use crate::source::{Place, SourceFile};
use crate::tokenizer::EncodeError;

/// Why a row gave no example.
pub(crate) enum RowError {
    /// The row is at fault, and may be skipped.
    Bad(String),
    /// The chat template refuses the row as it would refuse any.
    Refused(String),
    /// The user asked to stop.
    Interrupted,
    /// It cannot be encoded.
    Encode(EncodeError),
    /// The chat template is at fault.
    Template(String),
}

impl RowError {
    /// Returns the error of a job that ends at this row of a file.
    pub(super) fn of(self, file: &SourceFile, place: Place) -> SftError {
        let path = file.path.clone();
        match self {
            Self::Bad(reason) => SftError::Row { path, place, reason },
            Self::Refused(reason) => SftError::RefusedRow { path, place, reason },
            Self::Interrupted => SftError::Interrupted,
            Self::Template(reason) => SftError::ChatTemplate { reason },
            Self::Encode(source) => SftError::Encode { path, place, source },
        }
    }
}

impl From<EncodeError> for RowError {
    fn from(wrong: EncodeError) -> Self {
        Self::Encode(wrong)
    }
}

/// Says that a path leads to nothing of a kind, such as "no text", and what the row has where its first
/// name is not there.
pub(super) fn holds(row: &Value, path: &str, what: &str) -> String {
    let first = path.split('.').next().unwrap_or(path);
    match row.as_object() {
        Some(fields) if !fields.contains_key(first) => {
            let present: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("`{path}` holds {what}; the columns are: {}", present.join(", "))
        }
        _ => format!("`{path}` holds {what}"),
    }
}

/// Says that a path leads to no text.
pub(super) fn no_text(row: &Value, path: &str) -> String {
    holds(row, path, "no text")
}
