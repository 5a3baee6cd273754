//! Ctrl-C and SIGTERM: the first signal asks for a checkpoint and an end, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Handles signals from now on.
pub(crate) fn watch() {
    let set = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            // The second signal. The next run removes what was staged.
            let own = rustix::process::getpid();
            if rustix::process::kill_process(own, rustix::process::Signal::KILL).is_err() {
                std::process::abort();
            }
        }
    });
    // Without a handler the system ends the program, and every file on disk is still whole.
    drop(set);
}

/// The flag that the training loop checks between two micro-batches.
pub(crate) fn flag() -> &'static AtomicBool {
    &ASKED
}
