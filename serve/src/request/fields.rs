//! The fields of a JSON object, each with its own error.

use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::api_error::ApiError;

/// The fields of a request. A field that is `null` is as one that is not there.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    object: Map<String, Value>,
}

impl Fields {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let refused =
            |message: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Self { object }),
            Ok(other) => {
                Err(refused(format!("the body is {}, expected an object", kind_of(&other))))
            }
            Err(wrong) => Err(refused(format!("the body is not JSON: {wrong}"))),
        }
    }

    /// Returns a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Returns a number that fits.
    pub(crate) fn number(
        &self,
        name: &str,
        fits: impl Fn(f64) -> bool,
        expected: &str,
    ) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number.is_finite() && fits(number) => Ok(Some(number)),
            _ => Err(wrong(name, value, expected)),
        }
    }

    /// Returns a whole number of a range.
    pub(crate) fn whole(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Ok(Some(number));
        }
        let (low, high) = range.into_inner();
        let expected = match high {
            usize::MAX => format!("a whole number from {low} on"),
            _ => format!("a whole number from {low} to {high}"),
        };
        Err(wrong(name, value, &expected))
    }

    /// Returns whether a field is set.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(wrong(name, value, "true or false")),
        }
    }

    /// Returns a text or a list of texts as a list.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let expected = "a text or a list of texts";
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(list @ Value::Array(texts)) => {
                let texts = texts.iter().map(|text| text.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or_else(|| wrong(name, list, expected))
            }
            Some(value) => Err(wrong(name, value, expected)),
        }
    }

    /// Refuses a field that would change the answer, unless it says what the server does.
    pub(crate) fn only(
        &self,
        name: &str,
        is_neutral: impl Fn(&Value) -> bool,
    ) -> Result<(), ApiError> {
        match self.get(name) {
            Some(value) if !is_neutral(value) => {
                let message = format!("`{name}` is not supported by this server");
                Err(ApiError::of_field(name, message).coded("unsupported_parameter"))
            }
            _ => Ok(()),
        }
    }
}

/// The error of a field with another value than expected.
pub(crate) fn wrong(name: &str, found: &Value, expected: &str) -> ApiError {
    let found = match found {
        Value::Number(number) => format!("`{number}`"),
        Value::String(text) if text.len() < 40 => format!("`{text}`"),
        other => kind_of(other).to_owned(),
    };
    ApiError::of_field(name, format!("`{name}`: found {found}, expected {expected}"))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(list) if list.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
