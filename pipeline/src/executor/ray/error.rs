//! Why Ray's job API did not do what it was asked.

use thiserror::Error;
use ureq::http::StatusCode;

use crate::failure::{Failure, Kind};

/// Why Ray's job API did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum RayError {
    /// What names the cluster is no address of its job API.
    #[error(
        "{place}: found `{address}`, expected the address of Ray's job API, such as `http://HOST:8265`"
    )]
    Address { place: &'static str, address: String },
    /// The headers cannot be read.
    #[error("{place}: expected headers as JSON, such as `{{\"authorization\": \"Bearer …\"}}`")]
    Headers { place: &'static str },
    /// Nobody answers.
    #[error("{address}: Ray's job API does not answer: {reason}")]
    NoAnswer { address: String, reason: String },
    /// The answer is a status that is no success.
    #[error("{address}: Ray's job API refused: {status}: {said}")]
    Refused { address: String, status: StatusCode, said: String },
    /// The answer is none of the job API.
    #[error("{address}: found {found}, expected {expected} of Ray's job API")]
    Answer { address: String, found: String, expected: &'static str },
}

impl RayError {
    /// Returns whether the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::Address { .. } | Self::Headers { .. } | Self::Answer { .. } => false,
        }
    }

    /// Returns whether the job of a submission is there already.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::Refused { said, .. } if said.contains("already exists"))
    }

    /// Returns what the user can do about it.
    fn hint(&self) -> &'static str {
        match self {
            Self::Address { .. } => {
                "the job API is a part of Ray's dashboard, whose address `ray start --head` prints; ports 6379 and 10001 are others"
            }
            Self::Headers { .. } => "a table with texts alone",
            Self::Refused { status, .. }
                if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
            {
                "RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or, with RAY_AUTH_MODE=token, ~/.ray/auth_token has the cluster's token; RAY_JOB_HEADERS has other headers"
            }
            Self::NoAnswer { .. } | Self::Answer { .. } => {
                "is Ray's dashboard there (`pip install 'ray[default]'`)? `--ray-address`, RAY_API_SERVER_ADDRESS or RAY_ADDRESS names another one"
            }
            Self::Refused { .. } => {
                "the dashboard's logs on the head's node say more (`/tmp/ray/session_latest/logs`)"
            }
        }
    }
}

impl From<RayError> for Failure {
    fn from(wrong: RayError) -> Self {
        let kind = match wrong {
            RayError::Address { .. } | RayError::Headers { .. } => Kind::Usage,
            _ => Kind::Failed,
        };
        Self::message(kind, wrong.to_string()).hinted(Some(wrong.hint()))
    }
}
