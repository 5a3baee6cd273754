//! Answers that are sent when they are whole.

use serde_json::Value;

use super::Work;
use crate::api_error::ApiError;

/// Waits for all rows and returns the answer.
pub(crate) async fn whole(mut work: Work) -> Result<Value, ApiError> {
    while work.advance().await?.is_some() {}
    let generated = work.generated();
    let Work { head, rows, .. } = &mut work;
    let choices: Vec<Value> =
        rows.iter_mut().enumerate().map(|(index, row)| head.choice(index, row)).collect();
    Ok(head.answer(&choices, generated))
}
