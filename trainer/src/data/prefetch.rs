//! Batches prepared ahead on a thread, so that the device never waits for a disk.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::batch::Batch;
use super::error::DataError;
use super::feed::Feed;

/// A feed that prepares a few batches ahead of its reader.
///
/// Batches that were prepared and not taken are lost when this is dropped. So a checkpoint keeps
/// the cursor of the last batch that was taken.
#[derive(Debug)]
pub struct Prefetch {
    batches: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Begins to prepare batches, at most `ahead` of them.
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

    /// Takes the next batch, and waits until it is ready.
    ///
    /// # Errors
    /// Returns the errors of [`Feed::draw_batch`].
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
