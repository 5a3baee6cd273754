//! Errors of the libraries as exceptions of Python.

use std::fmt::Display;

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;
use ratdata_schemas::draw::MixtureError;
use ratdata_schemas::{BinSetError, ManifestError, RowSetError};
use ratdata_tokenize::hub::HubError;
use ratdata_tokenize::tokenizer::{EncodeError, TokenizerError};

pyo3::create_exception!(
    ratdata,
    Error,
    PyValueError,
    "What ratdata refuses: the place, what was found, what was expected, and a hint."
);

/// Why a call failed, before it is an exception.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
}

impl Failure {
    /// Makes a failure with what the user can do about it, if there is something to do.
    pub(crate) fn new(what: impl Display, hint: Option<&str>) -> Self {
        let message = match hint {
            Some(hint) => format!("{what}\nhint: {hint}"),
            None => what.to_string(),
        };
        Self { message }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Error::new_err(failure.message)
    }
}

macro_rules! has_hint {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(wrong: $error) -> Self {
                Self::new(&wrong, wrong.hint())
            }
        }
    )*};
}

has_hint!(BinSetError, EncodeError, HubError, ManifestError, RowSetError, TokenizerError);

impl From<MixtureError> for Failure {
    fn from(wrong: MixtureError) -> Self {
        Self::new(wrong, None)
    }
}
