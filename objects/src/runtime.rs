//! The one place with an asynchronous runtime: what is begun here is waited for by ordinary threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::ObjectError;

/// How many requests are under way at once, at most: each has a thread and a connection.
const REQUESTS: usize = 64;

/// How often a wait looks whether the user has stopped it.
const TICK: Duration = Duration::from_millis(50);

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// What is set where the user stops the program.
static STOP: OnceLock<&'static AtomicBool> = OnceLock::new();

/// Ends all waits where a flag is set; the first flag that is named counts.
pub fn stop_on(flag: &'static AtomicBool) {
    STOP.get_or_init(|| flag);
}

/// Something that was begun, and whose result comes later.
#[derive(Debug)]
pub struct Pending<T> {
    receiver: Receiver<Result<T, ObjectError>>,
}

impl<T: Send + 'static> Pending<T> {
    /// Begins something.
    ///
    /// # Errors
    ///
    /// The system has no room for the runtime's threads.
    pub(crate) fn begin(
        future: impl Future<Output = Result<T, ObjectError>> + Send + 'static,
    ) -> Result<Self, ObjectError> {
        let runtime = RUNTIME.get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            let builder = builder.worker_threads(1).max_blocking_threads(REQUESTS);
            builder.thread_name("objects").enable_time().build().map_err(|wrong| wrong.to_string())
        });
        let runtime =
            runtime.as_ref().map_err(|reason| ObjectError::Runtime { reason: reason.clone() })?;
        let (sender, receiver) = sync_channel(1);
        // Nobody hears a result that comes after the wait was given up.
        drop(runtime.spawn(async move { drop(sender.send(future.await)) }));
        Ok(Self { receiver })
    }

    /// Waits for the result.
    ///
    /// # Errors
    ///
    /// What was begun failed, or the user stopped the program.
    pub fn wait(self) -> Result<T, ObjectError> {
        loop {
            if STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Err(ObjectError::Interrupted);
            }
            match self.receiver.recv_timeout(TICK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let reason = "a request ended without an answer".to_owned();
                    return Err(ObjectError::Runtime { reason });
                }
            }
        }
    }
}

/// Begins something and waits for it.
pub(crate) fn wait_for<T: Send + 'static>(
    future: impl Future<Output = Result<T, ObjectError>> + Send + 'static,
) -> Result<T, ObjectError> {
    Pending::begin(future)?.wait()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_is_waited_for_in_any_order() {
        let slow = Pending::begin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(1)
        });
        let quick = Pending::begin(async { Ok(2) });

        assert_eq!(quick.unwrap().wait().unwrap(), 2);
        assert_eq!(slow.unwrap().wait().unwrap(), 1);
    }

    #[test]
    fn a_failure_reaches_who_waits() {
        let failed = wait_for::<()>(async { Err(ObjectError::Interrupted) });

        assert!(matches!(failed, Err(ObjectError::Interrupted)));
    }
}
