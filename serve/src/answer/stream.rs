//! Answers that are sent as they come, by server-sent events.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout, timeout_at};

use super::Work;
use crate::api_error::ApiError;

/// How many pieces wait for a client that reads slowly; then its rows wait for it in this program.
const PIECES: usize = 64;

/// How a stream is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed {
    /// Whether the counts of tokens are added at the end.
    pub(crate) usage: bool,
    /// How long the whole answer may take.
    pub(crate) answer: Duration,
    /// How long a client may take nothing.
    pub(crate) client: Duration,
}

/// Sends an answer piece by piece, from a task of its own; `ended` is dropped with its last piece.
///
/// Where the client has gone or takes nothing, the task ends, and with it its rows.
pub(crate) fn stream(
    work: Work,
    streamed: Streamed,
    ended: impl Send + 'static,
) -> Receiver<Bytes> {
    let (pieces, receiver) = channel(PIECES);
    tokio::spawn(async move {
        let deadline = Instant::now() + streamed.answer;
        let sink = Sink { pieces: &pieces, patience: streamed.client };
        let sent = tokio::select! {
            sent = timeout_at(deadline, send(work, streamed.usage, &sink)) => sent,
            () = pieces.closed() => return,
        };
        let failed = match sent {
            Ok(Ok(())) => None,
            Ok(Err(NotSent::Client)) => return,
            Ok(Err(NotSent::Failed(error))) => Some(error),
            Err(_) => Some(ApiError::late(streamed.answer.as_secs())),
        };
        if let Some(error) = failed {
            drop(sink.put(&error.body()).await);
        }
        drop(ended);
    });
    receiver
}

/// Why an answer is not sent to its end.
enum NotSent {
    /// The client has gone, or takes nothing.
    Client,
    /// There is no answer.
    Failed(ApiError),
}

/// Where pieces go.
struct Sink<'a> {
    pieces: &'a Sender<Bytes>,
    patience: Duration,
}

impl Sink<'_> {
    async fn put(&self, piece: &Value) -> Result<(), NotSent> {
        self.put_text(format!("data: {piece}\n\n")).await
    }

    async fn put_text(&self, text: String) -> Result<(), NotSent> {
        match timeout(self.patience, self.pieces.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NotSent::Client),
        }
    }
}

async fn send(mut work: Work, usage: bool, sink: &Sink<'_>) -> Result<(), NotSent> {
    let mut begun = vec![false; work.rows.len()];
    while let Some(place) = work.advance().await.map_err(NotSent::Failed)? {
        let Work { head, rows, .. } = &mut work;
        let row = &mut rows[place];
        if !row.has_news() {
            continue;
        }
        let begins = !std::mem::replace(&mut begun[place], true);
        let delta = head.delta(place, row, begins);
        sink.put(&head.piece(&[delta])).await?;
    }
    if usage {
        sink.put(&work.head.usage_piece(work.generated())).await?;
    }
    sink.put_text("data: [DONE]\n\n".to_owned()).await
}
