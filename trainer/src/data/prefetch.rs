//! Batches prepared ahead on a thread, so that the device never waits for a disk.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::error::DataError;
use super::feed::{Batch, Feed};

/// A feed that runs ahead of its reader by a few batches.
///
/// What was prepared and not taken is forgotten when this is dropped: the cursor that counts is
/// that of the last batch taken.
#[derive(Debug)]
pub struct Prefetch {
    batches: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Begins to prepare batches, `ahead` of them at most.
    pub fn start(mut feed: Feed, ahead: NonZeroUsize) -> Self {
        let (send, batches) = sync_channel(ahead.get());
        let thread = std::thread::spawn(move || {
            loop {
                let batch = feed.draw_batch();
                let last = batch.is_err();
                if send.send(batch).is_err() || last {
                    return;
                }
            }
        });
        Self { batches: Some(batches), thread: Some(thread) }
    }

    /// Takes the next batch, and waits for it where it is not ready.
    ///
    /// # Errors
    /// Returns what [`Feed::draw_batch`] returned.
    pub fn take(&mut self) -> Result<Batch, DataError> {
        let batches = self.batches.as_ref().ok_or(DataError::Lost)?;
        batches.recv().map_err(|_| DataError::Lost)?
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // Without a receiver the thread's next send fails, and the thread ends.
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            drop(thread.join());
        }
    }
}
