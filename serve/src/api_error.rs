//! Errors as clients of OpenAI's servers read them.

use hyper::StatusCode;
use serde_json::{Value, json};

/// Why a request gets no answer.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    message: String,
    /// The field of the request that is wrong.
    param: Option<String>,
    /// What programs compare.
    code: &'static str,
}

impl ApiError {
    /// A request that no server could answer, because of one of its fields.
    pub(crate) fn of_field(field: &str, message: impl Into<String>) -> Self {
        let param = Some(field.to_owned());
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            param,
            code: "invalid_value",
        }
    }

    /// Any other error.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code }
    }

    /// Sets what programs compare.
    pub(crate) fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// The model's process has ended, so that nothing more is answered.
    pub(crate) fn gone() -> Self {
        let message = "the model's process has ended, and the server ends with it";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "model_ended", message)
    }

    /// An answer that takes too long.
    pub(crate) fn late(seconds: u64) -> Self {
        let message = format!("the answer took longer than {seconds} s");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// Returns what the client gets.
    pub(crate) fn body(&self) -> Value {
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {
            "message": self.message, "type": kind, "param": self.param, "code": self.code,
        }})
    }
}
