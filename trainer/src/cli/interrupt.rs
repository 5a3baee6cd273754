//! Ctrl-C and SIGTERM: the first asks for a checkpoint and an end, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Watches for signals from now on.
pub(crate) fn watch() {
    let set = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            // Asked twice. What was staged is left behind, and the next run clears it.
            let own = rustix::process::getpid();
            if rustix::process::kill_process(own, rustix::process::Signal::KILL).is_err() {
                std::process::abort();
            }
        }
    });
    // Without a handler the system's own default ends the program, which every writer survives.
    drop(set);
}

/// The flag that the loop looks at between two micro-batches.
pub(crate) fn flag() -> &'static AtomicBool {
    &ASKED
}
